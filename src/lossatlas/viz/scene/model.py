"""Scene: what to draw, as plain data that matplotlib, animations and the browser viewer share.

A `Scene` holds surfaces, paths and arrows over one plane, the panes that show them, and a timeline. It knows
nothing of torch, matplotlib or the browser; `lossatlas.viz.scene.text.describe` tells it in words, and tests read that first.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from lossatlas.errors import InputError
from lossatlas.viz.scene.cautions import Caution

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
Scale = Literal["linear", "log"]
ScaleOption = Literal["auto", "linear", "log"]
"""What a caller may ask for; `value_ranges.automatic_scale` turns "auto" into one of the other two."""
PaneKind = Literal["contour", "surface", "line", "curves", "areas", "histogram", "text"]


@dataclass(frozen=True)
class Provenance:
    """Short phrases for a caption, in the terms of the field, and the archive that a surface came from; each may be empty.

    Attributes:
        loss: such as "cross-entropy". data: such as "all 50,000 train samples". plane: such as "random directions, filter-normalized".
        archive: file name. name: of the surface in it.
        estimated_on: "linear" or "log", the scale for which the error of interpolated cells was estimated.
    """

    loss: str = ""
    data: str = ""
    plane: str = ""
    archive: str = ""
    name: str = ""
    estimated_on: str = ""


@dataclass(frozen=True)
class ModelPlace:
    """A model that a plane was laid through, and where it stands, ``(alpha,)`` or ``(alpha, beta)``."""

    label: str
    place: tuple[float, ...]


@dataclass(frozen=True)
class HatchedCells:
    """Cells of a surface that are hatched, and the words of the legend."""

    mask: BoolArray
    label: str


@dataclass(frozen=True)
class Field:
    """One quantity over the plane.

    Attributes:
        values: ``(alpha, beta)``, or ``(frame, alpha, beta)`` where it changes along the timeline; on a line
            ``(alpha,)`` or ``(frame, alpha)``. NaN and infinity are kept and drawn as holes.
        label: words for axis and color bar, units included.
        standard_error: same shape as `values` without the frame axis, or None.
        doubtful: cells that are not told apart from the lowest one by their samples, hatched; same shape, or None.
        conservative: whether `doubtful` takes the samples of two cells for different ones, and so hatches too many.
        imprecise: cells whose estimate from some of the samples is less certain than was asked for, or None.
        is_minimum_located: False where cells estimated from samples are not told apart from the lowest one: it is not marked then.
        notes: what is to be said of this quantity alone, such as its standard error; figures of others leave it out.
        cautions: what could mislead a reader of this quantity alone.
        interval: lower and upper ends of the 95 % interval, drawn in place of the standard error; NaN where a cell has none.
        data: on what it is measured, where that is not the objective's data.
        better: "lower", "higher", or empty where nobody says.
    """

    values: FloatArray
    label: str
    units: str = ""
    standard_error: FloatArray | None = None
    doubtful: BoolArray | None = None
    conservative: bool = False
    imprecise: HatchedCells | None = None
    is_minimum_located: bool = True
    notes: tuple[str, ...] = ()
    cautions: tuple[Caution, ...] = ()
    interval: tuple[FloatArray, FloatArray] | None = None
    data: str = ""
    better: str = ""


@dataclass(frozen=True)
class Surface:
    """A landscape over `alpha` (na,) and `beta` (nb,), or a line where `beta` is None.

    `done` marks cells that have a value to draw (None: all of them); `sampled` those that were computed where the
    others are interpolated between them (None: nothing is interpolated). `notes` are the lines that keep a figure honest:
    normalization, cosine between axes, data and sample count, BatchNorm mode, seed, share of cells computed.
    `origin` is where the model itself stands on the plane, `origin_label` which one that is: of a path, its end or its start.
    `models` are all the models that a plane between models was laid through, the one at the origin among them.
    `provenance` and `cautions` are what a short caption says of it.
    """

    name: str
    alpha: FloatArray
    beta: FloatArray | None
    fields: Mapping[str, Field]
    label: str = ""
    done: BoolArray | None = None
    alpha_label: str = "α"
    beta_label: str = "β"
    origin: tuple[float, ...] | None = None
    origin_label: str = "the model itself"
    notes: tuple[str, ...] = ()
    sampled: BoolArray | None = None
    provenance: Provenance = Provenance()
    cautions: tuple[Caution, ...] = ()
    models: tuple[ModelPlace, ...] = ()

    @property
    def is_line(self) -> bool:
        return self.beta is None

    def all_notes(self) -> tuple[str, ...]:
        """Those of the surface, then those of each quantity, each line once."""
        return tuple(dict.fromkeys([*self.notes, *(note for field in self.fields.values() for note in field.notes)]))

    def minimum(self, quantity: str = "loss", frame: int = 0) -> tuple[float, float, float]:
        """``(alpha, beta, value)`` of the smallest finite computed cell; NaNs where there is none (beta is NaN on a line)."""
        values = self.frame_values(quantity, frame)
        computed = self.done if self.sampled is None else self.sampled
        usable = np.isfinite(values) if computed is None else np.isfinite(values) & computed
        if not usable.any():
            return float("nan"), float("nan"), float("nan")
        index = np.unravel_index(np.argmin(np.where(usable, values, np.inf)), values.shape)
        beta = float("nan") if self.beta is None else float(self.beta[index[1]])
        return float(self.alpha[index[0]]), beta, float(values[index])

    def frame_values(self, quantity: str = "loss", frame: int = 0) -> FloatArray:
        """Values of one frame, shape ``(alpha, beta)`` or ``(alpha,)``; a still field is the same in every frame."""
        values = self.fields[quantity].values
        still_ndim = 1 if self.is_line else 2
        return values if values.ndim == still_ndim else values[min(frame, len(values) - 1)]


@dataclass(frozen=True)
class PathData:
    """An optimizer's way over the plane; every array has shape ``(step,)``.

    `loss` is the true loss of each iterate; `plane_loss` the surface's value below it; `residual` its distance
    from the plane. The three differ whenever the iterate is off the plane, and figures say so. `stem` is that
    distance in units of the beta axis, which maps draw as a bar above the point. `surface` names the surface it was
    recorded on (None: panes say where it is drawn); the browser shows it on that one's plane only.
    """

    name: str
    alpha: FloatArray
    beta: FloatArray
    step: NDArray[np.int64]
    label: str = ""
    epoch: FloatArray | None = None
    loss: FloatArray | None = None
    accuracy: FloatArray | None = None
    plane_loss: FloatArray | None = None
    residual: FloatArray | None = None
    stem: FloatArray | None = None
    color: str | None = None
    dash: Literal["solid", "dashed", "dashdot", "dotted"] = "solid"
    marks: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()
    surface: str | None = None
    cautions: tuple[Caution, ...] = ()


@dataclass(frozen=True)
class Arrow:
    """A step drawn on the plane from `start` to `end` (alpha, beta), shown on the given frames (None: always)."""

    start: tuple[float, float]
    end: tuple[float, float]
    label: str = ""
    color: str | None = None
    frames: tuple[int, ...] | None = None


@dataclass(frozen=True)
class Outline:
    """A closed line on maps, such as an ellipse of gradient noise; `alpha` and `beta` have shape ``(point,)``."""

    alpha: FloatArray
    beta: FloatArray
    label: str = ""
    color: str | None = None


@dataclass(frozen=True)
class Curve:
    """A series in a `curves` pane. `reveal` grows it with the timeline up to the current step; `points` are not joined."""

    name: str
    x: FloatArray
    y: FloatArray
    label: str = ""
    color: str | None = None
    dash: Literal["solid", "dashed", "dashdot", "dotted"] = "solid"
    axis: Literal["left", "right"] = "left"
    band: tuple[FloatArray, FloatArray] | None = None
    reveal: bool = True
    points: bool = False


@dataclass(frozen=True)
class DecisionRegions:
    """Decision areas of a classifier on 2-D data, one map a frame.

    Attributes:
        x, y: axes of the map, (nx,) and (ny,).
        classes: predicted class, ``(frame, nx, ny)`` or ``(nx, ny)``, small integers.
        points: data, ``(n, 2)``; `labels`: their classes, ``(n,)``.
    """

    name: str
    x: FloatArray
    y: FloatArray
    classes: NDArray[np.integer[Any]]
    points: FloatArray
    labels: NDArray[np.integer[Any]]


@dataclass(frozen=True)
class Camera:
    """Position of the 3-D view, in degrees, as matplotlib counts them; `zoom` above 1 is nearer."""

    elevation: float = 32.0
    azimuth: float = -60.0
    zoom: float = 1.0


@dataclass(frozen=True)
class ColorScale:
    """One scale for every pane that shows `quantity`, unless a pane brings its own.

    `low`/`high` None means the range of the data; `clip` hides heights above it and the figure says what share.
    """

    quantity: str = "loss"
    colormap: str = "atlas"
    scale: Scale = "linear"
    low: float | None = None
    high: float | None = None
    clip: float | None = None
    levels: int = 21


@dataclass(frozen=True)
class Pane:
    """One drawing in the scene: what kind, and the names of what it shows. `row`, `column` place it.

    `stems` are lines on reliefs from a path up or down to the loss of its iterates, where they are off the plane.
    """

    kind: PaneKind
    surfaces: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    curves: tuple[str, ...] = ()
    areas: tuple[str, ...] = ()
    arrows: bool = True
    marks: bool = True
    stems: bool = False
    title: str = ""
    quantity: str = "loss"
    row: int = 0
    column: int = 0
    row_span: int = 1
    column_span: int = 1
    camera: Camera = Camera()
    color: ColorScale | None = None
    x_label: str = ""
    y_label: str = ""
    y_label_right: str = ""
    y_scale: Scale = "linear"
    x_scale: Scale = "linear"
    text: str = ""


@dataclass(frozen=True)
class Timeline:
    """Frames of an animation. `step` (frame,) is what every path and curve is cut at.

    `label` says the true step and epoch in words; `cosmetic` marks change-over frames that are blends and no
    surface of their own.
    """

    step: NDArray[np.int64]
    label: tuple[str, ...]
    cosmetic: BoolArray | None = None
    milliseconds: int = 80
    rotation: FloatArray | None = None
    """Azimuth of every surface pane at each frame, in degrees, (frame,); None keeps the cameras still."""

    def __len__(self) -> int:
        return len(self.step)


@dataclass(frozen=True)
class Scene:
    """Everything a renderer needs, and nothing else.

    `notes` stand in the full caption; a line among them that begins with "CAUTION: " is a caution. `summary` is the first line
    of a short caption, where the one that `captions.caption` makes of the surfaces does not say what matters.
    """

    panes: tuple[Pane, ...]
    surfaces: tuple[Surface, ...] = ()
    paths: tuple[PathData, ...] = ()
    arrows: tuple[Arrow, ...] = ()
    outlines: tuple[Outline, ...] = ()
    curves: tuple[Curve, ...] = ()
    areas: tuple[DecisionRegions, ...] = ()
    colors: tuple[ColorScale, ...] = (ColorScale(),)
    timeline: Timeline | None = None
    title: str = ""
    subtitle: str = ""
    notes: tuple[str, ...] = ()
    summary: str = ""
    meta: Mapping[str, Any] = field(default_factory=dict)

    def surface(self, name: str) -> Surface:
        return _named("surface", name, self.surfaces)

    def path(self, name: str) -> PathData:
        return _named("path", name, self.paths)

    def curve(self, name: str) -> Curve:
        return _named("curve", name, self.curves)

    def area(self, name: str) -> DecisionRegions:
        return _named("areas", name, self.areas)

    def color_of(self, pane: Pane) -> ColorScale:
        """The color scale of a pane: its own, else the scene's for its quantity, else the default."""
        if pane.color is not None:
            return pane.color
        return next((c for c in self.colors if c.quantity == pane.quantity), ColorScale(quantity=pane.quantity))

    def limits(self, pane: Pane) -> tuple[float, float]:
        """Smallest and largest finite value of the pane's quantity over *every* pane that shares its color scale."""
        scale = self.color_of(pane)
        shown = {n for p in self.panes if p.quantity == pane.quantity and self.color_of(p) == scale for n in p.surfaces}
        values = [v for s in self.surfaces if s.name in shown for v in _finite(s, pane.quantity, scale)]
        low = min(values) if values else 0.0
        high = max(values) if values else 1.0
        if scale.clip is not None:
            high = min(high, scale.clip)
        return (low if scale.low is None else scale.low), (high if scale.high is None else scale.high)

    def all_notes(self) -> tuple[str, ...]:
        """Scene notes, then those of surfaces and paths, each line once."""
        lines = [*self.notes, *(n for s in self.surfaces for n in s.all_notes()), *(n for p in self.paths for n in p.notes)]
        return tuple(dict.fromkeys(lines))

    def replace(self, **changes: Any) -> Scene:
        return replace(self, **changes)


def _named(kind: str, name: str, things: tuple[Any, ...]) -> Any:
    for thing in things:
        if thing.name == name:
            return thing
    known = ", ".join(t.name for t in things) or "none"
    raise InputError(kind, name, f"one of the scene's names: {known}", "Check the pane that names it")


def _finite(surface: Surface, quantity: str, scale: ColorScale) -> Iterator[float]:
    if quantity not in surface.fields:
        return
    values = surface.fields[quantity].values
    usable = np.isfinite(values)
    if scale.scale == "log":
        usable &= values > 0
    if surface.done is not None:
        usable &= surface.done
    if usable.any():
        yield float(values[usable].min())
        yield float(values[usable].max())
