"""The landscape that each mini-batch sees, from one evaluation: per-sample losses are kept, batches are their means."""

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn

import lossatlas as la

digits = load_digits()
x, y = torch.tensor(digits.data[:400] / 16.0, dtype=torch.float64), torch.tensor(digits.target[:400])
torch.manual_seed(0)
model = nn.Sequential(nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 10)).double()
objective = la.Objective(model, nn.functional.cross_entropy, (x, y), split="train")
surface = la.evaluate(objective, la.random_plane(objective), resolution=(9, 7), metrics=("loss", "sample_loss"), archive="batches.zarr")

losses = la.SampleLossArray.open("batches.zarr")
batches = [np.arange(start, start + 20) for start in range(0, 400, 20)]
seen = losses.surfaces(batches)
print(f"20 batches of 20: the loss at the center runs from {float(seen[:, 4, 3].min()):.3f} to {float(seen[:, 4, 3].max()):.3f}")

np.testing.assert_allclose(seen.mean(axis=0), surface.loss, rtol=1e-12)  # equal batches: their mean is the full surface
assert float(seen[:, 4, 3].std()) > 0
la.plot(surface, "mini_batches.png", kind="contour")
