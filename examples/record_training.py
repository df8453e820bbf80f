"""Three lines in a training loop, then the run on the plane of its own principal components, honestly."""

import torch
from sklearn.datasets import load_digits
from torch import nn

import lossatlas as la

torch.manual_seed(0)
digits = load_digits()
x, y = torch.tensor(digits.data[:1000] / 16.0, dtype=torch.float32), torch.tensor(digits.target[:1000])
model = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
objective = la.Objective(model, nn.functional.cross_entropy, (x, y), split="train")

with la.Recorder("training.zarr", model, optimizer, every=2, objective=objective, overwrite=True) as recorder:
    for step in range(80):
        batch = torch.arange(step * 100, step * 100 + 100) % 1000
        loss = nn.functional.cross_entropy(model(x[batch]), y[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        recorder.step(loss=loss)

run = recorder.trajectory
plane = la.pca_plane(run)
path = la.project_trajectory(run, plane, objective, surface="surface")
span = [(min(v.min(), -1.0) * 1.2, max(v.max(), 1.0) * 1.2) for v in (path.path_alpha.values, path.path_beta.values)]
surface = la.evaluate(objective, plane, span, (31, 25))

explained, null = (sum(plane.construction[key]) for key in ("explained_variance_ratio", "random_walk_null"))
print(f"two components explain {explained:.1%} of the path; of a random walk they would explain {null:.1%}")
print(f"the path is {path.attrs['residual_norm']['mean']:.0%} off the plane on average")
assert abs(float(path.path_loss[-1]) - nn.functional.cross_entropy(model(x), y).item()) < 1e-5
assert float(path.path_residual[-1]) < 1e-4
la.plot([surface, path], "training.png", scale="log", kind="training")
la.plot("training.zarr", "recording.png", kind="recording")
