"""Your own model on the command line: ``lossatlas evaluate examples/my_model.py:objective --archive my.zarr``.

Anything that makes an `Objective` will do; here a small network is trained on scikit-learn's digits first.
"""

import torch
from sklearn.datasets import load_digits
from torch import nn

import lossatlas as la


def objective() -> la.Objective:
    """A trained classifier and the data to evaluate it on."""
    digits = load_digits()
    x, y = torch.tensor(digits.data / 16.0, dtype=torch.float32), torch.tensor(digits.target)
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(60):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x[:1000]), y[:1000]).backward()
        optimizer.step()
    return la.Objective(model, nn.functional.cross_entropy, (x[:1000], y[:1000]), split="train")


if __name__ == "__main__":
    target = objective()
    surface = la.evaluate(target, la.random_plane(target, seed=0), resolution=(21, 15), metrics=("loss", "accuracy"))
    assert float(surface.loss.sel(alpha=0, beta=0)) == target.loss()
    assert float(surface.loss.min()) < 0.5 < float(surface.loss.max())
    la.plot(surface, "my_model.png")
