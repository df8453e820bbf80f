"""Layout at every width: no words outside the figure, none over one another, none too small; panes as large as they can be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import combinations
from typing import Any

import matplotlib
import numpy as np
import pytest
import xarray as xr
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from lossatlas.errors import InputError
from lossatlas.viz.api import plot
from lossatlas.viz.compose.compose import compose
from lossatlas.viz.mpl import figure as drawing
from lossatlas.viz.mpl.panes.base import has_axes
from lossatlas.viz.mpl.sizes import COLUMN, PAGE
from lossatlas.viz.scene.model import ColorScale, Curve, DecisionRegions, Field, ModelPlace, Pane, PathData, Scene, Surface

Make = Callable[..., Any]
DASHES: tuple[Any, ...] = ("solid", "dotted", "dashed")
QUICK = ("map", "tall", "wide", "line")
TOUCHING = 0.6
"""Pixels by which boxes of words may overlap; they are a little larger than the ink."""


def words(figure: Figure) -> list[tuple[Text, Bbox]]:
    """All texts that are drawn, with their boxes in pixels."""
    figure.canvas.draw()
    legends = {text for legend in figure.findobj(Legend) for text in legend.get_texts()}  # pyright: ignore[reportAttributeAccessIssue]
    texts: set[Text] = {*figure.texts, *legends}
    for axes in figure.axes:
        texts |= set(axes.texts) | {axes.title}
        for axis in axes._axis_map.values() if has_axes(axes) else ():  # pyright: ignore[reportAttributeAccessIssue]
            low, high = sorted(axis.get_view_interval())
            ticks = [t for t in axis.get_major_ticks() if low - 1e-9 <= t.get_loc() <= high + 1e-9]
            labels = [label for tick in ticks for label in (tick.label1, tick.label2) if label.get_visible()]
            texts |= {axis.label, *labels}
    renderer = figure.canvas.get_renderer()  # pyright: ignore[reportAttributeAccessIssue]
    drawn = [text for text in texts if text.get_visible() and text.get_text().strip()]
    return [(text, text.get_window_extent(renderer)) for text in drawn]


def outside(figure: Figure) -> list[str]:
    width, height = figure.bbox.width, figure.bbox.height
    return [t.get_text() for t, b in words(figure) if b.x0 < -0.5 or b.y0 < -0.5 or b.x1 > width + 0.5 or b.y1 > height + 0.5]


def overlaps(figure: Figure) -> list[tuple[str, str]]:
    pairs = []
    for (one, a), (two, b) in combinations(words(figure), 2):
        if abs(one.get_rotation()) % 90 > 0 or abs(two.get_rotation()) % 90 > 0:
            continue  # the box of a slanted word is not its ink
        shared = Bbox.intersection(a, b)
        if shared is not None and min(shared.width, shared.height) > TOUCHING:
            pairs.append((one.get_text(), two.get_text()))
    return pairs


def surface(name: str = "s", na: int = 9, nb: int = 7, span: float = 1.0, title: str = "") -> xr.Dataset:
    a, b = np.linspace(-1, 1, na), np.linspace(-span, span, nb)
    values = 0.4 + a[:, None] ** 2 + 0.7 * (b[None, :] / span) ** 2 + 0.3 * np.sin(3 * a[:, None])
    return xr.Dataset(
        {"loss": (("alpha", "beta"), values, {"units": "nats"})}, {"alpha": a, "beta": b}, {"title": title or name, "name": name}
    )


def path(label: str, start: tuple[float, float], end: tuple[float, float] = (0.0, 0.0)) -> PathData:
    return PathData(label, np.linspace(start[0], end[0], 30), np.linspace(start[1], end[1], 30), np.arange(30), label=label)


def recording() -> xr.Dataset:
    """A run as a recorder keeps it, with every kind of curve."""
    steps, rng = np.arange(0, 4000, 20), np.random.default_rng(0)
    fall = np.exp(-steps / 900)
    variables: dict[str, Any] = {
        "path_loss": 2.3 * fall + 0.01,
        "batch_loss": 2.3 * fall * rng.uniform(0.7, 1.3, len(steps)),
        "test_loss": 2.3 * fall + 0.3,
        "path_accuracy": 1 - 0.9 * fall,
        "test_accuracy": 0.9 - 0.8 * fall,
        "sharpness": 20 + 80 * (1 - fall),
        "stability_limit": 100.0 + 0 * steps,
        "learning_rate": 0.02 + 0 * steps,
        "gradient_norm": fall + 1e-3,
        "weight_norm": 12 + 3 * (1 - fall),
    }
    return xr.Dataset({name: ("step", values) for name, values in variables.items()}, {"step": steps}, {"label": "ResNet-20, SGD"})


def training() -> Scene:
    """A map with a path, and curves and decision regions beside it."""
    steps, square = np.arange(30.0), np.linspace(-1, 1, 12)
    points = np.random.default_rng(0).uniform(-1, 1, (30, 2))
    labels = ("training loss of the iterate", "the plane below it", "held-out loss")
    names = zip(labels, DASHES, strict=True)
    curves = tuple(Curve(label, steps, np.exp(-steps / (9 + 3 * k)), label, dash=dash) for k, (label, dash) in enumerate(names))
    spread = Curve("h", np.linspace(-1, 1, 11), np.arange(10.0), label="layer 1")
    panes = (
        Pane("contour", ("s",), ("SGD",)),
        Pane("areas", areas=("d",), column=1, title="decision regions", x_label="first feature", y_label="second feature"),
        Pane("curves", curves=labels, row=1, y_label="loss [nats]", y_scale="log"),
        Pane("histogram", curves=("h",), row=1, column=1, x_label="weight"),
    )
    regions = DecisionRegions("d", square, square, np.tri(12, 12, dtype=int), points, (points.sum(axis=1) > 0).astype(int))
    drawn = compose(surface(), kind="contour").surfaces
    return Scene(
        panes,
        drawn,
        (path("SGD", (-0.9, 0.9), (0.1, 0.1)),),
        curves=(*curves, spread),
        areas=(regions,),
        title="Spiral, 5 hidden layers of 20",
    )


def scenes() -> dict[str, Callable[[], Scene]]:
    networks = ["ResNet-56 without shortcuts", "ResNet-56", "VGG-16", "DenseNet-121", "ResNet-20", "ResNet-110 without shortcuts"]
    runs = [
        path("SGD", (-0.9, 0.9), (0.1, 0.1)),
        path("Adam", (0.9, 0.9), (0.5, -0.6)),
        path("SGD with momentum", (-0.9, -0.9), (-0.5, -0.1)),
    ]
    line = surface().isel(beta=3, drop=True)
    return {
        "map": lambda: compose(surface(), kind="contour"),
        "both": lambda: compose(surface(title="ResNet-20 on CIFAR-10"), trajectories=runs),
        "relief": lambda: compose(surface(), kind="surface", scale="log"),
        "two maps": lambda: compose([surface(n, title=n) for n in networks[:2]], scale="log"),
        "two reliefs": lambda: compose([surface(n, title=n) for n in networks[:2]], kind="surface"),
        "tall": lambda: compose(surface(span=1.9), kind="contour"),
        "wide": lambda: compose(surface(span=0.55), kind="contour"),
        "six": lambda: compose([surface(n, title=n) for n in networks]),
        "recording": lambda: compose(recording(), kind="recording"),
        "training": training,
        "line": lambda: compose(line, kind="line"),
        "lines": lambda: compose([line.assign_attrs(title=n, name=n) for n in networks[:3]], kind="line"),
    }


@pytest.mark.slow
@pytest.mark.parametrize("width", ["column", "page", None])
@pytest.mark.parametrize("name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in scenes()])
def test_words_are_inside_apart_and_large_enough(name: str, width: Any) -> None:
    figure = drawing.figure(scenes()[name](), width=width)
    assert outside(figure) == []
    assert overlaps(figure) == []
    assert min(float(text.get_fontsize()) for text, _ in words(figure)) >= 6.0
    caption = [text for text in figure.texts if text.get_va() == "bottom"]
    assert width == "column" or sum(text.get_text().count("\n") + 1 for text in caption) <= 2


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["contour", "surface"])
def test_twenty_panels_are_a_legible_sheet(kind: Any) -> None:
    figure = drawing.figure(compose([surface(f"seed {k}") for k in range(20)], kind=kind), width="page")
    assert outside(figure) == [] and overlaps(figure) == []
    maps = [axes for axes in figure.axes if axes.get_label() != "color bar"]
    sizes = np.array([axes.get_window_extent().width / figure.dpi for axes in maps])
    assert len(maps) == 20 and sizes.min() > 0.9 and np.ptp(sizes) < 0.01
    assert sum(bool(axes.get_xlabel()) for axes in maps) <= 5 or kind == "surface"


@pytest.mark.parametrize(("width", "inches"), [("column", COLUMN), ("page", PAGE), (5.5, 5.5)])
def test_a_width_is_exact(width: Any, inches: float) -> None:
    figure = plot(surface(), kind="contour", width=width)
    assert figure.get_size_inches()[0] == pytest.approx(inches)


@pytest.mark.slow
def test_a_height_is_exact_and_the_panes_take_what_is_left() -> None:
    low, high = (plot(surface(), kind="contour", width=5, height=height) for height in (3.0, 4.0))
    assert [f.get_size_inches()[1] for f in (low, high)] == pytest.approx([3.0, 4.0])
    tall = [f.axes[0].get_window_extent().height / f.dpi for f in (low, high)]
    assert tall[1] - tall[0] == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize("span", [0.55, 1.0, 1.9])
def test_a_figure_takes_the_shape_of_its_map(span: float) -> None:
    """Of a figure without caption the map is more than half, whatever its shape; the rest is numbers, labels and the color bar."""
    figure = plot(surface(span=span), kind="contour", caption="none", title="")
    box = figure.axes[0].get_window_extent()
    assert box.width / box.height == pytest.approx(1 / span, rel=0.01)
    assert box.width * box.height / (figure.bbox.width * figure.bbox.height) > 0.5


def test_panes_that_are_compared_are_equally_large() -> None:
    figure = plot([surface("a"), surface("b", title="a title that runs over two lines in a column")], width="page")
    boxes = [axes.get_window_extent() for axes in figure.axes if axes.get_label() != "color bar"]
    assert boxes[0].width == pytest.approx(boxes[1].width, abs=0.6)
    assert (boxes[0].y0, boxes[0].y1) == pytest.approx((boxes[1].y0, boxes[1].y1), abs=0.6)


@pytest.mark.slow
def test_a_relief_alone_has_no_color_bar_and_a_map_beside_it_has_the_only_label() -> None:
    alone = drawing.figure(compose(surface(), kind="surface"))
    assert [axes.get_label() for axes in alone.axes].count("color bar") == 0
    assert alone.axes[0].get_zlabel() == "loss [nats]"  # pyright: ignore[reportAttributeAccessIssue]
    both = drawing.figure(compose(surface(), kind="both"))
    assert [axes.get_ylabel() for axes in both.axes if axes.get_label() == "color bar"] == ["loss [nats]"]
    assert [axes.get_zlabel() for axes in both.axes if hasattr(axes, "get_zlabel")] == [""]  # pyright: ignore


@pytest.mark.slow
def test_paths_are_named_at_their_ends_or_in_the_legend() -> None:
    apart = [path("SGD", (-0.9, 0.9), (-0.5, 0.3)), path("Adam", (0.9, 0.9), (0.5, -0.6))]
    figure = drawing.figure(compose(surface(), kind="contour", trajectories=apart))
    assert {text.get_text() for text in figure.axes[0].texts} == {"SGD", "Adam"}
    long = [path(f"{label}, a label that is far too long to be written into a map of this size", (0.9, 0.9)) for label in ("SGD", "Adam")]
    figure = drawing.figure(compose(surface(), kind="contour", trajectories=long))
    assert not figure.axes[0].texts
    assert {p.label for p in long} <= {text.get_text() for text in figure.legends[0].get_texts()}


@pytest.mark.slow
def test_a_path_is_not_named_over_the_name_of_a_model() -> None:
    (mapped,) = compose(surface(), kind="contour").surfaces
    between = replace(mapped, origin=(-0.8, 0.0), origin_label="model a", models=(ModelPlace("model b", (0.8, 0.0)),))
    road = path("fitted curve", (-0.8, 0.0), (0.8, 0.0))
    figure = plot(Scene((Pane("contour", ("s",), ("fitted curve",)),), (between,), (road,)), width="column")
    assert {"model a", "model b", "fitted curve"} <= {text.get_text() for text, _ in words(figure)}
    assert overlaps(figure) == []


@pytest.mark.slow
def test_lines_in_a_row_share_the_scale_of_their_right_axes_and_its_numbers() -> None:
    x, scale = np.linspace(-1, 1, 9), ColorScale(low=0.0, high=2.0)
    lines = tuple(
        Surface(name, x, None, {"loss": Field(x**2, "loss"), "accuracy": Field(1 - share * x**2, "accuracy")})
        for name, share in (("a", 0.2), ("b", 0.7))
    )
    panes = tuple(Pane("line", (s.name,), column=i, color=scale, y_label_right="accuracy") for i, s in enumerate(lines))
    figure = plot(Scene(panes, lines))
    right = [axes for axes in figure.axes if axes.yaxis.get_label_position() == "right"]
    assert len(right) == 2 and right[0].get_ylim() == right[1].get_ylim()
    assert right[0].get_ylim()[0] <= 0.3 and right[0].get_ylim()[1] >= 1.0
    texts = [text.get_text() for text, _ in words(figure)]
    assert texts.count("accuracy") == 2, "beside the right pane, and in the legend"
    assert texts.count("loss") == 2 and overlaps(figure) == []


@pytest.mark.slow
def test_one_mark_where_model_and_minimum_coincide() -> None:
    a = np.linspace(-1, 1, 9)
    values = Field(np.add.outer(a**2, a**2), "loss")
    for origin, labels in (
        ((0.0, 0.0), ["the model itself, minimum on this grid"]),
        ((0.7, 0.7), ["the model itself", "minimum on this grid"]),
    ):
        scene = Scene((Pane("contour", ("s",)),), (Surface("s", a, a, {"loss": values}, origin=origin),))
        assert [text.get_text() for text in drawing.figure(scene).legends[0].get_texts()] == labels


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"width": 0.5}, "width"),
        ({"width": "two columns"}, "page"),
        ({"width": True}, "width"),
        ({"height": 0.2}, "height"),
        ({"width": 4, "height": 1.1}, "height"),
        ({"theme": "sepia"}, "theme.*print"),
        ({"width": float("nan")}, "width"),
    ],
)
def test_no_room_and_unknown_looks_are_refused(options: dict[str, Any], named: str) -> None:
    with pytest.raises(InputError, match=named):
        plot(surface(), kind="both", **options)


@pytest.mark.slow
@pytest.mark.parametrize("width", [None, pytest.param("column", marks=pytest.mark.slow)])
def test_long_labels_of_a_relief_are_broken_and_inside(width: Any) -> None:
    label = "direction from the first minimum to the second, filter-normalized"
    axis = np.linspace(-1, 1, 9)
    bowl = Surface("s", axis, axis, {"loss": Field(np.add.outer(axis**2, axis**2), "loss")})
    figure = drawing.figure(Scene((Pane("surface", ("s",), x_label=label, y_label=label),), (bowl,)), width=width)
    assert outside(figure) == []
    for broken in (figure.axes[0].get_xlabel(), figure.axes[0].get_ylabel()):
        assert "\n" in broken and broken.replace("\n", " ") == label


@pytest.mark.parametrize("options", [{}, {"height": 3.0}, {"width": "column"}])
def test_words_alone_are_a_figure(options: dict[str, Any]) -> None:
    figure = plot(Scene((Pane("text", text="What this run has shown, in a few words. " * 4),), ()), **options)
    assert outside(figure) == []
    assert figure.get_figheight() == pytest.approx(3.0) if options.get("height") else 0.3 < figure.get_figheight() < 2


@pytest.mark.slow
def test_themes_change_ink_and_ground_and_the_users_letters_stay() -> None:
    with matplotlib.rc_context({"font.size": 13, "figure.facecolor": "#ffeedd"}):
        user, dark = plot(surface(), kind="contour"), plot(surface(), kind="contour", theme="dark")
    assert user.axes[0].xaxis.label.get_size() == 13
    assert matplotlib.colors.to_hex(user.get_facecolor()) == "#ffeedd"
    ground, ink = (np.mean(matplotlib.colors.to_rgb(c)) for c in (dark.get_facecolor(), dark.axes[0].xaxis.label.get_color()))
    assert ground < 0.15 and ink > 0.85


def test_a_bare_relief_has_no_box() -> None:
    figure = plot(surface(), kind="surface", bare=True, caption="none", title="")
    assert not has_axes(figure.axes[0])
    assert [text.get_text() for text, _ in words(figure) if text.get_text() != "minimum on this grid"] == []


@pytest.mark.slow
def test_paths_in_print_differ_in_lightness() -> None:
    from lossatlas.viz.mpl.style import PRINT_CURVES

    rgb = np.array([to_rgb(color) for color in PRINT_CURVES])
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    lightness = 116 * np.cbrt(linear @ [0.2126, 0.7152, 0.0722]) - 16
    assert np.diff(lightness).min() > 8, "an eye tells steps of a few units apart, in areas; lines need more"
    runs = [path("SGD", (-0.9, 0.9), (-0.5, 0.3)), path("Adam", (0.9, 0.9), (0.5, -0.6))]
    figure = plot(compose(surface(), kind="contour", trajectories=runs), theme="print")
    assert {text.get_color() for text in figure.axes[0].texts} == set(PRINT_CURVES[:2])
