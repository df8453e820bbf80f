"""A convolutional network with BatchNorm, trained on shifted digits by two optimizers: both paths on the plane they share.

A figure with loss and accuracy, an animation, and a page to rotate and share.
"""

import torch
from sklearn.datasets import load_digits
from torch import nn

import lossatlas as la

digits = load_digits()
images, labels = torch.tensor(digits.images[:1000, None] / 16.0, dtype=torch.float32), torch.tensor(digits.target[:1000])
OPTIMIZERS = {"SGD": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9), "Adam": lambda p: torch.optim.Adam(p, lr=0.01)}


def network() -> nn.Module:
    """The same weights for both."""
    torch.manual_seed(0)
    convolution = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2))
    return nn.Sequential(convolution, nn.Flatten(), nn.Linear(128, 10))


def train(name: str) -> None:
    """Three epochs on images that are shifted by up to one pixel."""
    model = network()
    optimizer = OPTIMIZERS[name](model.parameters())
    with la.Recorder(f"{name}.zarr", model, optimizer, label=name, overwrite=True) as recorder:
        for batch in torch.randperm(1000).repeat(3).split(50):
            shift = torch.randint(-1, 2, (2,)).tolist()
            loss = nn.functional.cross_entropy(model(images[batch].roll(shift, (2, 3))), labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            recorder.step(loss=loss)


for name in OPTIMIZERS:
    train(name)
runs = {name: f"{name}.zarr" for name in OPTIMIZERS}
comparison = la.compare(runs, network(), nn.functional.cross_entropy, (images[:400], labels[:400]), resolution=(21, 17))
comparison.plot("optimizers.png", quantity=("loss", "accuracy"))
comparison.animate("optimizers.gif", frames=20)
comparison.view(export="optimizers.html")
print(comparison)
for name, path in comparison.paths.items():
    last = la.Trajectory.open(runs[name]).state(-1)
    with torch.no_grad():  # the loss at the end of a path is that of the network that was trained, with its own BatchNorm statistics
        own = nn.functional.cross_entropy(torch.func.functional_call(network().eval(), last, (images[:400],)), labels[:400])
    assert abs(float(path.path_loss[-1]) - float(own)) < 1e-4
