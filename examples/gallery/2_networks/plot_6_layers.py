"""
Layer by layer
==============

The same network, each layer moved by itself: by how much each step hurts is not the same everywhere.
One scale for all three.
"""

import torch
from sklearn.datasets import load_digits

import lossatlas as la

digits = load_digits()
x, y = torch.tensor(digits.data / 16, dtype=torch.float32), torch.tensor(digits.target)
layers = [torch.nn.Linear(64, 32), torch.nn.ReLU(), torch.nn.Linear(32, 32), torch.nn.ReLU(), torch.nn.Linear(32, 10)]
model = torch.nn.Sequential(*layers)
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
for _ in range(60):
    optimizer.zero_grad()
    torch.nn.functional.cross_entropy(model(x), y).backward()
    optimizer.step()

objective = la.Objective(model, torch.nn.functional.cross_entropy, (x, y))
surfaces = []
for name in ("0", "2", "4"):
    plane = la.random_plane(objective, seed=0, params=f"{name}.weight")
    surfaces.append(la.evaluate(objective, plane, bounds=(-1.5, 1.5), resolution=25, title=f"layer {name} moves"))
la.plot(surfaces, "layers.png", kind="contour")
