"""
Is one random plane luck?
=========================

The same model on planes of four seeds. Expected curvature along a Gaussian direction is the Hessian's trace: similar pictures are
the rule.
"""

import torch
from sklearn.datasets import load_digits

import lossatlas as la

digits = load_digits()
x, y = torch.tensor(digits.data[:800] / 16, dtype=torch.float32), torch.tensor(digits.target[:800])
model = torch.nn.Sequential(torch.nn.Linear(64, 32), torch.nn.ReLU(), torch.nn.Linear(32, 10))
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
for _ in range(60):
    optimizer.zero_grad()
    torch.nn.functional.cross_entropy(model(x), y).backward()
    optimizer.step()

objective = la.Objective(model, torch.nn.functional.cross_entropy, (x, y))
surfaces = [la.evaluate(objective, la.random_plane(objective, seed=s), resolution=25, title=f"seed {s}") for s in range(4)]
la.plot(surfaces, "seeds.png", kind="contour")
