"""
Whose BatchNorm statistics?
===========================

The plane around one network, measured with stored, re-estimated and batch statistics: far from it they tell different stories.
"""

import torch
from sklearn.datasets import load_digits
from torch import nn

import lossatlas as la

digits = load_digits()
x, y = torch.tensor(digits.data[:800] / 16, dtype=torch.float32), torch.tensor(digits.target[:800])
model = nn.Sequential(nn.Linear(64, 32, bias=False), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, 10))
optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
for _ in range(80):
    rows = torch.randint(0, len(x), (200,))
    optimizer.zero_grad()
    nn.functional.cross_entropy(model(x[rows]), y[rows]).backward()
    optimizer.step()

objective = la.Objective(model.eval(), nn.functional.cross_entropy, (x, y), batch_size=200)
plane = la.random_plane(objective, seed=0)
surfaces = la.compare_batchnorm_modes(objective, plane, resolution=25)
la.plot(list(surfaces.values()), "batchnorm_modes.png", kind="contour", scale="log")
