"""VGG for CIFAR as Li et al. build it: 3x3 convolutions with biases and batch norm, one hidden linear layer."""

from __future__ import annotations

from torch import Tensor, nn

POOL = 0
VGG9_PLAN = (64, 64, POOL, 128, 128, POOL, 256, 256, 256, POOL)
VGG9_QUARTER_PLAN = (16, 16, POOL, 32, 32, POOL, 64, 64, 64, POOL)
VGG16_PLAN = (64, 64, POOL, 128, 128, POOL, 256, 256, 256, POOL, 512, 512, 512, POOL, 512, 512, 512, POOL)


class VGG(nn.Module):
    """Convolutions of the widths in `plan`, a 2x2 max pool at each `POOL`, then two linear layers.

    Names of parameters (``features.i``, ``fc.0``, ``fc.1``, ``classifier``) are those of Li et al.'s ``cifar10/models/vgg.py``.
    """

    def __init__(self, plan: tuple[int, ...] = VGG9_PLAN, classes: int = 10) -> None:
        super().__init__()
        width, side = plan[-2], 32 // 2 ** plan.count(POOL)
        self.features = nn.Sequential(*_convolutions(plan))
        self.fc = nn.Sequential(nn.Linear(width * side * side, width), nn.BatchNorm1d(width), nn.ReLU())
        self.classifier = nn.Linear(width, classes)

    def forward(self, images: Tensor) -> Tensor:
        """Logits ``(n, classes)`` of images ``(n, 3, 32, 32)``."""
        return self.classifier(self.fc(self.features(images).flatten(1)))


def _convolutions(plan: tuple[int, ...]) -> list[nn.Module]:
    layers: list[nn.Module] = []
    before = 3
    for width in plan:
        if width == POOL:
            layers.append(nn.MaxPool2d(2))
        else:
            layers += [nn.Conv2d(before, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU()]
            before = width
    return layers
