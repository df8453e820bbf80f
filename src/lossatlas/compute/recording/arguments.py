"""Checks of a recorder's arguments."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from lossatlas.archive import Archive
from lossatlas.compute.objective.objective import Objective
from lossatlas.compute.params.params import params_of, unwrap_module
from lossatlas.compute.recording.schedule import check_int
from lossatlas.errors import InputError, InputTypeError


def module_of(model: Any) -> torch.nn.Module:
    """The module inside `torch.compile` or data-parallel wrappers, whose parameter names an Objective knows."""
    if not isinstance(model, torch.nn.Module):
        raise InputTypeError(
            "model", type(model).__name__, "an nn.Module", "Make a recording of weights that are there with la.Trajectory.from_checkpoints"
        )
    params_of(model)
    return unwrap_module(model)


def check_optimizer(optimizer: Any) -> Any:
    """The optimizer, or an error where it is something else, such as its name."""
    if optimizer is not None and not hasattr(optimizer, "param_groups"):
        raise InputTypeError("optimizer", optimizer, "a torch.optim.Optimizer or None", "Pass the optimizer itself, not its name")
    return optimizer


def check_options(flush_seconds: Any, step: Any, resume: bool, overwrite: bool) -> None:
    """Refuse options that cannot be meant."""
    if flush_seconds is not None and not (isinstance(flush_seconds, int | float) and flush_seconds >= 0):
        raise InputError("flush_seconds", flush_seconds, "seconds, 0 or more, or None")
    if step is not None:
        check_int("step", step, 0, "the number of updates made so far, 0 or more")
    if resume and overwrite:
        raise InputError("resume", "resume=True and overwrite=True", "one of the two")


def sharpness_objective(sharpness: Objective | bool, objective: Objective | None) -> Objective | None:
    """Objective whose largest eigenvalue is followed; None where it is not asked for."""
    if isinstance(sharpness, Objective):
        return sharpness
    if sharpness and objective is None:
        raise InputError("sharpness", "True", "an Objective, or objective= beside it")
    return objective if sharpness else None


def refuse_existing(archive: Archive, name: str, overwrite: bool) -> None:
    """A recording is not overwritten unasked."""
    if name in archive.trajectories and not overwrite:
        raise InputError("name", name, "a name that is not taken", "Choose another name, or pass resume=True or overwrite=True")


def loss_to_float(loss: Any) -> float:
    """A loss as one number; NaN where there is none."""
    if loss is None:
        return float("nan")
    if isinstance(loss, Tensor) and loss.numel() != 1:
        raise InputError("loss", f"a tensor of shape {tuple(loss.shape)}", "one number", "Pass the loss from which backward() was called")
    try:
        return float(loss)
    except (TypeError, ValueError):
        raise InputError("loss", loss, "one number") from None
