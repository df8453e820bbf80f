"""The recipe's figures as scenes: which panes, which shared scale, which words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from lossatlas.recipes.li2018.setting import Setting
from lossatlas.view.plot import plot
from lossatlas.view.read import surface_from
from lossatlas.view.scene import Camera, ColorScale, Curve, Pane, Scene, Surface

if TYPE_CHECKING:
    from lossatlas.recipes.li2018.planes import Panel

LOSS = ColorScale(scale="log", levels=25, low=1e-3, high=100.0)
"""One scale for all networks: from a thousandth of a nat to a hundred; guessing among ten classes is 2.3."""
SOLUTIONS = ColorScale(scale="log", levels=31, high=100.0)
"""One scale for solutions of one network, from the lowest of them."""
RATIO = ColorScale(quantity="hessian_ratio", colormap="viridis", low=0.0, high=0.5, levels=21)
COLORS = ("#1d5fa8", "#c1121f", "#2f7d4f", "#7b2d8b")
RELIEF = Camera(35, -55)


def reliefs(panels: Sequence[Panel], file: FilePath, title: str, setting: Setting, more: tuple[str, ...] = ()) -> None:
    """Surfaces side by side in relief, heights and colors on one log scale."""
    drawn = [shown(panel) for panel in panels]
    panes = tuple(
        Pane("surface", (s.name,), title=p.title, column=i, camera=RELIEF) for i, (p, s) in enumerate(zip(panels, drawn, strict=True))
    )
    plot(Scene(panes, tuple(drawn), colors=(LOSS,), title=title, notes=(*notes(setting, panels), *more)), file)


def maps(panels: Sequence[Panel], columns: int, file: FilePath, title: str, setting: Setting) -> None:
    """Contours in rows of `columns`, one log scale."""
    drawn = [shown(panel) for panel in panels]
    panes = tuple(
        Pane("contour", (s.name,), title=p.title, row=i // columns, column=i % columns)
        for i, (p, s) in enumerate(zip(panels, drawn, strict=True))
    )
    plot(Scene(panes, tuple(drawn), colors=(LOSS,), title=title, notes=notes(setting, panels)), file)


def roughness_bars(numbers: Mapping[str, Any], labels: Mapping[str, str], file: FilePath, setting: Setting) -> None:
    """Negative curvature, basins and rim of each network, plane by plane."""
    measures = {
        "negative_share": "share of cells with\nnegative curvature in the plane",
        "basins": f"basins deeper than {next(iter(numbers.values()))['floor']:g} nats",
        "rim_median": "median loss on the rim [nats]",
    }
    curves, panes = [], []
    for column, (measure, words) in enumerate(measures.items()):
        for index, (name, found) in enumerate(numbers.items()):
            values = np.array([plane[measure] for plane in found["planes"]], dtype=float)
            key = f"{measure} {name}"
            curves.append(Curve(key, np.arange(1, len(values) + 1, dtype=float), values, labels[name], COLORS[index], reveal=False))
        names = tuple(f"{measure} {name}" for name in numbers)
        panes.append(Pane("curves", curves=names, column=column, x_label="random plane", y_label=words))
    title = "How rough: the same numbers over several random planes"
    plot(Scene(tuple(panes), curves=tuple(curves), title=title, notes=(run_note(setting),)), file)


def ratio_maps(panels: Sequence[Panel], file: FilePath, setting: Setting) -> None:
    """Ratio of smallest to largest Hessian eigenvalue above, the two themselves below."""
    drawn, panes = [], []
    for column, panel in enumerate(panels):
        surface = replace(shown(panel), name=f"ratio {panel.name}")
        drawn.append(surface)
        panes.append(Pane("contour", (surface.name,), title=panel.title, quantity="hessian_ratio", column=column, color=RATIO))
        for row, (quantity, words) in enumerate((("lambda_max", "largest eigenvalue"), ("lambda_min", "smallest eigenvalue")), start=1):
            panes.append(
                Pane("contour", (surface.name,), title=words, quantity=quantity, row=row, column=column, color=_own_scale(panel, quantity))
            )
    title = "|smallest / largest Hessian eigenvalue| over the plane, and both values"
    plot(Scene(tuple(panes), tuple(drawn), colors=(RATIO,), title=title, notes=notes(setting, panels)), file)


def shown(panel: Panel) -> Surface:
    """The surface without its own notes: a figure of several says once what holds for all."""
    return replace(surface_from(panel.surface, name=panel.name, label=panel.title.split("\n")[0]), notes=())


def notes(setting: Setting, panels: Sequence[Panel]) -> tuple[str, ...]:
    """What keeps the figure honest, once for all its panes."""
    own = [p.surface for p in panels if p.summary["source"] != "imported surface"]
    lines = [run_note(setting)]
    if own:
        plane, objective = own[0].attrs["plane"], own[0].attrs["objective"]
        cosines = " and ".join(dict.fromkeys(f"{s.attrs['plane']['cosine']:.2g}" for s in own))
        lines.append(
            f"axes: random directions (seed {plane['seed']}), filter-normalized, biases and BatchNorm fixed, cosine between axes {cosines}"
        )
        lines.append(
            f"loss: cross-entropy on the first {objective['samples']:,} training images without augmentation, "
            "eval mode (stored BatchNorm statistics)"
        )
    if len(own) < len(panels):
        lines.append("imported surfaces: another's run, read from files; directions and data are not known")
    return tuple(lines)


def run_note(setting: Setting) -> str:
    size = setting.size
    how = (
        f"quick run: short trainings see {size.train_samples:,} pictures for {size.epochs} epochs"
        if setting.quick
        else f"full run: trainings follow the paper's schedule of {size.epochs} epochs"
    )
    return f"{how}; test error on {size.test_samples:,} test images"


def _own_scale(panel: Panel, quantity: str) -> ColorScale:
    values = np.asarray(panel.surface[quantity].values, float)
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    return ColorScale(quantity=quantity, low=low, high=high if high > low else low + 1.0, levels=15)


def line_surface(dataset: xr.Dataset, name: str, label: str) -> Surface:
    """A line for a pane, without its own notes."""
    return replace(surface_from(dataset, name=name, label=label), notes=())
