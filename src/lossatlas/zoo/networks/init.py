"""Weight initialization of Li et al. 2018."""

from __future__ import annotations

from torch import nn


def initialize_as_li(model: nn.Module) -> nn.Module:
    """Draw the weights of `model` in place: convolutions Kaiming-normal by fan-in, linear layers N(0, 1e-3), batch norm 1 and 0, biases 0.

    Source: tomgoldstein/loss-landscape, ``cifar10/main.py`` (``init_params``).
    """
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_in")
        elif isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=1e-3)
        elif isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            nn.init.ones_(module.weight)
        else:
            continue
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    return model
