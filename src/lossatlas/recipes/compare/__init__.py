"""Recipe `compare`: ResNet-20 and ResNet-56 with and without shortcuts, VGG-16 and DenseNet-121 in one page (Mohan's viewer).

Networks that `li2018` or this recipe trained on all of CIFAR-10 come first, then published weights, published surfaces and short
trainings, and each surface says which it is. Beside them the reason for filter normalization: one function at two weight scales.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import nn

from lossatlas.archive import Archive, open_archive
from lossatlas.compute.evaluation.evaluate import evaluate
from lossatlas.compute.planes.constructors import random_plane
from lossatlas.errors import InputError
from lossatlas.formats import import_surface
from lossatlas.recipes.common import (
    SizeName,
    make_output_folder,
    parse_size,
    print_line,
    surface_summary,
    with_figures_md,
    write_summary,
)
from lossatlas.recipes.compare import figures
from lossatlas.recipes.compare.networks import WHOLE, Member, chosen_entries, gather
from lossatlas.recipes.compare.weight_rescaling import Scales, compare_scales
from lossatlas.zoo.training import Training
from lossatlas.zoo.training.settings import default_precision

__all__ = ["run"]

SCALED = "resnet20"
"""The network that is shown at two weight scales."""


@dataclass(frozen=True)
class RunSize:
    """Amount of computation.

    Attributes:
        images: training images under each surface; `test_images` those of the test error, None is all.
        resolution: cells along each axis; `tol` the error of interpolated cells, of the range of log loss.
        samples, epochs, batch_size: of a training; `settings` what else differs from Adam's short training.
        line, line_images: points of the lines at two weight scales, and images under them.
    """

    images: int
    test_images: int | None
    resolution: int
    tol: float
    samples: int
    epochs: int
    batch_size: int
    line: int
    line_images: int
    settings: Mapping[str, Any] = field(default_factory=dict)


FULL = RunSize(images=1000, test_images=None, resolution=51, tol=0.01, samples=10_000, epochs=30, batch_size=128, line=41, line_images=1000)
LAPTOP = RunSize(
    images=WHOLE,
    test_images=None,
    resolution=31,
    tol=0.03,
    samples=WHOLE,
    epochs=16,
    batch_size=128,
    line=41,
    line_images=2000,
    settings={"optimizer": "sgd", "schedule": "one-cycle", "learning_rate": 0.1, "channels_last": True},
)
"""VGG-16 learns all of CIFAR-10 in about two hours of a core with bfloat16 instructions."""
QUICK = RunSize(images=48, test_images=500, resolution=21, tol=0.02, samples=500, epochs=6, batch_size=50, line=41, line_images=48)
SIZES: dict[SizeName, RunSize] = {"quick": QUICK, "laptop": LAPTOP, "full": FULL}


@with_figures_md
def run(
    out: Path,
    data: Path | None = None,
    quick: bool = False,
    *,
    size: str | None = None,
    networks: str | None = None,
    trained: str | None = None,
    images: int | None = None,
    test_images: int | None = None,
    resolution: int | None = None,
    samples: int | None = None,
    epochs: int | None = None,
    seed: int = 0,
    device: str | None = None,
    train_only: bool = False,
    progress: bool | None = None,
) -> dict[str, Any]:
    """Gather the networks, fill a filter-normalized plane around each, draw them on one scale and in one page.

    Args:
        out: folder for archive, figures, page, short trainings and summary; the same call continues a stopped run.
        data: folder with CIFAR-10, the published weights and surfaces.
        quick: few images, a coarse grid and a short training; a few minutes on two idle cores.
        size: "quick", "laptop" (networks without published weights learn all of CIFAR-10, surfaces on all training images) or "full".
        networks: names with commas between; None takes all six.
        trained: folder of a run of `li2018`, whose networks are taken where they learned all of CIFAR-10; None looks beside `out`.
        images: training images under each surface.
        test_images: under each test error.
        resolution: cells along each axis.
        samples: training images of a short training.
        epochs: of a short training.
        seed: of directions and short trainings.
        device: None takes a GPU where there is one.
        train_only: train the networks that have no weights and stop before the surfaces.
        progress: show bars; None shows them on a terminal.

    Raises:
        InputError: an unknown network, or numbers that are not positive.
    """
    name = parse_size(size, quick)
    amount = _size(name, images=images, test_images=test_images, resolution=resolution, samples=samples, epochs=epochs)
    where = device or ("cuda" if torch.cuda.is_available() else "cpu")
    entries = chosen_entries(networks)
    archive = open_archive(make_output_folder(out) / "archive.zarr", "a")
    members: dict[str, Member] = {}
    surfaces: dict[str, xr.Dataset] = {}
    for entry in entries:
        training = _training(entry.network, amount, seed)
        folders = out / "trained" / entry.name, Path(trained or out.parent / "li2018") / "trainings" / entry.name
        member = gather(entry, folders, data, training, amount.test_images, where, progress)
        print_line(member.title)
        if not train_only:
            members[entry.name], surfaces[entry.name] = member, _surface(archive, member, data, amount, seed, where, progress)
    if train_only:
        return {}
    summary: dict[str, Any] = {
        "size": name,
        "quick": name == "quick",
        "seed": seed,
        "device": where,
        "networks": {name: {**m.summary(), "center_loss": _center(surfaces[name])} for name, m in members.items()},
        "surfaces": {name: surface_summary(s) for name, s in surfaces.items()},
    }
    write_summary(out, "compare", summary)
    _draw(surfaces, _notes(members, name), out)
    if (member := members.get(SCALED)) is not None and member.model is not None:
        images_of_lines = replace(amount, images=min(amount.images, FULL.images))
        scales = _scales(archive, member, data, images_of_lines, seed, where, progress)
        figures.draw_scales(scales, member.entry.label, out / "scales.png")
        print_line("scales.png     The same function at two weight scales, without and with filter normalization.")
        summary["scales"] = scales.numbers
    return write_summary(out, "compare", summary)


def _size(name: SizeName, **overrides: int | None) -> RunSize:
    for argument, number in overrides.items():
        if number is not None and number < 1:
            raise InputError(argument, number, "a positive number")
    return replace(SIZES[name], **{name: number for name, number in overrides.items() if number is not None})


def _training(network: str, size: RunSize, seed: int) -> Training:
    """Adam, but on a laptop, which gets somewhere within few epochs where the paper's schedule has hardly begun."""
    options: dict[str, Any] = {"samples": size.samples, "test_samples": size.test_images, "batch_size": size.batch_size}
    options |= {"optimizer": "adam", **size.settings}
    if size.settings:
        options["precision"] = default_precision()
    return Training(network, epochs=size.epochs, seed=seed, record_every=size.epochs, **options)


def _surface(
    archive: Archive, member: Member, data: Path | None, size: RunSize, seed: int, device: str, progress: bool | None
) -> xr.Dataset:
    name = member.entry.name
    if member.file is not None:
        archive.write_surface(name, import_surface(member.file).assign_attrs(title=member.title))
        return archive.surface(name)
    objective = member.objective(data, size.images, device)
    return evaluate(
        objective,
        random_plane(objective, seed),
        (-1.0, 1.0),
        size.resolution,
        archive=archive,
        tol=size.tol,
        tol_scale="log",
        name=name,
        title=member.title,
        overwrite=True,
        progress=progress,
    )


def _scales(archive: Archive, member: Member, data: Path | None, size: RunSize, seed: int, device: str, progress: bool | None) -> Scales:
    assert member.model is not None

    def objective_of(model: nn.Module) -> Any:
        return replace(member, model=model).objective(data, min(size.line_images, size.images), device)

    return compare_scales(member.model, objective_of, archive, size.line, seed, progress)


def _notes(members: dict[str, Member], size: SizeName) -> tuple[str, ...]:
    """Quick or full, how many test images stand behind the errors, and what each network is that is not the published one."""
    counts = {m.test["samples"] for m in members.values() if m.test is not None}
    tests = f"; test errors on the first {max(counts):,} test images" if counts else ""
    return (f"{size} run{tests}", *(m.note for m in members.values() if m.note))


def _draw(surfaces: dict[str, xr.Dataset], notes: tuple[str, ...], out: Path) -> None:
    figures.panels(surfaces, notes, out / "panels.png")
    print_line("panels.png     All landscapes from above on one logarithmic scale.")
    figures.reliefs(surfaces, notes, out / "reliefs.png")
    print_line("reliefs.png    The same as reliefs.")
    figures.page(surfaces, notes, out / "index.html")
    print_line("index.html     All of them to rotate, overlay and compare; one file, no network needed.")


def _center(surface: xr.Dataset) -> float | None:
    """The loss where the network itself stands, if a cell is there."""
    loss = surface.loss.sel(alpha=0.0, beta=0.0, method="nearest")
    near = abs(float(loss.alpha)) + abs(float(loss.beta)) < 1e-9
    return float(loss) if near and np.isfinite(loss) else None
