"""`lossatlas demo`: the tutorial's story on scikit-learn's digits; nothing to download, under a minute on two cores."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from lossatlas.archive import open_archive
from lossatlas.compute.evaluation.evaluate import evaluate
from lossatlas.compute.paths.in_plane_optimization import optimize_on_plane
from lossatlas.recipes.common import make_output_folder, path_summary, print_line, surface_summary, with_figures_md, write_summary
from lossatlas.recipes.tutorial import figures
from lossatlas.recipes.tutorial.network import Setting, one_hot
from lossatlas.zoo.data.datasets import load_digits

SEED = 148
SMALL, LARGE = 100, 1000
STARTS = ((7.0, 10.0), (-2.0, 0.0), (7.0, 0.0))
LEARNING_RATE = 50.0


@with_figures_md
def run(out: Path, data: Path | None = None, quick: bool = False, *, progress: bool | None = None) -> dict[str, Any]:
    """Two surfaces, three descents, three figures and an animation of a network for handwritten digits.

    Args:
        out: folder for the results.
        data: not needed; the digits come with scikit-learn.
        quick: coarser surfaces and shorter descents.
        progress: show bars; None shows them on a terminal.
    """
    del data
    torch.set_num_threads(1)
    resolution, epochs = (21, 500) if quick else (51, 1500)
    archive = open_archive(make_output_folder(out) / "archive.zarr", "a")
    setting = _setting()
    surfaces = {}
    for samples in (SMALL, LARGE):
        objective = setting.tail(SEED, samples)
        surfaces[f"n{samples}"] = evaluate(
            objective,
            setting.plane(objective),
            setting.bounds,
            resolution,
            archive=archive,
            name=f"n{samples}",
            title=f"N = {samples:,}",
            overwrite=True,
            progress=progress,
        )
    tail, paths = setting.tail(SEED, SMALL), {}
    for start in STARTS:
        name = f"{start[0]:g},{start[1]:g}"
        paths[name] = optimize_on_plane(
            tail,
            setting.plane(tail),
            start,
            learning_rate=LEARNING_RATE,
            steps=epochs,
            archive=archive,
            name=name,
            label=f"from ({start[0]:g}, {start[1]:g})",
            surface=f"n{SMALL}",
            progress=progress,
        )
    numbers = {
        "surfaces": {name: surface_summary(s) for name, s in surfaces.items()},
        "paths": {name: path_summary(p, (0, 1, 10, 100, 1000)) for name, p in paths.items()},
        "quick": quick,
    }
    summary = write_summary(out, "demo", numbers)
    figures.sample_sizes(surfaces, out / "surfaces.png")
    print_line("surfaces.png   The loss over two weights on 100 and on 1,000 digits: more data, fewer bumps.")
    figures.descents(surfaces[f"n{SMALL}"], paths, out / "descents.png")
    print_line("descents.png   One start is stuck on the plateau, one in a hollow, one finds the way down.")
    figures.animate_contour(surfaces[f"n{SMALL}"], paths, epochs, out / "descent.gif", tuple(range(0, epochs + 1, epochs // 50)))
    print_line("descent.gif    The same three descents, epoch by epoch, with their cost below.")
    figures.page(surfaces, paths, out / "index.html", "Gradient descent on the loss surface of a network for digits")
    print_line("index.html     Both surfaces and the descents to rotate, overlay and play; one file, no network needed.")
    return summary


def _setting() -> Setting:
    digits = load_digits()
    return Setting(
        inputs=digits.images.reshape(len(digits.images), -1) / 16.0,
        targets=one_hot(digits.labels),
        hidden=(40, 300),
        layer=2,
        weights=((3, 50), (3, 51)),
        labels=("$w_a$", "$w_b$"),
        bounds=((-20.0, 20.0), (-22.0, 18.0)),
    )
