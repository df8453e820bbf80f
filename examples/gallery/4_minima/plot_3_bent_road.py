"""
A bent road between two minima
==============================

Where the straight line climbs, a curve with one bend stays in the valley (Garipov et al. 2018): on the plane of the curve.
"""

import torch
from sklearn.datasets import load_digits

import lossatlas as la

digits = load_digits()
x, y = torch.tensor(digits.data[:500] / 16, dtype=torch.float32), torch.tensor(digits.target[:500])


def trained(seed):
    torch.manual_seed(seed)
    model = torch.nn.Sequential(torch.nn.Linear(64, 32), torch.nn.ReLU(), torch.nn.Linear(32, 10))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(100):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()
    return model


a, b = trained(0), trained(1)
objective = la.Objective(a, torch.nn.functional.cross_entropy, (x, y))
curve = la.fit_curve(objective, a, b, steps=300, learning_rate=0.05, seed=0)
plane = la.curve_plane(curve)
road = la.project_curve(objective, curve, plane, label="fitted curve")
surface = la.evaluate(objective, plane, resolution=(31, 31), title="the plane of the curve")
la.plot([surface, road], "bent_road.png", scale="log")
la.view([surface, road], export="bent_road.html", view={"log": True})
