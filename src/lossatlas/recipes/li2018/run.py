"""Run of the recipe: which figures, in which order, and one summary."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from lossatlas.archive import open_archive
from lossatlas.errors import InputError
from lossatlas.recipes.common import make_output_folder, print_line, with_figures_md, write_summary
from lossatlas.recipes.li2018 import hessian_ratio as ratios
from lossatlas.recipes.li2018 import loss_planes as planes
from lossatlas.recipes.li2018 import minima as solutions
from lossatlas.recipes.li2018 import training_paths as paths
from lossatlas.recipes.li2018.config import FULL, QUICK, RunConfig
from lossatlas.recipes.li2018.networks import require_pictures

FIGURES: dict[str, Callable[[RunConfig], dict[str, Any]]] = {
    "1": planes.figure_1,
    "2": solutions.figure_2,
    "3": solutions.figure_3,
    "4": planes.figure_4,
    "5": planes.figure_5,
    "6": planes.figure_6,
    "7": ratios.figure_7,
    "8": paths.figure_8,
    "9": paths.figure_9,
    "repeat": solutions.repeatability,
}


@with_figures_md
def run(
    out: Path,
    data: Path | None = None,
    quick: bool = False,
    *,
    figure: str | int | None = None,
    seed: int = 0,
    device: str = "cpu",
    workers: int | None = None,
    progress: bool | None = None,
) -> dict[str, Any]:
    """The paper's figures, all of them or those asked for, into `out`.

    Args:
        out: folder for the archive, the figures, trained networks and ``summary.json``; a second run continues there.
        data: folder with CIFAR-10, and with the published weights and surfaces where they are at hand.
        quick: smaller planes on fewer pictures, and short trainings, in minutes; each figure says so.
        figure: "1" to "9" or "repeat", several with commas; None draws all.
        seed: of trainings.
        device: for trainings and planes, such as "cuda".
        workers: threads; None takes as many as PyTorch would use.
        progress: show bars; None shows them on a terminal.

    Raises:
        InputError: an unknown figure, or no CIFAR-10.
    """
    wanted = _wanted(figure)
    if workers is not None:
        torch.set_num_threads(workers)
    setting = RunConfig(
        make_output_folder(out), open_archive(out / "archive.zarr", "a"), data, quick, QUICK if quick else FULL, seed, progress, device
    )
    require_pictures(setting)
    summary: dict[str, Any] = {"quick": quick, "seed": seed, "figures": _earlier_numbers(out, quick, seed)}
    for name in wanted:
        print_line(f"figure {name} …")
        summary["figures"][name] = FIGURES[name](setting)
        write_summary(out, "li2018", summary)
    return write_summary(out, "li2018", summary)


def _earlier_numbers(out: Path, quick: bool, seed: int) -> dict[str, Any]:
    """Figures that an earlier run of the same kind left in the summary, when only some are drawn now."""
    try:
        before = json.loads((out / "summary.json").read_text(encoding="utf-8"))
        same = (before["recipe"], before["quick"], before["seed"]) == ("li2018", quick, seed)
        return {name: before["figures"][name] for name in FIGURES if name in before["figures"]} if same else {}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def _wanted(figure: str | int | None) -> tuple[str, ...]:
    if figure is None:
        return tuple(FIGURES)
    names = tuple(part.strip() for part in str(figure).split(","))
    if unknown := [name for name in names if name not in FIGURES]:
        raise InputError("--figure", ", ".join(unknown), "any of " + ", ".join(FIGURES) + ", with commas between")
    return names
