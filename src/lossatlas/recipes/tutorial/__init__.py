"""Recipe `tutorial`: gradient descent and loss landscapes of a real MNIST network (Roeschl 2020).

Reproduces figures 3 to 8 of the article and both animations, with its numbers to the last digit it prints, and adds
what its closing remark suggests: the same starts under five optimizers.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr

from lossatlas.archive import Archive, open_archive
from lossatlas.compute.evaluation.evaluate import evaluate
from lossatlas.compute.paths.in_plane_optimization import optimize_on_plane
from lossatlas.errors import InputError
from lossatlas.recipes.common import make_output_folder, path_summary, print_line, surface_summary, with_figures_md, write_summary
from lossatlas.recipes.tutorial import figures
from lossatlas.recipes.tutorial.network import Setting, article_gradient, one_hot
from lossatlas.zoo.data.datasets import load_mnist

STARTS = ((-9.0, 15.0), (-10.1, 15.0), (-11.0, 15.0))
LARGE = 10_000
LEARNING_RATES = {"sgd": 5.0, "momentum": 5.0, "adagrad": 1.0, "rmsprop": 0.05, "adam": 0.1}
"""Of the true gradient; 5 is the article's 10, whose gradient lacks the factor 2."""
REPORTED = (0, 1, 10, 100, 1000, 2000, 5000, 8900, 9999)


@dataclass(frozen=True)
class RunSize:
    """Amount of computation: the article's, or that of a quick look."""

    resolution: int
    gallery: int
    epochs: int
    optimizer_epochs: int
    large: int


FULL = RunSize(resolution=40, gallery=25, epochs=10_000, optimizer_epochs=4_000, large=LARGE)
QUICK = RunSize(resolution=20, gallery=13, epochs=2_000, optimizer_epochs=600, large=LARGE)


@dataclass(frozen=True)
class Gallery:
    """A figure of the article that shows several seeds of hidden-layer weights."""

    name: str
    samples: int
    weights: tuple[tuple[int, int], tuple[int, int]]
    seeds: tuple[int, ...]
    title: str


GALLERIES = (
    Gallery("figure7", 500, ((200, 30), (200, 31)), (3, 16, 60, 140), "w₂₀₀,₃₀ and w₂₀₀,₃₁ of the second layer"),
    # The article's panel "seed 106" passes 140 to its code; the seed that was used is the one named here.
    Gallery("figure8", 1000, ((5, 5), (5, 6)), (158, 20, 41, 140), "w₅,₅ and w₅,₆ of the second layer"),
)


@with_figures_md
def run(
    out: Path,
    data: Path | None = None,
    quick: bool = False,
    *,
    sample_size: int = 100,
    resolution: int | None = None,
    seed: int = 135,
    gradient: str = "article",
    progress: bool | None = None,
) -> dict[str, Any]:
    """Compute, draw and animate the tutorial.

    Args:
        out: folder for `archive.zarr`, figures, animations and `summary.json`.
        data: folder with MNIST; None is `LOSSATLAS_DATA`, the neighboring shared data or a download.
        quick: coarser surfaces, shorter descents, fewer seeds' cells.
        sample_size: training images of the small sample, on which descents run.
        resolution: points along each axis of the two surfaces.
        seed: of the network's weights.
        gradient: "article" (without the factor 2), or "true" to run the true gradient beside it.
        progress: show bars; None shows them on a terminal.
    """
    if gradient not in ("article", "true"):
        raise InputError("gradient", gradient, '"article" or "true"')
    size = QUICK if quick else FULL
    if not 1 <= sample_size <= 60_000:
        raise InputError("sample_size", sample_size, "1 to 60,000 training images")
    torch.set_num_threads(1)
    setting = _setting(data, max(sample_size, size.large))
    archive = open_archive(make_output_folder(out) / "archive.zarr", "a")
    cells = resolution or size.resolution
    surfaces = {f"n{n}": _surface(setting, seed, n, cells, archive, progress) for n in dict.fromkeys((sample_size, size.large))}
    rules = ("article",) if gradient == "article" else ("article", "true")
    paths = _descents(setting, seed, sample_size, size, rules, archive, progress)
    galleries = {g.name: _gallery(setting, g, size.gallery, archive, progress) for g in GALLERIES}
    summary = {
        "surfaces": {name: surface_summary(s) for name, s in (surfaces | {n: s for g in galleries.values() for n, s in g.items()}).items()},
        "paths": {name: path_summary(p, REPORTED) for name, p in paths.items()},
        "quick": quick,
        "seed": seed,
    }
    written = write_summary(out, "tutorial", summary)
    _draw(out, surfaces, paths, galleries, f"n{sample_size}", quick)
    return written


def _setting(data: Path | None, count: int) -> Setting:
    images = load_mnist(data, "train", count)
    return Setting(
        inputs=images.images.reshape(len(images.images), -1) / 255.0,
        targets=one_hot(images.labels),
        hidden=(50, 500),
        layer=2,
        weights=((5, 250), (5, 251)),
        labels=("$w_a$", "$w_b$"),
        bounds=((-15.0, 17.0), (-15.0, 18.0)),
    )


def _surface(setting: Setting, seed: int, samples: int, resolution: int, archive: Archive, progress: bool | None) -> xr.Dataset:
    objective = setting.tail(seed, samples)
    name, title = f"n{samples}", f"N = {samples:,}"
    return evaluate(
        objective,
        setting.plane(objective),
        setting.bounds,
        resolution,
        archive=archive,
        name=name,
        title=title,
        progress=progress,
        overwrite=True,
    )


def _descents(
    setting: Setting, seed: int, samples: int, size: RunSize, rules: tuple[str, ...], archive: Archive, progress: bool | None
) -> dict[str, xr.Dataset]:
    """The article's three descents, then every optimizer from the same starts with the true gradient."""
    tail = setting.tail(seed, samples)
    plane, rule = setting.plane(tail), article_gradient(tail)
    paths: dict[str, xr.Dataset] = {}
    runs = [("article", "sgd", 10.0, size.epochs, rule)] if "article" in rules else []
    runs += [("true", "sgd", 10.0, size.epochs, None)] if "true" in rules else []
    runs += [(name, name, rate, size.optimizer_epochs, None) for name, rate in LEARNING_RATES.items()]
    for label, optimizer, rate, epochs, gradient in runs:
        for start in STARTS:
            name = f"{label}:{start[0]:g},{start[1]:g}"
            paths[name] = optimize_on_plane(
                tail,
                plane,
                start,
                optimizer=optimizer,
                learning_rate=rate,
                steps=epochs,
                gradient=gradient,
                archive=archive,
                name=name.replace(":", " "),
                label=f"{label} from ({start[0]:g}, {start[1]:g})",
                surface=f"n{samples}",
                progress=progress,
            )
    return paths


def _gallery(setting: Setting, gallery: Gallery, resolution: int, archive: Archive, progress: bool | None) -> dict[str, xr.Dataset]:
    surfaces = {}
    for seed in gallery.seeds:
        hidden = Setting(setting.inputs, setting.targets, setting.hidden, 1, gallery.weights, ("$w_a$", "$w_b$"), setting.bounds)
        objective = hidden.tail(seed, gallery.samples)
        name = f"{gallery.name}-seed{seed}"
        surfaces[name] = evaluate(
            objective,
            hidden.plane(objective),
            hidden.bounds,
            resolution,
            archive=archive,
            name=name,
            title=f"seed {seed}",
            progress=progress,
            overwrite=True,
        )
    return surfaces


def _draw(
    out: Path,
    surfaces: dict[str, xr.Dataset],
    paths: dict[str, xr.Dataset],
    galleries: dict[str, dict[str, xr.Dataset]],
    small: str,
    quick: bool,
) -> None:
    """Every figure and both animations, each with a line of what to see."""
    article = {name: path for name, path in paths.items() if name.startswith("article:")}
    others = {name: path for name, path in paths.items() if name.split(":")[0] in LEARNING_RATES}
    figures.sample_sizes(surfaces, out / "figure3.png")
    print_line("figure3.png   The same two weights on 100 and on 10,000 images: more data smooths the landscape.")
    figures.single(surfaces[small], out / "figure4.png")
    print_line("figure4.png   Plateaus, ridges and valleys of the small sample.")
    figures.descents(surfaces[small], article, out / "descents.png")
    print_line("descents.png  Three starts side by side end in different places: one leaves, one gets stuck.")
    figures.optimizers(surfaces[small], others, out / "optimizers.png")
    print_line("optimizers.png  The same three starts under five optimizers.")
    for gallery in GALLERIES:
        figures.gallery(galleries[gallery.name], gallery.title, gallery.samples, out / f"{gallery.name}.png")
        print_line(f"{gallery.name}.png   {gallery.title}: how the landscape changes with the seed.")
    every = 3 if quick else 1
    last = int(np.min([path.sizes["step"] for path in article.values()])) - 1
    figures.animate_surface(surfaces[small], article, last, out / "animation1.gif", figures.FRAME_EPOCHS[::every])
    print_line("animation1.gif  The three descents on the surface and on its map.")
    figures.animate_contour(surfaces[small], article, last, out / "animation2.gif", figures.CONTOUR_EPOCHS[::every])
    print_line("animation2.gif  The map alone, with their cost curves below.")
    figures.page(surfaces, article, out / "index.html", "Gradient descent on the loss surface of an MNIST network")
    print_line("index.html    The same to rotate, overlay and play, in one file that needs no network.")
