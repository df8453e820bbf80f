"""
What thirty samples cannot tell
===============================

Hatched: cells that these samples do not tell apart from the lowest one.
"""

import torch
from sklearn.datasets import load_digits

import lossatlas as la

digits = load_digits()
x, y = torch.tensor(digits.data / 16, dtype=torch.float32), torch.tensor(digits.target)
model = torch.nn.Sequential(torch.nn.Linear(64, 32), torch.nn.ReLU(), torch.nn.Linear(32, 10))
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
for _ in range(60):
    optimizer.zero_grad()
    torch.nn.functional.cross_entropy(model(x), y).backward()
    optimizer.step()

plane = la.random_plane(la.Objective(model, torch.nn.functional.cross_entropy, (x, y)), seed=0)
for count in (30, 1797):
    objective = la.Objective(model, torch.nn.functional.cross_entropy, (x[:count], y[:count]))
    surface = la.evaluate(objective, plane, (-0.4, 0.4), resolution=25, title=f"{count:,} samples")
    la.plot(surface, f"samples_{count}.png", kind="contour", uncertainty=True)
