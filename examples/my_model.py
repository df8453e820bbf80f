"""Your own model on the command line: ``lossatlas evaluate examples/my_model.py:objective --archive my.zarr``.

Anything that makes an `Objective` will do; here a small network is trained on scikit-learn's digits first. Arguments of the function
are set on the command line too: ``--set epochs=30``.
"""

import torch
from sklearn.datasets import load_digits
from torch import nn

import lossatlas as la

digits = load_digits()
x, y = torch.tensor(digits.data[:1000] / 16.0, dtype=torch.float32), torch.tensor(digits.target[:1000])


def train(epochs: int) -> nn.Module:
    """A classifier after so many updates on all data."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(epochs):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()
    return model


def objective(epochs: int = 60) -> la.Objective:
    """A trained classifier and the data to evaluate it on."""
    return la.Objective(train(epochs), nn.functional.cross_entropy, (x, y), split="train")


if __name__ == "__main__":
    target = objective()
    surface = la.evaluate(target, la.random_plane(target, seed=0), resolution=(21, 15), metrics=("loss", "accuracy"))
    assert float(surface.loss.sel(alpha=0, beta=0)) == target.loss()
    assert float(surface.loss.min()) < 0.5 < float(surface.loss.max())
    la.plot(surface, "my_model.png")
