"""Figures of the tutorial, as scenes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path as FilePath

import numpy as np
import xarray as xr

from lossatlas.viz.api import animate, plot, view
from lossatlas.viz.compose.camera import choose_camera
from lossatlas.viz.compose.from_datasets import path_from, surface_from
from lossatlas.viz.scene.model import Camera, ColorScale, Curve, Pane, PathData, Scene, Surface, Timeline
from lossatlas.viz.scene.names import optimizer_name

SCALE = ColorScale(levels=21)
PATH_COLORS = ("#d11141", "#1448c8", "#111111")
FRAME_EPOCHS = (*range(0, 200, 20), *range(200, 9000, 100))
"""98 frames, as in the article's first animation."""
CONTOUR_EPOCHS = tuple(range(0, 9000, 100))
"""90 frames, as in its second."""
OPTIMIZER_COLORS = {"sgd": "#111111", "momentum": "#d55e00", "adagrad": "#0072b2", "rmsprop": "#cc79a7", "adam": "#e6b800"}


def sample_sizes(surfaces: Mapping[str, xr.Dataset], file: FilePath) -> None:
    """Figure 3: the two sample sizes side by side, each on its own scale since their heights differ."""
    drawn = _surfaces(surfaces)
    panes = tuple(
        Pane("surface", (s.name,), title=s.label, column=i, camera=Camera(30, azimuth), color=_scale_of(s))
        for i, (s, azimuth) in enumerate(zip(drawn, (-20.0, -30.0), strict=False))
    )
    plot(Scene(panes, drawn, colors=(SCALE,), title="The same two weights on different numbers of images"), file)


def single(surface: xr.Dataset, file: FilePath) -> None:
    """Figure 4: the small sample, turned a little."""
    drawn = surface_from(surface, name="small", label=surface.attrs["title"])
    plot(
        Scene(
            (Pane("surface", ("small",), camera=Camera(30, -15)),),
            (drawn,),
            colors=(SCALE,),
            title=f"The loss over two weights, {drawn.label}",
        ),
        file,
    )


def descents(surface: xr.Dataset, paths: Mapping[str, xr.Dataset], file: FilePath) -> None:
    """The article's descents on the surface, from above, and their costs."""
    scene = _descent_scene(surface, paths, ("surface", "contour"))
    plot(scene.replace(title="Three gradient descents"), file)


def optimizers(surface: xr.Dataset, paths: Mapping[str, xr.Dataset], file: FilePath) -> None:
    """One contour a start, five optimizers in each."""
    drawn = surface_from(surface, name="small", label=surface.attrs["title"])
    starts = tuple(dict.fromkeys(name.split(":")[1] for name in paths))
    lines = tuple(_colored(path_from(path, name=name, surface=drawn), name) for name, path in paths.items())
    panes = tuple(
        Pane("contour", ("small",), tuple(p.name for p in lines if p.name.endswith(f":{start}")), title=_start_title(start), column=i)
        for i, start in enumerate(starts)
    )
    plot(Scene(panes, (drawn,), lines, colors=(SCALE,), title=f"Five optimizers, true gradient, {surface.attrs['title']}"), file)


def _start_title(start: str) -> str:
    """Such as "from (−9, 15)" for "-9,15"."""
    return f"from ({start.replace('-', '−').replace(',', ', ')})"


def gallery(surfaces: Mapping[str, xr.Dataset], title: str, samples: int, file: FilePath) -> None:
    """Small 3-D panes, one a seed, each on its own scale."""
    drawn = _surfaces(surfaces)
    panes = tuple(
        Pane("surface", (s.name,), title=s.label, row=i // 2, column=i % 2, camera=choose_camera((s,), _scale_of(s)), color=_scale_of(s))
        for i, s in enumerate(drawn)
    )
    plot(Scene(panes, drawn, colors=(SCALE,), title=f"{title}, N = {samples:,}"), file)


def page(surfaces: Mapping[str, xr.Dataset], paths: Mapping[str, xr.Dataset], file: FilePath, title: str) -> None:
    """The interactive page: the descents on the small sample's surface; the large one is a click away, to overlay."""
    drawn = tuple(replace(s, alpha_label=_plain(s.alpha_label), beta_label=_plain(s.beta_label)) for s in _surfaces(surfaces))
    lines = tuple(
        replace(path_from(path, name=name, surface=drawn[0]), color=color)
        for (name, path), color in zip(paths.items(), PATH_COLORS, strict=False)
    )
    last = max(int(line.step[-1]) for line in lines)
    steps = np.unique(np.linspace(0, last, 151).astype(int))
    timeline = Timeline(steps, tuple(f"epoch {step:,}" for step in steps), milliseconds=80)
    panes = (Pane("surface", tuple(s.name for s in drawn), tuple(line.name for line in lines), camera=Camera(30, -20)),)
    scene = Scene(panes, drawn, lines, colors=(SCALE,), timeline=timeline, title=title)
    view(scene, export=file, view={"frame": len(steps) - 1, "hidden": [s.name for s in drawn[1:]]})


def animate_surface(surface: xr.Dataset, paths: Mapping[str, xr.Dataset], last: int, file: FilePath, epochs: Sequence[int]) -> None:
    """Animation 1: the descents on the surface, its map beside it."""
    scene = _descent_scene(surface, paths, ("surface", "contour"))
    animate(scene.replace(timeline=_timeline(epochs, last), title="Gradient descent on the loss surface"), file)


def animate_contour(surface: xr.Dataset, paths: Mapping[str, xr.Dataset], last: int, file: FilePath, epochs: Sequence[int]) -> None:
    """Animation 2: the contour, the cost curves beside it."""
    scene = _descent_scene(surface, paths, ("contour", "curves"))
    animate(scene.replace(timeline=_timeline(epochs, last), title="Gradient descent from above"), file)


def _descent_scene(surface: xr.Dataset, paths: Mapping[str, xr.Dataset], kinds: tuple[str, ...]) -> Scene:
    drawn = surface_from(surface, name="small", label=surface.attrs["title"])
    lines = tuple(_with_color(path_from(path, name=name, surface=drawn), i) for i, (name, path) in enumerate(paths.items()))
    curves = tuple(_cost_curve(line) for line in lines)
    names = tuple(line.name for line in lines)
    panes = {
        "surface": Pane("surface", ("small",), names, camera=Camera(30, -10)),
        "contour": Pane("contour", ("small",), names),
        "curves": Pane("curves", curves=tuple(c.name for c in curves), x_label="epoch", y_label="cost"),
    }
    shown = tuple(replace(panes[kind], column=column) for column, kind in enumerate(kinds))
    return Scene(shown, (drawn,), lines, curves=curves if "curves" in kinds else (), colors=(SCALE,))


def _cost_curve(path: PathData) -> Curve:
    assert path.loss is not None
    return Curve(f"cost {path.name}", path.step.astype(float), path.loss, path.label, path.color, path.dash)


def _with_color(path: PathData, index: int) -> PathData:
    return replace(path, color=PATH_COLORS[index % len(PATH_COLORS)], label=path.label.removeprefix("article ").replace("-", "−"))


def _colored(path: PathData, name: str) -> PathData:
    optimizer = name.split(":")[0]
    return replace(path, color=OPTIMIZER_COLORS.get(optimizer), label=optimizer_name(optimizer))


def _surfaces(surfaces: Mapping[str, xr.Dataset]) -> tuple[Surface, ...]:
    return tuple(surface_from(dataset, name=name, label=dataset.attrs["title"]) for name, dataset in surfaces.items())


def _scale_of(surface: Surface) -> ColorScale:
    """The colors over this surface's own range."""
    values = surface.fields["loss"].values
    finite = values[np.isfinite(values)]
    return ColorScale(low=float(finite.min()), high=float(finite.max()))


def _timeline(epochs: Sequence[int], last: int) -> Timeline:
    shown_epochs = [e for e in epochs if e <= last]
    return Timeline(np.array(shown_epochs), tuple(f"epoch {e:,}" for e in shown_epochs), milliseconds=80)


def _plain(label: str) -> str:
    """TeX is for matplotlib; a browser reads plain words."""
    return label.replace("$", "")
