"""Panes with ordinary axes: lines through the landscape, curves over time, histograms, text."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, NullLocator

from lossatlas.errors import InputError
from lossatlas.viz.mpl.artists import markers as marks
from lossatlas.viz.mpl.artists.path import pattern
from lossatlas.viz.mpl.artists.uncertainty import hatch_line
from lossatlas.viz.mpl.panes.base import PaneArtists, changes, step_at
from lossatlas.viz.mpl.style import Palette, curve_color
from lossatlas.viz.mpl.ticks import log_ticks, tick_labels
from lossatlas.viz.scene.cell_masks import classify_cells
from lossatlas.viz.scene.model import Curve, FloatArray, Pane, Scene, Surface

ACCURACY = "#b5179e"
POINT_MARGIN = 0.06
"""Room beside points that are not joined, which would stand on the frame, as a share of the axis."""
ROUNDING = 1e-6
"""Curves whose range is a smaller share of their size are constant."""


def draw_line(axes: Axes, scene: Scene, pane: Pane, color: str | None = None) -> PaneArtists:
    """Surfaces over one direction as curves over alpha, with a band of one standard error; accuracy on the right where labelled."""
    surfaces = [_a_line(scene.surface(name)) for name in pane.surfaces]
    right_axes = _add_right_axes(axes, pane.y_label_right) if pane.y_label_right else None
    shown: list[Any] = []

    def redraw(frame: int) -> None:
        for artist in shown:
            artist.remove()
        shown[:] = [
            artist
            for i, s in enumerate(surfaces)
            for artist in _line_of(axes, right_axes, scene, pane, s, i, len(surfaces), frame, color or _line_color(i))
        ]

    redraw(0)
    first = surfaces[0]
    _label_line_axes(axes, scene, pane, first)
    volatile = changes(scene, pane)
    handles = [
        *_line_handles(scene, pane, surfaces, right_axes, color),
        *(hatch_line(axes, first, pane) if len(surfaces) == 1 and not volatile else []),
    ]
    return PaneArtists(
        pane,
        axes,
        lambda frame: redraw(frame or 0) if volatile else None,
        redraws_every_frame=volatile,
        right_axes=right_axes,
        handles=handles,
    )


def _line_color(index: int) -> str:
    """Color of a line without one of its own; the first of ours is the paths'."""
    return curve_color(index + 1)


def _a_line(surface: Surface) -> Surface:
    if surface.is_line:
        return surface
    raise InputError("line pane", surface.name, "a surface over one direction", "Draw a plane with kind='contour' or kind='surface'")


def _line_of(
    axes: Axes, right_axes: Any, scene: Scene, pane: Pane, surface: Surface, index: int, count: int, frame: int, color: str
) -> list[Any]:
    cells = classify_cells(surface, scene.color_of(pane), pane.quantity, frame)
    style = {"color": color, "linewidth": 1.6, "marker": "o", "markersize": 2.2 if len(surface.alpha) <= 80 else 0}
    artists: list[Any] = [*axes.plot(surface.alpha, cells.values, **style)]
    error, ends = surface.fields[pane.quantity].standard_error, surface.fields[pane.quantity].interval
    if ends is None and error is not None:
        ends = (cells.values - error, cells.values + error)
    if ends is not None:
        artists.append(axes.fill_between(surface.alpha, *ends, color=color, alpha=0.22, linewidth=0))
    artists += _holes_on_axis(axes, surface, cells)
    if right_axes is not None and "accuracy" in surface.fields:
        accuracy = classify_cells(surface, scene.color_of(pane), "accuracy", frame).values
        dash = "--" if count == 1 else pattern(("dashed", "dotted", "dashdot", "solid")[index % 4])
        artists += right_axes.plot(surface.alpha, accuracy, color=ACCURACY if count == 1 else color, linewidth=1.3, linestyle=dash)
    return [*artists, *_line_marks(axes, pane, surface, frame, single=count == 1)]


def _holes_on_axis(axes: Axes, surface: Surface, cells: Any) -> list[Any]:
    """Grey bands over the cells that have no value, as wide as their share of the line."""
    from lossatlas.viz.mpl.artists.cell_squares import edges_of

    edges = edges_of(surface.alpha)
    bands: list[Any] = []
    for kind in marks.HATCHES:
        for i in np.flatnonzero(getattr(cells, kind)):
            patch = marks.hole_patch(kind, zorder=0.5)
            bands.append(
                axes.axvspan(
                    edges[i],
                    edges[i + 1],
                    facecolor=patch.get_facecolor(),
                    edgecolor=patch.get_edgecolor(),
                    hatch=patch.get_hatch(),
                    linewidth=0,
                    zorder=0.5,
                )
            )
    return bands


def _line_marks(axes: Axes, pane: Pane, surface: Surface, frame: int, single: bool) -> list[Artist]:
    """The minimum, and the model where no dotted line shows it for all: in the frame of a line that begins with it that would vanish."""
    shown = marks.marks_of(surface, pane.quantity, frame)
    if not single:
        lowest = marks.lowest(surface, pane.quantity, frame)
        return [] if lowest is None else [axes.add_artist(marks.star(lowest[0], lowest[2], clip_on=False))]
    finite = [mark for mark in shown if np.isfinite(mark.value)]
    names = [mark.annotate(axes, mark.alpha, mark.value, below=True) for mark in finite]
    return [
        *(axes.add_artist(mark.at(mark.alpha, mark.value, clip_on=False)) for mark in finite),
        *(name for name in names if name is not None),
    ]


def _label_line_axes(axes: Axes, scene: Scene, pane: Pane, first: Surface) -> None:
    color = scene.color_of(pane)
    log = "log" in (pane.y_scale, color.scale)
    label = pane.y_label or (first.fields[pane.quantity].label + (", log scale" if log else ""))
    axes.set(xlabel=pane.x_label or first.alpha_label, ylabel=label, xlim=(first.alpha[0], first.alpha[-1]))
    axes.grid(True)
    axes.set_axisbelow(True)
    if log and any(np.nanmax(classify_cells(scene.surface(n), color, pane.quantity).values, initial=-1) > 0 for n in pane.surfaces):
        axes.set_yscale("log")
    if color.clip is not None:
        axes.set_ylim(top=color.clip)
    if color.low is not None or color.high is not None:
        axes.set_ylim(color.low, color.high)
    _plain_log_ticks(axes)
    if len(pane.surfaces) > 1 and first.origin is not None and first.alpha[0] <= first.origin[0] <= first.alpha[-1]:
        axes.axvline(first.origin[0], color=Palette.current().faint, linewidth=0.8, linestyle=":", zorder=1)


def _line_handles(scene: Scene, pane: Pane, surfaces: list[Surface], right_axes: Any, color: str | None) -> list[Artist]:
    several = len(surfaces) > 1
    handles: list[Artist] = []
    for i, surface in enumerate(surfaces):
        name = (surface.label or surface.name) if several else surface.fields[pane.quantity].label
        handles.append(Line2D([], [], color=color or _line_color(i), linewidth=1.6, label=name))
    if right_axes is not None:
        handles.append(
            Line2D([], [], color=Palette.current().faint if several else ACCURACY, linewidth=1.3, linestyle="--", label=pane.y_label_right)
        )
    if any(s.fields[pane.quantity].interval is not None for s in surfaces):
        handles.append(marks.band_handle("95 % interval"))
    elif any(s.fields[pane.quantity].standard_error is not None for s in surfaces):
        handles.append(marks.band_handle("± 1 standard error"))
    if surfaces[0].origin is not None and several:
        handles.append(Line2D([], [], color=Palette.current().faint, linewidth=0.8, linestyle=":", label=surfaces[0].origin_label))
    if not several:
        handles += marks.handles_of([mark for mark in marks.marks_of(surfaces[0], pane.quantity) if np.isfinite(mark.value)])
    elif any(marks.lowest(surface, pane.quantity) for surface in surfaces):
        handles.append(marks.star_handle())
    return [*handles, *(h for s in surfaces for h in marks.hole_handles(classify_cells(s, scene.color_of(pane), pane.quantity)))]


def draw_curves(axes: Axes, scene: Scene, pane: Pane) -> PaneArtists:
    """Series over steps or epochs, revealed up to the current step; some may count on the right axis."""
    curves = [scene.curve(name) for name in pane.curves]
    right = any(curve.axis == "right" for curve in curves)
    right_axes = _add_right_axes(axes, pane.y_label_right) if right else None
    lines = [
        _add_curve(right_axes if curve.axis == "right" and right_axes is not None else axes, curve, i) for i, curve in enumerate(curves)
    ]
    _frame_curves(axes, right_axes, pane, curves)

    def show(frame: int | None) -> None:
        for curve, (line, ball) in zip(curves, lines, strict=True):
            reveal(curve, line, ball, step_at(scene, frame))

    moving = [artist for curve, pair in zip(curves, lines, strict=True) if curve.reveal for artist in pair]
    return PaneArtists(
        pane, axes, show, moving=list(moving), right_axes=right_axes, handles=[line_sample(curve, i) for i, curve in enumerate(curves)]
    )


def reveal(curve: Curve, line: Line2D, ball: Line2D, step: int | None) -> None:
    """Show a curve up to a step, whole where the step is None or the curve does not grow."""
    count = len(curve.x) if step is None or not curve.reveal else int(np.searchsorted(curve.x, step, side="right"))
    line.set_data(curve.x[:count], curve.y[:count])
    ends = count and curve.reveal and step is not None
    ball.set_data([curve.x[count - 1]] if ends else [], [curve.y[count - 1]] if ends else [])


def _add_curve(axes: Axes, curve: Curve, index: int) -> tuple[Line2D, Line2D]:
    color = curve.color or curve_color(index)
    (line,) = axes.plot(curve.x, curve.y, **_stroke(curve, color), zorder=3, clip_on=not curve.points)
    (ball,) = axes.plot([], [], "o", color=color, markersize=5.5, markeredgecolor="white", markeredgewidth=0.9, zorder=4, clip_on=False)
    if curve.band is not None:
        axes.fill_between(curve.x, *curve.band, color=color, alpha=0.2, linewidth=0)
    return line, ball


def line_sample(curve: Curve, index: int) -> Line2D:
    return Line2D([], [], **_stroke(curve, curve.color or curve_color(index)), label=curve.label or curve.name)


def _stroke(curve: Curve, color: str) -> dict[str, Any]:
    """A line, or points that are not joined."""
    if curve.points:
        return {"color": color, "linestyle": "none", "marker": "o", "markersize": 6.5, "markeredgecolor": "white", "markeredgewidth": 0.8}
    return {"color": color, "linestyle": pattern(curve.dash), "linewidth": 1.5}


def _frame_curves(axes: Axes, right_axes: Axes | None, pane: Pane, curves: list[Curve]) -> None:
    axes.set(xlabel=pane.x_label or "step", ylabel=pane.y_label)
    axes.grid(True)
    axes.set_axisbelow(True)
    spans = [(np.nanmin(c.x), np.nanmax(c.x)) for c in curves if len(c.x)]
    if spans and (first := min(low for low, _ in spans)) < (last := max(high for _, high in spans)):
        margin = POINT_MARGIN * (last - first) if any(c.points for c in curves) and pane.x_scale == "linear" else 0.0
        axes.set_xlim(first - margin, last + margin)
    if pane.y_scale == "log" and all(np.nanmin(c.y, initial=np.inf) > 0 for c in curves if c.axis == "left"):
        axes.set_yscale("log")
    if pane.x_scale == "log" and min((low for low, _ in spans), default=0) > 0:
        axes.set_xscale("log")
    whole = all(np.array_equal(c.x, np.round(c.x)) for c in curves)
    axes.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 2.5, 5, 10], integer=whole))
    _plain_log_ticks(axes)
    for one in (axes, right_axes):
        if one is not None:
            _widen_constant(one)
    # The data limits are fixed now: an animation must not rescale while its curves grow.
    for one in (axes, right_axes):
        if one is not None:
            one.autoscale(False)


def _widen_constant(axes: Axes) -> None:
    """Curves that differ by nothing but rounding are drawn as the constants they are, not blown up to the height of the pane."""
    values = np.concatenate([np.empty(0), *(np.asarray(line.get_ydata(), float) for line in axes.lines)])
    values = values[np.isfinite(values)]
    if axes.get_yscale() == "linear" and values.size and 0 < np.ptp(values) <= ROUNDING * np.abs(values).max():
        middle = float(values.mean())
        axes.set_ylim(middle - 0.05 * abs(middle), middle + 0.05 * abs(middle))


def _plain_log_ticks(axes: Axes) -> None:
    """Round numbers with plain labels in place of powers of ten, where an axis is logarithmic."""
    for axis, (low, high) in ((axes.xaxis, axes.get_xlim()), (axes.yaxis, axes.get_ylim())):
        if axis.get_scale() == "log":
            axis.set_ticks((ticks := log_ticks((low, high))).tolist(), labels=tick_labels(ticks))
            axis.set_minor_locator(NullLocator())
            axis.set_view_interval(low, high, ignore=True)


def _add_right_axes(axes: Axes, label: str) -> Axes:
    right_axes = axes.twinx()
    right_axes.set_ylabel(label)
    return right_axes


def draw_histogram(axes: Axes, scene: Scene, pane: Pane) -> PaneArtists:
    """Filled steps; a curve's `x` holds bin edges (one more than `y`) or bin centers."""
    curves = [scene.curve(name) for name in pane.curves]
    for i, curve in enumerate(curves):
        color = curve.color or curve_color(i)
        axes.stairs(curve.y, bin_edges(curve.x, len(curve.y)), color=color, fill=True, alpha=0.35, linewidth=0)
        axes.stairs(curve.y, bin_edges(curve.x, len(curve.y)), color=color, linewidth=1.1)
    axes.set(xlabel=pane.x_label, ylabel=pane.y_label or "count")
    if pane.y_scale == "log":
        axes.set_yscale("log")
    axes.grid(True, axis="y")
    axes.set_axisbelow(True)
    return PaneArtists(pane, axes, handles=[line_sample(curve, i) for i, curve in enumerate(curves)])


def bin_edges(x: FloatArray, bins: int) -> FloatArray:
    """Edges of `bins` bins from edges or centers.

    >>> bin_edges(np.array([0.0, 1.0, 2.0]), 3)
    array([-0.5,  0.5,  1.5,  2.5])
    """
    if len(x) == bins + 1:
        return x
    if len(x) != bins or bins < 2:
        raise InputError("histogram", f"{len(x)} positions for {bins} bins", "bin edges (one more than bins) or bin centers")
    middle = (x[1:] + x[:-1]) / 2
    return np.concatenate([[2 * x[0] - middle[0]], middle, [2 * x[-1] - middle[-1]]])


def draw_text(axes: Axes, scene: Scene, pane: Pane) -> PaneArtists:
    """Words on an empty pane, wrapped to its width when the figure is arranged."""
    axes.set_axis_off()
    axes.text(0, 1, pane.text, ha="left", va="top", wrap=True, transform=axes.transAxes, linespacing=1.35)
    return PaneArtists(pane, axes)
