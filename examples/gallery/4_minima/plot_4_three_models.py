"""
Three models on one map
=======================

Three seeds at (0, 0), (1, 0) and (0, 1). With BatchNorm, statistics are estimated at every point, and each model keeps its own
loss.
"""

import torch
from sklearn.datasets import load_digits
from torch import nn

import lossatlas as la

digits = load_digits()
x, y = torch.tensor(digits.data[:800] / 16, dtype=torch.float32), torch.tensor(digits.target[:800])


def trained(seed):
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(64, 32, bias=False), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, 10))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(80):
        rows = torch.randint(0, len(x), (200,))
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x[rows]), y[rows]).backward()
        optimizer.step()
    return model.eval()


a, b, c = trained(0), trained(1), trained(2)
objective = la.Objective(a, nn.functional.cross_entropy, (x, y))
surface = la.evaluate(objective, la.plane_through(a, b, c), bounds=(-0.4, 1.4), resolution=31, title="three seeds")
la.plot(surface, "three_models.png", scale="log")
la.view(surface, export="three_models.html", view={"log": True})
