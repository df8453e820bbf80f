"""Run of the recipe: which figures, in which order, and one summary."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast, get_args

import torch

from lossatlas.archive import as_archive, open_archive
from lossatlas.errors import InputError
from lossatlas.recipes.common import make_output_folder, print_line, with_figures_md, write_summary
from lossatlas.recipes.li2018 import hessian_ratio as ratios
from lossatlas.recipes.li2018 import loss_planes as planes
from lossatlas.recipes.li2018 import minima as solutions
from lossatlas.recipes.li2018 import training_paths as paths
from lossatlas.recipes.li2018.claims import claims_summary, decided_claims, write_claims
from lossatlas.recipes.li2018.config import RunConfig
from lossatlas.recipes.li2018.figures.trainings import error_curves
from lossatlas.recipes.li2018.networks import require_pictures
from lossatlas.recipes.li2018.sizes import RunSize, size_named, with_planes
from lossatlas.recipes.li2018.trainings import planned_trainings, print_plan, recorded_trainings, train_all, unpack_weights
from lossatlas.zoo.training.settings import Precision, default_precision

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
    size: str | None = None,
    figure: str | int | None = None,
    images: str | int | None = None,
    tol: float | None = None,
    resolution: int | None = None,
    seed: int = 0,
    device: str = "cpu",
    precision: str | None = None,
    workers: int | None = None,
    weights: str | None = None,
    train_only: bool = False,
    dry_run: bool = False,
    progress: bool | None = None,
) -> dict[str, Any]:
    """The paper's figures, all of them or those asked for, into `out`.

    Args:
        out: folder for the archive, the figures, trained networks and ``summary.json``; a second run continues there.
        data: folder with CIFAR-10, and with the published weights and surfaces where they are at hand.
        quick: the same as `size` "quick".
        size: "quick": smaller planes on fewer pictures, and short trainings, in minutes; "laptop": small networks trained on all
            of CIFAR-10 in an evening of two cores, planes on all training pictures; "full": the paper's networks, for a GPU, which is
            what None means. Each figure says which it is.
        figure: "1" to "9" or "repeat", several with commas; None draws all.
        images: training images under the planes, a number or "all"; None leaves it to the size, as for the next two.
        tol: error to which planes are sampled from these images, a share of the log range.
        resolution: points along each axis of a plane.
        seed: of trainings.
        device: for trainings and planes, such as "cuda".
        precision: of the trainings of size "laptop", "float32" or "bfloat16"; None chooses by the processor.
        workers: threads; None takes as many as PyTorch would use.
        weights: zips of trained weights (`pack_trainings`), paths or addresses with ``#sha256=HEX`` behind them, with commas between;
            what they hold is not trained again.
        train_only: train the networks that the figures need and stop before the figures.
        dry_run: print which trainings are left and how long they take, and train nothing.
        progress: show bars; None shows them on a terminal.

    Raises:
        InputError: an unknown figure, size or precision, planes that cannot be, or no CIFAR-10.
    """
    wanted, chosen = _wanted(figure), with_planes(size_named(size, quick), images, tol, resolution)
    if workers is not None:
        torch.set_num_threads(workers)
    archive = as_archive(None) if dry_run else open_archive(make_output_folder(out) / "archive.zarr", "a")
    setting = RunConfig(out, archive, data, chosen, seed, progress, device, _precision(precision, chosen))
    summary: dict[str, Any] = {
        "size": chosen.name,
        "quick": chosen.name == "quick",
        "seed": seed,
        "figures": _earlier_numbers(out, chosen.name, seed),
    }
    plans = planned_trainings(setting, wanted)
    if dry_run:
        print_plan(setting, plans)
        return summary
    require_pictures(setting)
    unpack_weights(setting, plans, weights)
    if train_only:
        train_all(setting, plans)
        return summary
    for name in wanted:
        print_line(f"figure {name} …")
        summary["figures"][name] = FIGURES[name](setting)
        summary["claims"] = claims_summary(summary["figures"])
        write_summary(out, "li2018", summary)
    if recorded := recorded_trainings(setting):
        error_curves(setting, recorded, out / "trainings.png")
        print_line("trainings.png  Test errors of the networks trained here, by epoch.")
    write_claims(decided_claims(summary["figures"]), setting.run_label, out)
    return write_summary(out, "li2018", summary)


def _precision(name: str | None, size: RunSize) -> Precision:
    if name is not None and name not in get_args(Precision):
        raise InputError("--precision", name, "float32 or bfloat16")
    if size.name != "laptop":
        return "float32"
    return default_precision() if name is None else cast(Precision, name)


def _earlier_numbers(out: Path, size: str, seed: int) -> dict[str, Any]:
    """Figures that an earlier run of the same kind left in the summary, when only some are drawn now."""
    try:
        before = json.loads((out / "summary.json").read_text(encoding="utf-8"))
        same = (before["recipe"], before["size"], before["seed"]) == ("li2018", size, seed)
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
