"""
The barrier between two trainings
=================================

Two seeds, two good networks, and a wall on the straight line between them.
"""

import torch
from sklearn.datasets import load_digits

import lossatlas as la

digits = load_digits()
x, y = torch.tensor(digits.data[:800] / 16, dtype=torch.float32), torch.tensor(digits.target[:800])


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
line = la.barrier(objective, a, b, metrics=("loss", "accuracy"))
print(line.attrs["barrier"])
la.plot(line, "barrier.png")
