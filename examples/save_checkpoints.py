"""Checkpoints of a training in a folder, and the plane through their path: what other tools leave behind is enough."""

from pathlib import Path

import torch
from my_model import objective, train

import lossatlas as la

Path("checkpoints").mkdir(exist_ok=True)
for epochs in (0, 5, 10, 20, 30):
    torch.save(train(epochs).state_dict(), f"checkpoints/epoch{epochs}.pt")

run = la.Trajectory.from_checkpoints("checkpoints/*.pt")
assert run.steps.tolist() == [0, 5, 10, 20, 30]
target = objective(30)
path = la.project_trajectory(run, la.pca_plane(run), target)
assert abs(float(path.path_loss[-1]) - target.loss()) < 1e-6
la.plot(la.evaluate(target, la.pca_plane(run), resolution=(11, 9)), "checkpoints.png", trajectories=[path])
