"""Loader of published checkpoints into networks of the zoo: every name and shape must fit the model."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TypeVar

from torch import Tensor, nn

from lossatlas.compute.params.checkpoint import fit_names, read_checkpoint
from lossatlas.errors import InputError

Model = TypeVar("Model", bound=nn.Module)


def load_checkpoint(path: str | os.PathLike[str], model: Model) -> Model:
    """Put the tensors of a checkpoint into `model`, in place, and return it.

    Args:
        path: a torch file (``.pt .pth .th .t7 .ckpt``) holding tensors by name, or ``.safetensors``.
        model: of the architecture that was saved; its dtypes and device are kept. Left as it was where the file does not fit.

    Raises:
        InputError: no such file, damaged, a pickled whole model, or of another architecture (the names that differ are listed).
    """
    tensors = fit_names(read_checkpoint(path), model.state_dict())
    _check_fit(str(path), tensors, model.state_dict())
    model.load_state_dict({**_counters(model), **tensors})
    return model


def _counters(model: nn.Module) -> dict[str, Tensor]:
    """Batch norm's step counters, which files of old torch lack; they matter only to training without momentum."""
    return {name: tensor for name, tensor in model.state_dict().items() if name.endswith("num_batches_tracked")}


def _check_fit(path: str, tensors: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> None:
    missing = [name for name in expected if name not in tensors and not name.endswith("num_batches_tracked")]
    extra = [name for name in tensors if name not in expected]
    shapes = [
        f"{name} {tuple(tensors[name].shape)} instead of {tuple(expected[name].shape)}"
        for name in expected
        if name in tensors and tensors[name].shape != expected[name].shape
    ]
    problems = [
        f"{what} {_some(names)}" for what, names in (("lacks", missing), ("has besides", extra), ("of other shape:", shapes)) if names
    ]
    if problems:
        raise InputError(
            "checkpoint", "another architecture", f"the names and shapes of the model; {path} {'; '.join(problems)}", "Name its network"
        )


def _some(names: list[str], shown: int = 6) -> str:
    rest = len(names) - shown
    return ", ".join(names[:shown]) + (f" and {rest} more" if rest > 0 else "")
