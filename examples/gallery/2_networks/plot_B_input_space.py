"""
Around one picture
==================

Not the weights but the input moves: along the sign of the gradient, as an attack does, and along random signs, as noise does.
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

objective = la.InputObjective(la.Objective(model, torch.nn.functional.cross_entropy, (x, y)), samples=0, box=(0.0, 1.0))
plane = la.input_plane(objective, "signed gradient", "Rademacher")
surface = la.evaluate(objective, plane, bounds=(-0.3, 0.3), resolution=41)
la.plot(surface, "input_space.png", kind="contour")
