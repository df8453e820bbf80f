"""Mohan's viewer, 2019: networks with and without shortcuts in one interactive page, to rotate, overlay and read off.

Trained weights where the data folder has them; an imported surface or a short training for the others, each named as
what it is. Beside the page a figure shows why planes are filter-normalized: one function at two scales of its weights.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr

from lossatlas.archive import create_archive
from lossatlas.compute.couplings import batchnorm_pairs, batchnorm_scaled, outputs, relative_change, states_of, with_states
from lossatlas.compute.evaluate import evaluate
from lossatlas.compute.objective import Objective
from lossatlas.compute.plane import random_plane
from lossatlas.recipes.common import prepare, say, write_summary
from lossatlas.recipes.li2018 import drawing
from lossatlas.recipes.li2018.networks import Net, net, require_pictures
from lossatlas.recipes.li2018.planes import Panel, panel
from lossatlas.recipes.li2018.setting import FULL, QUICK, Setting
from lossatlas.view.open import view
from lossatlas.view.plot import plot
from lossatlas.view.read import surface_from
from lossatlas.view.scene import Camera, ColorScale, Curve, Pane, Scene

NETWORKS = {
    "resnet20": "",
    "resnet20_noshort": "resnet20_no_skip_low_res",
    "resnet56": "",
    "resnet56_noshort": "",
    "vgg16": "",
    "densenet121": "densenet121",
}
"""Each with the imported surface that stands in for it in a quick run."""
QUICK_SIZE = replace(QUICK, samples=64, resolution=17, train_samples=1000, epochs=3, test_samples=500)
FACTOR = 4.0
REACH = {"none": 0.02, "filter": 1.0}
"""Half widths of the lines of the scale demonstration; an unnormalized direction is far longer than the weights."""


def run(
    out: Path,
    data: Path | None = None,
    quick: bool = False,
    *,
    seed: int = 0,
    device: str = "cpu",
    workers: int | None = None,
    progress: bool | None = None,
) -> dict[str, Any]:
    """One page with all networks, a still of it, and the scale demonstration.

    Args:
        out: folder for ``index.html``, the figures, the archive and ``summary.json``; a second run continues there.
        data: folder with CIFAR-10, and with published weights and surfaces where they are at hand.
        quick: smaller planes on fewer pictures, in a few minutes.
        seed: of trainings.
        device: for trainings and planes.
        workers: threads.
        progress: show bars; None shows them on a terminal.

    Raises:
        InputError: no CIFAR-10.
    """
    if quick or workers is not None:
        torch.set_num_threads(1)
    size = QUICK_SIZE if quick else FULL
    setting = Setting(prepare(out), create_archive(out / "archive.zarr"), data, quick, size, seed, progress, device, workers)
    require_pictures(setting)
    panels = []
    for name, stand_in in NETWORKS.items():
        say(f"{name} …")
        panels.append(panel(setting, name, stand_in))
    summary: dict[str, Any] = {"quick": quick, "networks": {p.name: p.summary | _numbers(p.surface) for p in panels}}
    drawing.maps(panels, 3, out / "maps.png", "Six networks on one scale", setting)
    drawing.reliefs(panels, out / "surfaces.png", "Six networks on one scale", setting, columns=3)
    say("surfaces.png   The six surfaces side by side, maps.png from above.")
    summary["scale_invariance"] = scale_demonstration(setting, net(setting, "resnet20"))
    page(panels, out / "index.html", drawing.notes(setting, panels))
    say("index.html     All six to rotate, overlay and read off; one file, no network needed.")
    return write_summary(out, "compare", summary)


def page(panels: Sequence[Panel], file: Path, notes: tuple[str, ...]) -> None:
    """All surfaces in one pane on a log scale; the page opens with ResNet-56 with and without shortcuts."""
    drawn = tuple(
        replace(surface_from(p.surface, name=p.title.split("\n")[0], label=p.title.replace("\n", ": ")), notes=(), origin=(0.0, 0.0))
        for p in panels
    )
    names = tuple(s.name for s in drawn)
    panes = (Pane("surface", names, camera=Camera(35, -55)),)
    scene = Scene(
        panes, drawn, colors=(ColorScale(scale="log", low=1e-3, high=100.0),), title="Loss surfaces with and without shortcuts", notes=notes
    )
    shown = {p.title.split("\n")[0] for p in panels if p.name in ("resnet56", "resnet56_noshort")}
    view(scene, export=file, view={"hidden": [name for name in names if name not in shown], "log": True})


def scale_demonstration(setting: Setting, one: Net) -> dict[str, Any]:
    """The same function with all filters before a BatchNorm four times as large: lines with and without normalization."""
    original = one.objective(setting, setting.size.samples)
    states = states_of(original)
    larger = dict(states)
    for producer, norm, neurons in batchnorm_pairs(original):
        larger = batchnorm_scaled(larger, producer, norm, torch.full((neurons,), FACTOR, dtype=torch.float64))
    change = relative_change(outputs(original, larger), outputs(original, states))
    rescaled = replace(one, module=with_states(original, larger)).objective(setting, setting.size.samples)
    lines = {
        (how, scale): _line(setting, objective, how, scale)
        for how in REACH
        for scale, objective in ((1, original), (int(FACTOR), rescaled))
    }
    _draw_scale(setting, one, lines, setting.out / "scale.png")
    say("scale.png      One function at two scales of its weights: only filter normalization draws it the same.")
    return {
        "network": one.name,
        "factor": FACTOR,
        "output_change": change,
        **{f"line_difference_{how}": _difference(lines[how, 1], lines[how, int(FACTOR)]) for how in REACH},
    }


def _line(setting: Setting, objective: Objective, how: str, scale: int) -> xr.Dataset:
    plane = random_plane(objective, seed=1, normalize=how, ndim=1)  # type: ignore[arg-type]
    reach = REACH[how]
    return evaluate(
        objective,
        plane,
        (-reach, reach),
        setting.size.line,
        archive=setting.archive,
        name=f"scale{scale}_{how}",
        title=f"weights x{scale}, normalize={how}",
        overwrite=True,
        progress=setting.progress,
    )


def _draw_scale(setting: Setting, one: Net, lines: Mapping[tuple[str, int], xr.Dataset], file: Path) -> None:
    words = {"none": "not normalized: the larger weights look flatter", "filter": "filter-normalized: the same curve twice"}
    curves, panes = [], []
    for column, how in enumerate(REACH):
        names = []
        for index, scale in enumerate((1, int(FACTOR))):
            line = lines[how, scale]
            names.append(f"{how} {scale}")
            label = f"weights x{scale}"
            dash = "solid" if scale == 1 else "dashed"
            curves.append(Curve(names[-1], line.alpha.values, line.loss.values, label, drawing.COLORS[index], dash, reveal=False))
        panes.append(
            Pane("curves", curves=tuple(names), title=words[how], column=column, x_label="α", y_label="loss [nats]", y_scale="log")
        )
    notes = (
        f"{one.label}, filters before every BatchNorm multiplied by {FACTOR:g} and its statistics with them: the same function",
        f"one random direction (seed 1), first {setting.size.samples:,} training images, eval mode",
    )
    plot(Scene(tuple(panes), curves=tuple(curves), title="One function, two scales of its weights", notes=notes), file)


def _difference(a: xr.Dataset, b: xr.Dataset) -> float:
    """Greatest difference of two lines as a share of the first one's range."""
    return float(np.abs(a.loss.values - b.loss.values).max() / np.ptp(a.loss.values))


def _numbers(surface: xr.Dataset) -> dict[str, Any]:
    values = np.asarray(surface.loss.values, float)
    rim = np.concatenate([values[0], values[-1], values[1:-1, 0], values[1:-1, -1]])
    return {
        "min": float(np.nanmin(values)),
        "max": float(np.nanmax(values)),
        "rim_median": float(np.nanmedian(rim)),
        "shape": list(values.shape),
    }
