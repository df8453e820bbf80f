"""Two trainings from different seeds: the barrier between them, and the curvature at one of them."""

import torch
from sklearn.datasets import load_digits
from torch import nn

import lossatlas as la

digits = load_digits()
x, y = torch.tensor(digits.data[:500] / 16.0, dtype=torch.float32), torch.tensor(digits.target[:500])


def trained(seed: int) -> nn.Module:
    """A small classifier after 100 steps of Adam."""
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 10))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(100):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()
    return model


a, b = trained(0), trained(1)
objective = la.Objective(a, nn.functional.cross_entropy, (x, y), split="train")
line = la.barrier(objective, a, b, metrics=("loss", "accuracy"))
report = la.curvature_report(objective, la.random_plane(objective))
print(line.attrs["barrier"])
print(report)

assert line.attrs["barrier"]["loss"] > 0.5  # two minima of one loss are rarely joined by a straight road
assert report.lambda_max > abs(report.lambda_min)
la.plot(line, "two_minima.png")
