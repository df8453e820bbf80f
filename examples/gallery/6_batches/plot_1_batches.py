"""
Every batch has a landscape of its own
======================================

One evaluation keeps every sample's loss; any batch's surface is a mean of some of them. Four batches of ten, and all of the data.
"""

import numpy as np
import torch
from sklearn.datasets import load_digits

import lossatlas as la

digits = load_digits()
torch.manual_seed(0)
x, y = torch.tensor(digits.data[:400] / 16, dtype=torch.float32), torch.tensor(digits.target[:400])
model = torch.nn.Sequential(torch.nn.Linear(64, 32), torch.nn.ReLU(), torch.nn.Linear(32, 10))
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
for _ in range(30):
    optimizer.zero_grad()
    torch.nn.functional.cross_entropy(model(x), y).backward()
    optimizer.step()

objective = la.Objective(model, torch.nn.functional.cross_entropy, (x, y))
archive = la.open_archive(None, "a")
surface = la.evaluate(objective, la.random_plane(objective, seed=0), resolution=21, metrics=("loss", "sample_loss"), archive=archive)
batches = la.shuffled_batches(400, 10)[:4]
seen = la.SampleLossArray.open(archive).surfaces(batches)
shown = [surface[["loss"]].copy(data={"loss": seen.values[k]}).assign_attrs(title=f"batch {k + 1} of 10 samples") for k in range(4)]
print("loss at the model, batch by batch:", np.round(seen.values[:, 10, 10], 3))
la.plot([surface, *shown], "batches.png", kind="contour")
