"""
A training on its principal plane
=================================

Three lines in the loop record it. Stems show the iterates' own loss where they are off the plane.
"""

import torch
from sklearn.datasets import load_digits

import lossatlas as la

digits = load_digits()
x, y = torch.tensor(digits.data / 16, dtype=torch.float32), torch.tensor(digits.target)
model = torch.nn.Sequential(torch.nn.Linear(64, 32), torch.nn.ReLU(), torch.nn.Linear(32, 10))
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
with la.Recorder(None, model, optimizer, every=2) as recorder:
    for _ in range(100):
        rows = torch.randint(0, len(x), (100,))
        loss = torch.nn.functional.cross_entropy(model(x[rows]), y[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        recorder.step(loss=loss)

plane = la.pca_plane(recorder.trajectory)
objective = la.Objective(model, torch.nn.functional.cross_entropy, (x, y))
path = la.project_trajectory(recorder.trajectory, plane, objective)
span = [(min(v.min(), -1.0) * 1.2, max(v.max(), 1.0) * 1.2) for v in (path.path_alpha.values, path.path_beta.values)]
surface = la.evaluate(objective, plane, span, resolution=(35, 29))
la.plot([surface, path], "path.png", kind="training")
la.view([surface, path], export="path.html")
