"""Figures: nothing clipped, holes and paths where they belong, and no trace left in the user's settings."""

from __future__ import annotations

import pickle
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path as File
from typing import Any

import matplotlib
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.contour import ContourSet
from matplotlib.figure import Figure
from matplotlib.legend import Legend

from lossatlas.errors import InputError
from lossatlas.viz.colors import HOLE, PATH_COLORS, STAR
from lossatlas.viz.mpl import figure as drawing
from lossatlas.viz.mpl.panes.base import has_axes
from lossatlas.viz.mpl.style import styled
from lossatlas.viz.scene.model import Arrow, Camera, ColorScale, Curve, DecisionRegions, Field, Pane, Scene, Surface, Timeline

Make = Callable[..., Any]


def pixels(figure: Figure) -> np.ndarray:
    figure.canvas.draw()
    return np.asarray(figure.canvas.buffer_rgba())[..., :3].astype(float) / 255  # pyright: ignore[reportAttributeAccessIssue]


def near(image: np.ndarray, color: str, tolerance: float = 0.08) -> np.ndarray:
    return np.abs(image - np.array(to_rgb(color))).max(axis=-1) < tolerance


def at(figure: Figure, axes: Any, point: tuple[float, float]) -> tuple[slice, slice]:
    """A few pixels round a place in data coordinates."""
    x, y = axes.transData.transform(point)
    row, column = round(figure.bbox.height - y), round(x)
    return slice(row - 4, row + 5), slice(column - 4, column + 5)


def words_outside(figure: Figure) -> list[str]:
    """All words whose box leaves the figure by more than half a pixel: labels and ticks of every axis, titles, legends, small print."""
    figure.canvas.draw()
    with styled():
        boxes: list[tuple[str, Any]] = [(text.get_text(), text.get_window_extent()) for text in figure.texts if text.get_text()]
        for axes in figure.axes:
            boxes += [(f"{axes.get_label()} {name} axis", axis.get_tightbbox()) for name, axis in axes._axis_map.items() if has_axes(axes)]  # pyright: ignore
            boxes += [(text.get_text(), text.get_window_extent()) for text in axes.texts]
        boxes += [("legend", legend.get_window_extent()) for legend in figure.findobj(Legend)]
    return [name for name, box in boxes if box is not None and not _inside(figure, box)]


def _inside(figure: Figure, box: Any) -> bool:
    return box.x0 >= -0.5 and box.y0 >= -0.5 and box.x1 <= figure.bbox.width + 0.5 and box.y1 <= figure.bbox.height + 0.5


@pytest.mark.slow
def test_nothing_is_clipped_in_any_kind_of_figure(every_scene: Scene) -> None:
    assert words_outside(drawing.figure(every_scene)) == []


def _mixed(make_surface: Make, make_line: Make) -> Scene:
    steps, square = np.arange(50.0), np.linspace(-1, 1, 12)
    points = np.random.default_rng(0).uniform(-1, 1, (30, 2))
    accuracy = Field(np.linspace(0.2, 0.9, 21), "accuracy [fraction]")
    return Scene(
        panes=(
            Pane("line", ("line",), title="Line", y_label_right="accuracy [fraction]"),
            Pane("curves", curves=("a", "b"), column=1, title="Curves", y_label="loss [nats]", y_label_right="accuracy [fraction]"),
            Pane("histogram", curves=("h",), row=1, title="Histogram", x_label="weight"),
            Pane("areas", areas=("d",), row=1, column=1, title="Areas"),
            Pane("surface", ("bowl",), row=2, title="Relief"),
            Pane("text", row=2, column=1, text="Some words that run on and on until they have to be broken. " * 4),
        ),
        surfaces=(make_line(np.linspace(1, 2, 21) ** 2, accuracy=accuracy), make_surface()),
        curves=(
            Curve("a", steps, np.exp(-steps / 9), label="loss", band=(np.exp(-steps / 9) - 0.1, np.exp(-steps / 9) + 0.1)),
            Curve("b", steps, 1 - np.exp(-steps / 9), label="accuracy", axis="right", dash="dashed"),
            Curve("h", np.linspace(-1, 1, 11), np.arange(10.0), label="layer 1"),
        ),
        areas=(DecisionRegions("d", square, square, np.tri(12, 12, dtype=int), points, (points.sum(axis=1) > 0).astype(int)),),
        title="A title so long that it must be broken into two lines because no figure could ever be wide enough to hold it whole",
        notes=("a note that is long enough to be broken, " * 5,),
    )


@pytest.fixture(
    params=[
        *("publication", "log", "holes", "constant", "tiny", "thin", "line with holes", "paths"),
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("huge", "turned", "gallery", "mixed")),
    ]
)
def every_scene(request: pytest.FixtureRequest, make_surface: Make, make_line: Make, make_path: Make) -> Scene:
    both = (Pane("contour", ("bowl",)), Pane("surface", ("bowl",), column=1))
    alpha, beta = np.linspace(-1, 1, 9), np.linspace(-2, 2, 7)
    values = 4.75 + 0.06 * (alpha[:, None] ** 2 + beta[None, :]) ** 2
    holed = values.copy()
    holed[1, 2], holed[3, 3], holed[5:, 5:] = np.nan, np.inf, -1.0
    named = {"alpha_label": "$w_{250,5}^{(2)}$", "beta_label": "a rather long name of an axis"}
    match request.param:
        case "publication":
            return Scene(both, (make_surface(values, **named),), title="ResNet-56", subtitle="without shortcuts")
        case "log":
            return Scene(both, (make_surface(10 ** (values * 3 - 10)),), colors=(ColorScale(scale="log"),))
        case "holes":
            return Scene(both, (make_surface(holed, done=np.arange(63).reshape(9, 7) > 3),), colors=(ColorScale(scale="log"),))
        case "constant":
            return Scene(both, (make_surface(np.zeros((3, 4))),))
        case "tiny":
            return Scene(both, (make_surface([[0.0, 1e-9], [2e-9, -1e-9]]),))
        case "huge":
            return Scene(both, (make_surface(values * 1e13),), colors=(ColorScale(clip=4.9e13),))
        case "thin":
            surface = make_surface(values)
            thin = type(surface)("bowl", surface.alpha * 1e4, surface.beta * 1e-4, surface.fields)
            return Scene(both, (thin,))
        case "turned":
            cameras = (Camera(5, 0), Camera(89, 45), Camera(-20, 170), Camera(32, 100, zoom=1.5))
            return Scene(
                tuple(Pane("surface", ("bowl",), column=i % 2, row=i // 2, camera=c) for i, c in enumerate(cameras)),
                (make_surface(values, **named),),
            )
        case "gallery":
            names = [f"seed {k}" for k in range(4)]
            panes = tuple(Pane("surface", (n,), column=i, title=n, color=ColorScale(levels=5 + i)) for i, n in enumerate(names))
            return Scene(panes, tuple(make_surface(values, name=n, label=n) for n in names))
        case "mixed":
            return _mixed(make_surface, make_line)
        case "line with holes":
            broken = np.array([1.0, np.nan, 2.0, np.inf, -3.0, 0.0, 4.0])
            return Scene((Pane("line", ("line",)),), (make_line(broken),), colors=(ColorScale(scale="log"),))
        case _:
            paths = (
                make_path(),
                make_path((0.9, -1.9), (3, 3), name="away", dash="dotted", label="a path with a long label that leaves the window"),
            )
            curves = tuple(Curve(p.name, np.arange(50.0), np.linspace(2, 1, 50), label=p.label or p.name) for p in paths)
            panes = (Pane("contour", ("bowl",), ("sgd", "away")), Pane("curves", curves=("sgd", "away"), row=1, y_label="costs"))
            timeline = Timeline(np.arange(50), tuple(f"epoch {k:,}" for k in range(50)))
            return Scene(panes, (make_surface(values),), paths, curves=curves, arrows=(Arrow((0, 0), (1, 2), "step"),), timeline=timeline)


def test_holes_are_hatched_grey_and_other_cells_are_colored(make_surface: Make) -> None:
    values = np.arange(63.0).reshape(9, 7)
    values[4, 3] = np.nan
    figure = drawing.figure(Scene((Pane("contour", ("bowl",)),), (make_surface(values),)))
    image, axes = pixels(figure), figure.axes[0]
    assert near(image[at(figure, axes, (0.0, 0.0))], HOLE).mean() > 0.3
    for alpha, beta in ((0.25, 0.0), (0.0, 0.667), (-1, -2), (0.19, 0.1)):
        assert not near(image[at(figure, axes, (alpha, beta))], HOLE).any()


@pytest.mark.slow
def test_lone_cells_among_uncomputed_ones_are_shown(make_surface: Make) -> None:
    done = np.zeros((9, 7), bool)
    done[::4, ::3] = True
    figure = drawing.figure(Scene((Pane("contour", ("bowl",)),), (make_surface(done=done),)))
    image, axes = pixels(figure), figure.axes[0]
    assert not near(image[at(figure, axes, (-1 + 0.05, 0.0))], HOLE).any()
    assert near(image[at(figure, axes, (-0.5, 1.0))], HOLE).mean() > 0.3


def test_paths_and_marks_stand_where_they_belong(make_surface: Make, make_path: Make) -> None:
    surface = make_surface(origin=(0.5, 1.0))
    scene = Scene((Pane("contour", ("bowl",), ("sgd",)),), (surface,), (make_path(end=(0.6, -1.0)),))
    figure = drawing.figure(scene)
    image, axes = pixels(figure), figure.axes[0]
    assert near(image[at(figure, axes, (-0.1, 0.25))], PATH_COLORS[0]).sum() > 10
    assert near(image[at(figure, axes, (0.6, -1.0))], PATH_COLORS[0]).sum() > 20, "the ball at the end"
    assert near(image[at(figure, axes, (-0.8, 1.5))], "white").sum() > 5, "the open dot at the start"
    assert near(image[at(figure, axes, (0.0, 0.0))], STAR).sum() > 10
    assert near(image[at(figure, axes, (0.5, 1.0))], "white").sum() > 10, "the model itself"


def test_the_model_at_the_end_of_a_line_is_marked_on_the_curve_where_the_frame_cannot_hide_it() -> None:
    axis = np.linspace(0, 1, 5)
    line = Surface("l", axis, None, {"loss": Field(2 + axis, "loss")}, origin=(0.0,), origin_label="model a")
    figure = drawing.figure(Scene((Pane("line", ("l",)),), (line,)))
    assert [m.get_xydata().tolist() for m in figure.axes[0].lines if m.get_marker() == "P"] == [[[0.0, 2.0]]]
    assert "model a, minimum on this grid" in [text.get_text() for text in figure.legends[0].get_texts()]


@pytest.mark.slow
def test_a_path_on_a_relief_is_seen_and_dimmed_behind_a_ridge(make_surface: Make, make_path: Make) -> None:
    alpha = np.linspace(-1, 1, 41)
    ridge = np.exp(-((alpha / 0.12) ** 2))[:, None] * np.ones((1, 9))
    scene = Scene(
        (Pane("surface", ("bowl",), ("sgd",), camera=Camera(15, 0)),), (make_surface(ridge),), (make_path((0.9, 0.5), (-0.9, 0.5), 200),)
    )
    figure = drawing.figure(scene)
    halo, dim, bright = (line for line in figure.axes[0].lines if len(line.get_xdata()) == 200)
    hidden = ~np.isfinite(np.asarray(bright.get_ydata(), float))
    x = np.linspace(0.9, -0.9, 200)
    assert not hidden[x > 0.1].any(), "the near side and the crest are in sight"
    assert hidden[(x < -0.15) & (x > -0.5)].all(), "just behind the ridge it is hidden"
    assert np.isfinite(np.asarray(dim.get_ydata(), float)).all()
    assert (dim.get_alpha() or 1) < 0.5
    assert halo.get_color() == "white"
    assert near(pixels(figure), PATH_COLORS[0]).sum() > 100


@pytest.mark.slow
def test_a_still_figure_is_whole_and_a_frame_is_cut_at_its_step(make_surface: Make, make_path: Make) -> None:
    scene = Scene(
        (Pane("contour", ("bowl",), ("sgd",)),),
        (make_surface(),),
        (make_path(),),
        timeline=Timeline(np.array([10, 49]), ("step 10", "step 49")),
    )
    whole, cut = drawing.figure(scene), drawing.figure(scene, frame=0)
    lengths = [sum(len(line.get_xdata()) == n for line in figure.axes[0].lines) for figure, n in ((whole, 50), (cut, 11))]
    assert lengths == [3, 3]
    assert "step 10" in {text.get_text() for text in cut.texts}
    with pytest.raises(InputError, match="frame"):
        drawing.figure(scene, frame=2)


def test_a_long_path_is_thinned_but_keeps_its_ends_and_frames(make_surface: Make, make_path: Make) -> None:
    from lossatlas.viz.mpl.artists.path import MOST_POINTS, kept_points

    path = make_path(steps=50_001)
    scene = Scene((), (make_surface(),), (path,), timeline=Timeline(np.array([0, 12_345, 50_000]), ("", "", "")))
    kept = kept_points(scene, path)
    assert len(kept) <= MOST_POINTS + 3
    assert {0, 12_345, 50_000} <= set(kept.tolist())


@pytest.mark.slow
def test_compared_panes_have_one_color_bar_and_own_scales_their_own(make_surface: Make) -> None:
    surfaces = (make_surface(name="a"), make_surface(name="b"))
    shared = Scene((Pane("contour", ("a",)), Pane("contour", ("b",), column=1)), surfaces)
    own = Scene((Pane("contour", ("a",)), Pane("contour", ("b",), column=1, color=ColorScale(scale="log"))), surfaces)
    bars = [[axes.get_ylabel() for axes in drawing.figure(scene).axes if axes.get_label() == "color bar"] for scene in (shared, own)]
    assert bars == [["loss [nats]"], ["loss [nats]", "loss [nats], log scale"]]


@pytest.mark.slow
def test_bars_shared_by_rows_stand_above_one_another(make_surface: Make) -> None:
    fields = {name: Field(np.arange(63.0).reshape(9, 7), name) for name in ("loss", "accuracy")}
    surfaces = tuple(replace(make_surface(name=name), fields=fields) for name in "ab")
    panes = tuple(Pane("contour", (s.name,), quantity=q, row=r, column=c) for r, q in enumerate(fields) for c, s in enumerate(surfaces))
    upper, lower = (axes.get_position() for axes in drawing.figure(Scene(panes, surfaces)).axes if axes.get_label() == "color bar")
    assert upper.x0 == pytest.approx(lower.x0)
    assert lower.y1 < upper.y0


@pytest.mark.slow
def test_points_are_not_joined_and_what_panes_share_is_told_once() -> None:
    x = np.array([1.0, 2.0, 3.0])
    curves = tuple(
        Curve(f"{name} {i}", x, x * i, name, color, points=True) for i in (1, 2) for name, color in (("a", "#123456"), ("b", "#654321"))
    )
    panes = tuple(Pane("curves", curves=(f"a {i}", f"b {i}"), column=i - 1) for i in (1, 2))
    figure = drawing.figure(Scene(panes, curves=curves))
    lines = [line for axes in figure.axes for line in axes.lines if len(line.get_xdata())]
    assert [(line.get_linestyle(), line.get_marker()) for line in lines] == [("None", "o")] * 4
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["a", "b"]
    assert all(axes.get_legend() is None for axes in figure.axes)
    other = replace(curves[3], label="c")
    apart = drawing.figure(Scene(panes, curves=(*curves[:3], other)))
    assert [[t.get_text() for t in axes.get_legend().get_texts()] for axes in apart.axes] == [["a", "b"], ["a", "c"]]


def test_an_accuracy_line_has_its_own_axis_and_a_band_of_one_standard_error(make_line: Make) -> None:
    loss = Field(np.linspace(1, 2, 5), "loss [nats]", standard_error=np.full(5, 0.1))
    line = make_line(np.linspace(1, 2, 5), accuracy=Field(np.linspace(0.5, 1, 5), "accuracy [fraction]"))
    line = type(line)("line", line.alpha, None, {**line.fields, "loss": loss})
    figure = drawing.figure(Scene((Pane("line", ("line",), y_label_right="accuracy [fraction]"),), (line,)))
    assert [axes.get_ylabel() for axes in figure.axes] == ["loss [nats]", "accuracy [fraction]"]
    band = figure.axes[0].collections[0].get_paths()[0].vertices
    assert np.asarray(band)[:, 1].min() == pytest.approx(0.9)
    assert np.asarray(band)[:, 1].max() == pytest.approx(2.1)


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".png", ".svg", pytest.param(".pdf", marks=pytest.mark.slow)])
def test_equal_figures_are_equal_files(make_surface: Make, tmp_path: File, suffix: str) -> None:
    scene = Scene((Pane("contour", ("bowl",)),), (make_surface(),), title="Equal")
    for name in ("a", "b"):
        drawing.save(drawing.figure(scene), tmp_path / "deep" / f"{name}{suffix}")
    first, second = ((tmp_path / "deep" / f"{name}{suffix}").read_bytes() for name in ("a", "b"))
    assert first == second
    assert len(list((tmp_path / "deep").iterdir())) == 2, "no temporary file is left"


@pytest.mark.slow
def test_only_the_faces_of_a_relief_are_pixels_in_a_vector_file(make_surface: Make, tmp_path: File) -> None:
    scene = Scene((Pane("surface", ("bowl",)),), (make_surface(),))
    text = drawing.save(drawing.figure(scene), tmp_path / "relief.svg").read_text()
    assert text.count("<image") == 2, "the faces and the map on the floor; a height axis needs no color bar"
    assert text.count("<path") > 25


@pytest.mark.slow
def test_a_file_that_cannot_be_written_is_named(make_surface: Make, tmp_path: File) -> None:
    figure = drawing.figure(Scene((Pane("contour", ("bowl",)),), (make_surface(),)))
    with pytest.raises(InputError, match=r"\.png, \.svg or \.pdf"):
        drawing.save(figure, tmp_path / "figure.bmp")
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match="written"):
        drawing.save(figure, tmp_path / "file" / "figure.png")


@pytest.mark.parametrize(
    ("pane", "named"),
    [
        (Pane("contour"), "no surface"),
        (Pane("contour", ("nowhere",)), "nowhere"),
        (Pane("contour", ("line",)), "2 x 2"),
        (Pane("line", ("bowl",)), "plane"),
        (Pane("surface", ("bowl",), quantity="hessian"), "hessian"),
        (Pane("surface", ("bowl",), ("nobody",)), "nobody"),
        (Pane("areas"), "areas"),
        (Pane("pie"), "kind"),  # pyright: ignore[reportArgumentType]
    ],
)
def test_a_pane_that_cannot_be_drawn_says_why(make_surface: Make, make_line: Make, pane: Pane, named: str) -> None:
    with pytest.raises(InputError, match=named):
        drawing.figure(Scene((pane,), (make_surface(), make_line([1.0, 2.0, 3.0]))))
    with pytest.raises(InputError, match="pane"):
        drawing.figure(Scene(()))


@pytest.mark.slow
def test_the_users_settings_are_left_alone_in_threads_too(make_surface: Make) -> None:
    scene = Scene((Pane("contour", ("bowl",)),), (make_surface(),))
    before = dict(matplotlib.rcParams)
    workers = [threading.Thread(target=lambda: drawing.encoded(drawing.figure(scene), ".png", 40)) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    with pytest.raises(InputError):
        drawing.figure(Scene((Pane("contour"),)))
    assert dict(matplotlib.rcParams) == before


@pytest.mark.slow
def test_a_notebook_shows_a_figure(make_surface: Make) -> None:
    figure = drawing.figure(Scene((Pane("contour", ("bowl",)),), (make_surface(),)))
    assert figure._repr_png_().startswith(b"\x89PNG")  # pyright: ignore[reportAttributeAccessIssue]


@pytest.mark.slow
def test_a_figure_goes_under_the_name_by_which_other_programs_know_one(make_surface: Make) -> None:
    """Weights & Biases and Streamlit compare the full name of the class; pickles and copies go through it too."""
    figure = drawing.figure(Scene((Pane("contour", ("bowl",)),), (make_surface(),)), width=3)
    kind = type(figure)
    assert f"{kind.__module__}.{kind.__qualname__}" == "matplotlib.figure.Figure" and isinstance(figure, Figure)
    again: Any = pickle.loads(pickle.dumps(figure))
    assert type(again) is kind and again.attrs == figure.attrs  # pyright: ignore[reportAttributeAccessIssue]
    assert drawing.encoded(again, ".png", 40) == drawing.encoded(figure, ".png", 40)


def test_a_plateau_at_the_highest_value_has_no_contour_lines(make_surface: Make) -> None:
    """Interpolation rounds there, above and below the highest level."""
    alpha = np.linspace(-1, 1, 9)
    values = np.minimum(200.1, 100 + 170.3 * (alpha[:, None] + 1)) + np.zeros(7)
    axes = drawing.figure(Scene((Pane("contour", ("bowl",)),), (make_surface(values),), colors=(ColorScale(levels=6),))).axes[0]
    lines = [
        np.asarray(path.vertices) for one in axes.collections if isinstance(one, ContourSet) and not one.filled for path in one.get_paths()
    ]
    beyond = alpha[np.argmax(values[:, 0])]
    assert lines and max(float(vertices[:, 0].max()) for vertices in lines if len(vertices)) < beyond
