"""
The path that seems to stand still
==================================

The same training on a random plane: the shadow of its motion is next to nothing, and the figure says which share it shows.
"""

import torch
from sklearn.datasets import load_digits

import lossatlas as la

digits = load_digits()
x, y = torch.tensor(digits.data / 16, dtype=torch.float32), torch.tensor(digits.target)
model = torch.nn.Sequential(torch.nn.Linear(64, 32), torch.nn.ReLU(), torch.nn.Linear(32, 10))
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
with la.Recorder(None, model, optimizer, every=4) as recorder:
    for _ in range(80):
        loss = torch.nn.functional.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        recorder.step(loss=loss)

objective = la.Objective(model, torch.nn.functional.cross_entropy, (x, y))
plane = la.random_plane(objective, seed=0)
path = la.project_trajectory(recorder.trajectory, plane, objective)
surface = la.evaluate(objective, plane, (-0.5, 0.5), resolution=29)
print(f"share of the motion that this plane shows: {path.attrs['captured_share']:.2%}")
la.plot([surface, path], "random_plane.png", kind="contour")
