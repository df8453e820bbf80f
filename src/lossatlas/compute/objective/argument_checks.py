"""Checks of an objective's options: dtype, device, split, units."""

from __future__ import annotations

from typing import Any

import torch

from lossatlas._util.argument_checks import check_integer, check_name, check_number, check_text
from lossatlas.errors import InputError


def check_run(
    *, name: Any, title: Any, chunk: Any, executor: Any, workers: Any, tile: Any, retries: Any, timeout: Any, on_tile: Any, **_: Any
) -> None:
    """The options of a run that say how, not what, it measures.

    Raises:
        InputError: one of another type or beyond its limits.
    """
    check_name("name", name)
    check_text("title", title)
    check_text("executor", executor)
    for argument, value in (("chunk", chunk), ("workers", workers), ("tile", tile)):
        if value is not None:
            check_integer(argument, value, least=1, most=2**31)
    check_integer("retries", retries, least=0)
    if timeout is not None:
        check_number("timeout", timeout, above=0)
    if on_tile is not None and not callable(on_tile):
        raise InputError("on_tile", on_tile, "a function on_tile(cells, values), or None")


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
