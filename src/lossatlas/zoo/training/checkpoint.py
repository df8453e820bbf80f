"""Training checkpoints: plain tensors and numbers in one file."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from lossatlas._util.files import replacing
from lossatlas.errors import ArchiveError, InputError
from lossatlas.zoo.training.settings import Training

FORMAT = 1
ADDED_SETTINGS = {"schedule": "steps", "precision": "float32", "channels_last": False}
"""Settings that checkpoints of before they existed lack, with what held then."""


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """The state of a training after `step` updates.

    Attributes:
        training: its settings as plain data, with the number of pictures.
        model, optimizer: their state dicts.
        generator: of torch's global generator, for layers that draw from it.
        seconds: spent so far.
    """

    step: int
    training: dict[str, Any]
    model: dict[str, Any]
    optimizer: dict[str, Any]
    generator: torch.Tensor
    seconds: float

    def write(self, file: Path) -> None:
        """Replace the file in one step.

        Raises:
            ArchiveError: the disk is full or not writable; the file stays as it was.
        """
        content = {**vars(self), "training": json.dumps(self.training, sort_keys=True), "format": FORMAT}
        try:
            with replacing(file) as partial, partial.open("wb") as stream:
                torch.save(content, stream)
        except (OSError, RuntimeError) as error:
            raise ArchiveError(f"Cannot write {file}: {error}. The checkpoint before it is kept; free space, then run it again.") from error


def read_training_checkpoint(file: Path, training: Training, samples: int) -> Checkpoint | None:
    """The checkpoint in `file`, None where there is none; only plain data are read, nothing is executed.

    Raises:
        InputError: a damaged file, or one of another training.
    """
    if not file.is_file():
        return None
    try:
        content = torch.load(file, map_location="cpu", weights_only=True)
        stored = json.loads(content.pop("training"))
        if content.pop("format") != FORMAT:
            raise ValueError("written by another version")
        checkpoint = Checkpoint(training=stored, **content)
    except Exception as error:  # torch answers damage with nearly any exception
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(
            str(file), f"a checkpoint that cannot be read ({reason})", "an intact one", "Start anew with --overwrite"
        ) from error
    wanted = {**training.as_dict(), "samples": samples}
    stored = {**ADDED_SETTINGS, **stored}
    if other := [f"{name} {stored.get(name)} instead of {value}" for name, value in wanted.items() if stored.get(name) != value]:
        raise InputError(
            "out",
            f"the folder of another training ({', '.join(other)})",
            "a new folder, or that of the same training",
            "Use --overwrite to replace it",
        )
    return checkpoint
