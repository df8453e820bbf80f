"""
From the first weights to the last
==================================

The straight line between them (Goodfellow et al. 2015): it mostly falls all the way, though training went another road.
"""

import copy

import torch
from sklearn.datasets import load_digits

import lossatlas as la

digits = load_digits()
x, y = torch.tensor(digits.data / 16, dtype=torch.float32), torch.tensor(digits.target)
model = torch.nn.Sequential(torch.nn.Linear(64, 32), torch.nn.ReLU(), torch.nn.Linear(32, 10))
first = copy.deepcopy(model)
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
for _ in range(100):
    optimizer.zero_grad()
    torch.nn.functional.cross_entropy(model(x), y).backward()
    optimizer.step()

objective = la.Objective(model, torch.nn.functional.cross_entropy, (x, y))
line = la.interpolate(objective, first, model, metrics=("loss", "accuracy"), title="from initialization (0) to the end (1)")
print(line.attrs["interpolation"])
la.plot(line, "interpolation.png")
