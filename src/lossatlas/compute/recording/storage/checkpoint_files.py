"""Checkpoints that a training left in a folder: which files they are, in the order of training, and their steps."""

from __future__ import annotations

import glob
import itertools
import os
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lossatlas._util.text import did_you_mean
from lossatlas.compute.params.checkpoint import SUFFIXES, is_checkpoint_folder
from lossatlas.errors import InputError, InputTypeError

STEP_WORD = re.compile(r"(?:step|iter|iteration|checkpoint)s?[=_.-]?(\d+)", re.IGNORECASE)
"""How Lightning (``epoch=1-step=200.ckpt``), Transformers (``checkpoint-200``) and most loops name a step."""


def checkpoint_files(source: str | os.PathLike[str] | Sequence[str | os.PathLike[str]]) -> tuple[list[Path], list[int] | None]:
    """Paths of checkpoints in the order of training, and their steps where the names tell them.

    Args:
        source: a glob such as ``"ck/*.pt"``, a folder of checkpoints, or paths, whose order is kept.

    Raises:
        InputError: nothing there, or a file without a number among numbered ones, whose place nobody knows.

    >>> natural_order([Path("step_10.pt"), Path("step_9.pt")])[1]
    [9, 10]
    """
    if isinstance(source, str | os.PathLike):
        return natural_order(_matching(os.fspath(source)))
    paths = [Path(path) if isinstance(path, str | os.PathLike) else _refused(path) for path in source]
    steps = _steps_in_names([path.stem if path.suffix in SUFFIXES else path.name for path in paths])
    increasing = steps is not None and all(a < b for a, b in itertools.pairwise(steps))
    return paths, steps if increasing else None


def natural_order(paths: Sequence[Path]) -> tuple[list[Path], list[int] | None]:
    """Paths in the order of the steps in their names, 9 before 10; without steps where names tell none."""
    names = [path.stem if path.suffix in SUFFIXES else path.name for path in paths]
    without = [path for path, name in zip(paths, names, strict=True) if not re.search(r"\d", name)]
    if without and len(without) < len(paths):
        numbered = next(path for path in paths if path not in without)
        allowed = f"names that all carry their step, as {numbered.name} does"
        raise InputError(
            "checkpoints", f"{without[0].name} among them", allowed, "Leave it out of the glob, or give the paths in their order"
        )
    steps = _steps_in_names(names)
    order = np.argsort(steps, kind="stable") if steps is not None else sorted(range(len(paths)), key=lambda k: _natural_key(names[k]))
    return [paths[k] for k in order], None if steps is None else [steps[k] for k in order]


def _matching(pattern: str) -> list[Path]:
    """Checkpoints that a glob names, or that lie in a folder."""
    folder = Path(pattern).expanduser()
    if folder.is_dir() and not is_checkpoint_folder(folder):
        paths = [path for path in folder.iterdir() if is_checkpoint_folder(path)] or _files_of(folder)
    elif folder.is_dir() and (numbered := [path for path in folder.glob("checkpoint-*") if is_checkpoint_folder(path)]):
        paths = numbered  # a Trainer's output folder, which holds the final model as well
    else:
        paths = [Path(match) for match in sorted(glob.glob(str(folder), recursive=True))]  # noqa: PTH207 - a pattern may be absolute
    if not paths:
        raise _nothing_there(pattern, folder)
    return paths


def _files_of(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.iterdir()) if path.is_file() and path.suffix in SUFFIXES]


def _nothing_there(pattern: str, folder: Path) -> InputError:
    parent = folder if folder.is_dir() else folder.parent
    allowed = f"a glob or a folder of checkpoints: {', '.join(SUFFIXES)}, or folders of save_pretrained"
    if not parent.is_dir():
        return InputError("checkpoints", f"{pattern}, which matches nothing", allowed, f"There is no folder {parent}")
    names = sorted(path.name for path in parent.iterdir())
    step = did_you_mean(folder.name, names) or f"{parent} holds: {', '.join(names[:6]) or 'nothing'}"
    return InputError("checkpoints", f"{pattern}, which matches nothing", allowed, step)


def _steps_in_names(names: Sequence[str]) -> list[int] | None:
    """Steps by the word "step", else by the first number in which all names differ; None where that tells them not apart."""
    by_word = [STEP_WORD.search(name) for name in names]
    columns = [[int(match[1]) for match in by_word if match]]
    numbers = [[int(digits) for digits in re.findall(r"\d+", name)] for name in names]
    if len({len(row) for row in numbers}) == 1:
        columns += [list(column) for column in zip(*numbers, strict=True)]
    return next((column for column in columns if len(set(column)) == len(names)), None)


def _natural_key(name: str) -> list[tuple[int, str]]:
    """Digits count as numbers."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)]


def _refused(path: object) -> Path:
    raise InputTypeError("checkpoints", type(path).__name__, "paths alone, or modules and dicts of tensors alone")
