"""
The edge of stability
=====================

Full-batch gradient descent sharpens until the largest Hessian eigenvalue reaches 2 / learning rate, and then hovers there while
the loss goes on falling.
"""

import torch
from sklearn.datasets import load_digits

import lossatlas as la

digits = load_digits()
x, y = torch.tensor(digits.data[:500] / 16, dtype=torch.float32), torch.tensor(digits.target[:500])
torch.manual_seed(0)
model = torch.nn.Sequential(torch.nn.Linear(64, 32), torch.nn.Tanh(), torch.nn.Linear(32, 32), torch.nn.Tanh(), torch.nn.Linear(32, 10))
optimizer = torch.optim.SGD(model.parameters(), lr=0.6)
objective = la.Objective(model, torch.nn.functional.cross_entropy, (x, y))
with la.Recorder("edge.zarr", model, optimizer, every=5, objective=objective, sharpness=True, overwrite=True) as recorder:
    for _ in range(150):
        loss = torch.nn.functional.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        recorder.step(loss=loss)
la.plot("edge.zarr", "edge_of_stability.png", kind="recording")
