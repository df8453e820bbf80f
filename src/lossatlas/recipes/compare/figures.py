"""Figures and page of the comparison, as scenes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import xarray as xr

from lossatlas._util.text import format_rough_percent
from lossatlas.recipes.compare.weight_rescaling import FACTOR, NORMALIZATION_LABELS, REACH, Key, Scales
from lossatlas.viz.api import plot, view
from lossatlas.viz.compose.camera import choose_camera
from lossatlas.viz.compose.from_datasets import surface_from
from lossatlas.viz.scene.model import Camera, ColorScale, Curve, Pane, Scene, Surface

LOG = ColorScale(scale="log")
TITLE = "Loss landscapes of networks for CIFAR-10"
COLUMNS = 3
FIRST_SHOWN = ("resnet56", "resnet56_noshort")
SCALE_COLORS = {1: "#0072b2", FACTOR: "#d55e00"}


def panels(surfaces: Mapping[str, xr.Dataset], notes: tuple[str, ...], file: Path) -> None:
    """All surfaces from above on one logarithmic scale."""
    drawn = _bare(surfaces)
    titles = [_two_lines(s.attrs["title"]) for s in surfaces.values()]
    panes = tuple(Pane("contour", (s.name,), title=titles[i], row=i // COLUMNS, column=i % COLUMNS) for i, s in enumerate(drawn))
    plot(Scene(panes, drawn, colors=(LOG,), title=f"{TITLE}, on one scale", notes=(*notes, *unique_notes(surfaces))), file)


def reliefs(surfaces: Mapping[str, xr.Dataset], notes: tuple[str, ...], file: Path) -> None:
    """The same as reliefs."""
    drawn = _bare(surfaces)
    titles = [_two_lines(s.attrs["title"]) for s in surfaces.values()]
    camera = choose_camera(drawn, LOG)
    panes = tuple(
        Pane("surface", (s.name,), title=titles[i], row=i // COLUMNS, column=i % COLUMNS, camera=camera) for i, s in enumerate(drawn)
    )
    plot(Scene(panes, drawn, colors=(LOG,), title=f"{TITLE}, on one scale", notes=(*notes, *unique_notes(surfaces))), file)


def page(surfaces: Mapping[str, xr.Dataset], notes: tuple[str, ...], file: Path) -> None:
    """Everything in one interactive page: ResNet-56 with and without shortcuts overlaid, the others a click away."""
    drawn = tuple(replace(s, label=_short(s.label), notes=(s.label, *s.notes)) for s in _surfaces(surfaces))
    names = [s.name for s in drawn]
    shown = [name for name in FIRST_SHOWN if name in names] or names[:2]
    scene = Scene((Pane("surface", tuple(names), camera=Camera(30, -55)),), drawn, colors=(LOG,), title=TITLE, notes=notes)
    view(scene, export=file, view={"log": True, "hidden": [name for name in names if name not in shown], "active": shown[0]})


def draw_scales(scales: Scales, label: str, file: Path) -> None:
    """Two weight scales of one function: apart along steps of one length, together along filter-normalized ones."""
    curves = {key: _curve(key, line, scales) for key, line in scales.lines.items()}
    wide, numbers = scales.numbers["fixed_step"], scales.numbers["filter_normalized"]
    titles = {
        "none": f"steps of one length: {_times(wide['width'])}, 1 nat up",
        "filter": f"filter-normalized: largest difference {numbers['largest_difference']:.2g} nats",
    }
    x_labels = {"none": "length of the step / norm of the original weights", "filter": "α"}
    panes = tuple(
        Pane(
            "curves",
            curves=tuple(curves[normalize, factor].name for factor in (1, FACTOR)),
            column=column,
            title=titles[normalize],
            x_label=x_labels[normalize],
            y_label="cross-entropy [nats]",
            y_scale="log",
        )
        for column, normalize in enumerate(NORMALIZATION_LABELS)
    )
    found_notes = surface_from(scales.lines["filter", 1]).all_notes()
    notes = (
        f"both networks compute the same outputs (largest difference {scales.numbers['output_difference']:.2g}): each convolution before a "
        f"batch norm is {FACTOR} times as large, the batch norm undoes it",
        "left: a random direction as drawn, right: " + found_notes[0],
        *found_notes[1:],
    )
    title = f"{label}: the same function at two weight scales"
    plot(Scene(panes, curves=tuple(curves.values()), title=title, notes=notes), file)


def _curve(key: Key, line: xr.Dataset, scales: Scales) -> Curve:
    normalize, factor = key
    alpha = np.asarray(line.alpha.values, np.float64)
    label = "weights as trained" if factor == 1 else f"weights × {factor}"
    shown = REACH * alpha / alpha[-1] if normalize == "none" else alpha
    loss = np.asarray(line.loss.values, np.float64)
    return Curve(f"{normalize}:{factor}", shown, loss, label, SCALE_COLORS[factor], "solid" if factor == 1 else "dashed")


def _times(widths: Mapping[str, float | None]) -> str:
    narrow, wide = widths["1"], widths[str(FACTOR)]
    return f"looks {wide / narrow:.2f} times as wide" if narrow and wide else "looks wider"


def _surfaces(surfaces: Mapping[str, xr.Dataset]) -> tuple[Surface, ...]:
    return tuple(surface_from(dataset, name=name, label=dataset.attrs["title"]) for name, dataset in surfaces.items())


def _bare(surfaces: Mapping[str, xr.Dataset]) -> tuple[Surface, ...]:
    """Named shortly and without their own notes: `unique_notes` says for all of them what those would repeat."""
    return tuple(replace(s, label=_short(s.label).split(" · ")[0], notes=()) for s in _surfaces(surfaces))


def unique_notes(surfaces: Mapping[str, xr.Dataset]) -> tuple[str, ...]:
    """Provenance of the surfaces computed here, in lines for all of them; each one's whole notes stand in the page."""
    planes = {s.attrs["title"].split(" · ")[0]: s for s in surfaces.values() if s.attrs.get("plane", {}).get("kind") == "random"}
    if not planes:
        return ()
    first = next(iter(planes.values())).attrs
    cosine = max(abs(s.attrs["plane"]["cosine"]) for s in planes.values())
    shares = ", ".join(f"{name} {format_rough_percent(float(s.done.mean()))}" for name, s in planes.items())
    errors = [s.attrs["estimated_error"] for s in planes.values() if np.isfinite(s.attrs.get("estimated_error", np.nan))]
    between = f", the others interpolated (estimated error up to {format_rough_percent(max(errors))} of the log range)" if errors else ""
    spread = max(float(s.loss_standard_error.max()) for s in planes.values())
    return (
        f"computed here: random directions (seed {first['plane']['seed']}), filter-normalized, biases and BatchNorm fixed, "
        f"cosine between axes at most {cosine:.2g}",
        f"loss: cross-entropy on the first {first['objective']['samples']:,} training images, eval mode (stored BatchNorm statistics); "
        f"standard error of a cell up to {spread:.2g} nats",
        f"cells computed: {shares}{between}",
    )


def _two_lines(label: str) -> str:
    """The network above, what it is below."""
    name, _, rest = label.partition(" · ")
    return f"{name}\n{rest}"


def _short(label: str) -> str:
    """For the page's narrow legend: network and origin; the whole line stands first among its notes.

    >>> _short("VGG-16 · short training · test error 70.1%")
    'VGG-16 · short training'
    """
    return " · ".join(label.split(" · ")[:2]).replace(" weights", "").replace(" surface", "")
