"""Checks of an objective's options: dtype, device, split, units."""

from __future__ import annotations

from typing import Any

import torch

from lossatlas._util.argument_checks import check_text
from lossatlas.errors import InputError


def check_options(dtype: Any, device: Any, split: Any, units: Any) -> None:
    """Data type, device and words of an objective.

    Raises:
        InputError: no type of real or complex numbers, a device that this machine does not have, or words that are no text.
    """
    if dtype is not None and not (isinstance(dtype, torch.dtype) and (dtype.is_floating_point or dtype.is_complex)):
        raise InputError("dtype", dtype, "a floating-point torch.dtype such as torch.float64, or None")
    if device is not None:
        check_device(device)
    for argument, value in (("split", split), ("units", units)):
        if value is not None:
            check_text(argument, value)


def check_device(device: Any) -> None:
    allowed = "cpu, or a device that torch finds here, such as cuda:0"
    if isinstance(device, bool) or not isinstance(device, str | torch.device | int):
        raise InputError("device", device, allowed)
    try:
        usable = torch.empty(0, device=device).device.type != "meta"  # tensors there have no values
    except Exception as error:  # torch answers unknown devices with nearly any exception
        reason = (str(error).splitlines() or [""])[0]
        raise InputError("device", device, allowed, f"torch says: {reason}") from error
    if not usable:
        raise InputError("device", device, allowed)
