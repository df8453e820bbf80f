"""
Sharp by a change of units
==========================

One layer times four, the next divided by four: the same function, another Hessian. Filter-normalized planes agree; eigenvalues do
not.
"""

import copy

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
other = copy.deepcopy(model)
with torch.no_grad():
    [p.mul_(4) for p in other[0].parameters()]
    other[2].weight.div_(4)

surfaces = []
for module, title in ((model, "a network"), (other, "the same function")):
    objective = la.Objective(module, torch.nn.functional.cross_entropy, (x, y))
    print(f"{title}: loss {objective.loss():.4f}, largest eigenvalue {la.curvature_report(objective, probes=4).lambda_max:.2f}")
    surfaces.append(la.evaluate(objective, la.random_plane(objective, seed=0, normalize="none"), (-0.2, 0.2), 21, title=title))
la.plot(surfaces, "sharp_by_units.png", kind="contour")
