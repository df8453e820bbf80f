"""Shared parts of recipes: output folder, progress lines, summary."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, ParamSpec, TypeVar, cast, get_args

import numpy as np
import xarray as xr
from rich.console import Console

from lossatlas._util.files import write_file
from lossatlas._util.text import to_json_value
from lossatlas._util.version import __version__
from lossatlas.errors import ArchiveError, InputError, output_errors
from lossatlas.viz.metadata.reading import is_figure, read_metadata
from lossatlas.viz.summary import describe_figure

SizeName = Literal["quick", "laptop", "full"]
P = ParamSpec("P")
R = TypeVar("R")

console = Console(stderr=True, highlight=False)


def make_output_folder(out: Path) -> Path:
    """Make the folder of a run.

    Raises:
        ArchiveError: it cannot be made or written.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        probe = out / ".write-test"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise ArchiveError(f"Cannot write to {out}: {error}. Choose another folder with --out.") from error
    return out


def parse_size(size: str | None, quick: bool) -> SizeName:
    """Parse ``--size`` beside ``--quick``, which is a word for the first; neither means "full".

    Raises:
        InputError: an unknown size, or `quick` beside another one.
    """
    if size is not None and size not in get_args(SizeName):
        raise InputError("--size", size, "one of " + ", ".join(get_args(SizeName)))
    if quick and size not in (None, "quick"):
        raise InputError("--size", size, "quick or nothing beside --quick", "Leave one of them out")
    return cast(SizeName, size or ("quick" if quick else "full"))


def print_line(text: str) -> None:
    """A line for the person who watches."""
    console.print(text)


def write_summary(out: Path, recipe: str, numbers: Mapping[str, Any]) -> dict[str, Any]:
    """Write ``summary.json`` (strict JSON: NaN and infinity become null) and return it."""
    summary = {"recipe": recipe, "version": __version__, **numbers}
    plain = to_json_value(summary)
    with output_errors(out / "summary.json"):
        write_file(out / "summary.json", json.dumps(plain, indent=2, allow_nan=False) + "\n")
    return plain


def with_figures_md(run: Callable[P, R]) -> Callable[P, R]:
    """A recipe's `run` that leaves ``figures.md`` beside its figures, where it drew any."""

    @functools.wraps(run)
    def listed(*args: P.args, **options: P.kwargs) -> R:
        summary = run(*args, **options)
        out = Path(str(args[0] if args else options["out"]))
        if out.is_dir() and any(is_figure(file) for file in out.iterdir()):
            write_figures_md(out)
        return summary

    return listed


def write_figures_md(out: Path) -> Path:
    """Write ``figures.md``: every figure and animation of a folder with all that is known of it, read from the files themselves."""
    files = sorted(file for file in out.iterdir() if is_figure(file) and not file.stem.endswith("-still"))
    sections = [section for file in files for section in _figure_section(file)]
    target = out / "figures.md"
    with output_errors(target):
        write_file(target, "\n\n".join(["# Figures", *sections]) + "\n")
    return target


def _figure_section(file: Path) -> Iterator[str]:
    """Heading, picture, notes and sources; nothing for a picture that carries no caption."""
    with suppress(InputError):
        metadata = read_metadata(file)
        title = f": {metadata.title}" if metadata.title else ""
        picture = [] if file.suffix.lower() in (".pdf", ".mp4") else [f"![{metadata.title or file.stem}]({file.name})"]
        yield "\n\n".join(
            [f"## {file.name}{title}", *picture, "\n".join(f"- {line}" for line in describe_figure(metadata).split("\n")[1:])]
        )


def surface_summary(surface: xr.Dataset) -> dict[str, Any]:
    """Shape, extremes, corners and how much is computed; coordinates as ``[alpha, beta]``."""
    loss = surface.loss.where(surface.done)
    summary: dict[str, Any] = {"shape": list(surface.done.shape), "cells_done": int(surface.done.sum())}
    if not bool(np.isfinite(loss).any()):
        return summary
    usable = loss.where(np.isfinite(loss))
    low = usable.isel(usable.argmin(...))  # type: ignore[arg-type]
    summary |= {
        "min": float(usable.min()),
        "argmin": [float(low[dim]) for dim in usable.dims],
        "max": float(usable.max()),
        "corners": {f"{a:g},{b:g}": float(loss.sel(alpha=a, beta=b)) for a in _ends(surface.alpha) for b in _ends(surface.beta)}
        if loss.ndim == 2
        else {},
        "standard_error_max": float(surface.loss_standard_error.where(surface.done).max()) if "loss_standard_error" in surface else None,
    }
    return summary


def path_summary(path: xr.Dataset, steps: tuple[int, ...]) -> dict[str, Any]:
    """Start, optimizer, the loss at chosen steps (and the last) and the end of a recorded path."""
    last = path.sizes["step"] - 1
    chosen = sorted({k for k in (*steps, last) if k <= last})
    columns = [path[name].values for name in ("path_alpha", "path_beta") if name in path]
    return {
        "start": list(path.attrs["start"]),
        "optimizer": path.attrs["optimizer"],
        "learning_rate": path.attrs["learning_rate"],
        "gradient": path.attrs["gradient"],
        "steps": last,
        "loss": {str(int(path.step[k])): float(path.path_loss[k]) for k in chosen},
        "end": [float(column[-1]) for column in columns],
    }


def _ends(axis: xr.DataArray) -> tuple[float, float]:
    return float(axis[0]), float(axis[-1])
