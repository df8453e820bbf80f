"""Figures of loss planes, as scenes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from lossatlas._util.text import format_percent
from lossatlas.recipes.li2018.config import RunConfig
from lossatlas.recipes.li2018.networks import training_label
from lossatlas.viz.api import plot
from lossatlas.viz.compose.camera import choose_camera
from lossatlas.viz.compose.from_datasets import surface_from
from lossatlas.viz.scene.model import ColorScale, Curve, Pane, Scene, Surface
from lossatlas.viz.scene.uncertainty import cells_beyond_tolerance

if TYPE_CHECKING:
    from lossatlas.recipes.li2018.networks import Net
    from lossatlas.recipes.li2018.types import Panel

LOSS = ColorScale(scale="log", levels=25, low=1e-3, high=100.0)
"""One scale for all networks: from a thousandth of a nat to a hundred; guessing among ten classes is 2.3."""
SOLUTIONS = ColorScale(scale="log", levels=31, high=100.0)
"""One scale for solutions of one network, from the lowest of them."""
RATIO = ColorScale(quantity="hessian_ratio", colormap="viridis", low=0.0, high=1.0, levels=21)
EIGENVALUES = tuple(ColorScale(quantity=quantity, scale="log", levels=25) for quantity in ("lambda_max", "minus_lambda_min"))
COLORS = ("#1d5fa8", "#c1121f", "#2f7d4f", "#7b2d8b")


def reliefs(panels: Sequence[Panel], file: FilePath, title: str, setting: RunConfig, more: tuple[str, ...] = ()) -> None:
    """Surfaces side by side in relief, heights and colors on one log scale."""
    drawn = [panel_notes(panel) for panel in panels]
    color = with_common_limits(LOSS, drawn)
    camera = choose_camera(drawn, color)
    panes = tuple(
        Pane("surface", (s.name,), title=p.title, column=i, camera=camera) for i, (p, s) in enumerate(zip(panels, drawn, strict=True))
    )
    plot(Scene(panes, tuple(drawn), colors=(color,), title=title, notes=(*notes(setting, panels), *more)), file)


def maps(panels: Sequence[Panel], columns: int, file: FilePath, title: str, setting: RunConfig) -> None:
    """Contours in rows of `columns`, one log scale."""
    drawn = [panel_notes(panel) for panel in panels]
    color = with_common_limits(LOSS, drawn)
    drawn = [hatched_on(color, surface, setting.size.tol) for surface in drawn]
    panes = tuple(
        Pane("contour", (s.name,), title=p.title, row=i // columns, column=i % columns)
        for i, (p, s) in enumerate(zip(panels, drawn, strict=True))
    )
    plot(Scene(panes, tuple(drawn), colors=(color,), title=title, notes=notes(setting, panels)), file)


MEASURES = {
    "negative_share_center": ("negative curvature near the center", "share of cells"),
    "basins": ("basins deeper than {floor:g} nats", "basins"),
    "rim_median": ("median height of the rim", "loss [nats]"),
}
"""What is told of every plane: title and axis of its pane."""


def roughness_points(numbers: Mapping[str, Any], nets: Mapping[str, Net], file: FilePath, setting: RunConfig) -> None:
    """Negative curvature, basins and rim of each network: a point a plane, a dashed line at the mean."""
    curves, panes = [], []
    for column, (measure, (title, caption)) in enumerate(MEASURES.items()):
        names = []
        for index, (network, measures) in enumerate(numbers.items()):
            values = np.array([plane[measure] for plane in measures["planes"]], dtype=float)
            planes = np.arange(1, len(values) + 1, dtype=float)
            error = format_percent(1 - nets[network].test_accuracy)
            label = f"{nets[network].label}, test error {error}"
            mean = np.full(len(values), values.mean())
            points = Curve(f"{measure} {network}", planes, values, label, COLORS[index], reveal=False, points=True)
            curves += [points, Curve(f"mean {points.name}", planes, mean, "its mean", COLORS[index], "dashed", reveal=False)]
            names += [points.name, curves[-1].name]
        floor = next(iter(numbers.values()))["floor"]
        panes.append(
            Pane("curves", curves=tuple(names), column=column, title=title.format(floor=floor), x_label="random plane", y_label=caption)
        )
    first = next(iter(numbers.values()))
    size = f"{first['resolution']} x {first['resolution']}"
    notes = (
        f"{setting.run_label}, trained weights; test error on {setting.size.test_samples:,} test images",
        f"{len(first['planes'])} filter-normalized random planes, {size} cells on [−1, 1], {setting.size.fixed_samples:,} training images",
        "near the center: cells within half of the bounds whose 2 x 2 curvature in the plane has a negative eigenvalue; "
        "finer grids find more basins",
    )
    plot(Scene(tuple(panes), curves=tuple(curves), title="How rough: three numbers on several random planes", notes=notes), file)


def ratio_maps(panels: Sequence[Panel], file: FilePath, setting: RunConfig) -> None:
    """A column a network: the ratio of the eigenvalues above, the two themselves below, each row on one scale."""
    drawn, panes = [], []
    for column, panel in enumerate(panels):
        surface = with_minus_lambda_min(panel_notes(panel))
        drawn.append(surface)
        titles = {"hessian_ratio": panel.title, "lambda_max": "largest eigenvalue", "minus_lambda_min": "minus the smallest eigenvalue"}
        for row, (quantity, title) in enumerate(titles.items()):
            panes.append(Pane("contour", (surface.name,), title=title, quantity=quantity, row=row, column=column))
    title = "|smallest / largest Hessian eigenvalue| over the plane, and both values"
    plot(Scene(tuple(panes), tuple(drawn), colors=(RATIO, *EIGENVALUES), title=title, notes=notes(setting, panels)), file)


def with_minus_lambda_min(surface: Surface) -> Surface:
    """With minus the smallest eigenvalue as ``minus_lambda_min``, which a log scale can show wherever there is negative curvature."""
    low = surface.fields["lambda_min"]
    turned = replace(low, values=-low.values, label=f"minus the smallest eigenvalue [{low.units}]")
    return replace(surface, name=f"ratio {surface.name}", fields={**surface.fields, "minus_lambda_min": turned})


def with_common_limits(scale: ColorScale, surfaces: Sequence[Surface]) -> ColorScale:
    """The scale, narrower where the losses drawn do not need all of it."""
    values = np.concatenate([s.fields["loss"].values.ravel() for s in surfaces])
    values = values[np.isfinite(values) & (values > 0)]
    low, high = float(values.min()), float(values.max())
    return replace(scale, low=low if scale.low is None else max(low, scale.low), high=high if scale.high is None else min(high, scale.high))


def hatched_on(color: ColorScale, surface: Surface, tol: float | None) -> Surface:
    """The surface without hatches where its loss is certain enough on the common scale; its own range may be far narrower."""
    loss = surface.fields["loss"]
    if tol is None or loss.imprecise is None or loss.standard_error is None or color.low is None or color.high is None:
        return surface
    beyond = cells_beyond_tolerance(loss.values, loss.standard_error, tol, "log", (color.low, color.high))
    mask = loss.imprecise.mask & beyond.mask if beyond else np.zeros_like(loss.imprecise.mask)
    imprecise = replace(loss.imprecise, mask=mask) if mask.any() else None
    return replace(surface, fields={**surface.fields, "loss": replace(loss, imprecise=imprecise)})


def panel_notes(panel: Panel) -> Surface:
    """The surface without its own notes: a figure of several says once what holds for all."""
    return replace(surface_from(panel.surface, name=panel.name, label=panel.title.split("\n")[0]), notes=())


def notes(setting: RunConfig, panels: Sequence[Panel]) -> tuple[str, ...]:
    """Provenance notes of the figure, once for all its panes."""
    computed = [p.surface for p in panels if p.summary["source"] != "imported surface"]
    trained = any(p.summary["source"] not in ("trained weights", "imported surface") for p in panels)
    lines = [run_note(setting, trained)]
    if computed:
        plane, objective = computed[0].attrs["plane"], computed[0].attrs["objective"]
        cosines = " and ".join(dict.fromkeys(f"{s.attrs['plane']['cosine']:.2g}" for s in computed))
        lines.append(
            f"axes: random directions (seed {plane['seed']}), filter-normalized, biases and BatchNorm fixed, cosine between axes {cosines}"
        )
        lines.append(
            f"loss: cross-entropy on the first {objective['samples']:,} training images without augmentation, "
            "eval mode (stored BatchNorm statistics)" + ("" if setting.size.tol is None else ", sampled from them")
        )
    if len(computed) < len(panels):
        lines.append("imported surfaces: another's run, read from files; directions and data are not known")
    return tuple(lines)


def run_note(setting: RunConfig, trained: bool) -> str:
    """Quick or full, what trainings of this run saw, and behind which pictures the test errors stand."""
    size = setting.size
    tests = f"test error on {size.test_samples:,} test images"
    if not trained:
        return f"{setting.run_label}; {tests}"
    counts = sorted({options.get("epochs", size.epochs) for options in size.trainings.values()} or {size.epochs})
    epochs = " or ".join(map(str, counts)) + " epochs"
    how = f"the paper's schedule of {epochs}" if size.name == "full" else f"{size.train_samples:,} pictures for {epochs}"
    return f"{setting.run_label}: {training_label(setting)}s see {how}; {tests}"


def line_surface(dataset: xr.Dataset, name: str, label: str) -> Surface:
    """A line for a pane, without its own notes."""
    return replace(surface_from(dataset, name=name, label=label), notes=())
