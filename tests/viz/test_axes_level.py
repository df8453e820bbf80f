"""Axes-level functions draw into axes of the user's own, say what they drew, and change nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import matplotlib
import numpy as np
import pytest
import xarray as xr
from matplotlib.colors import LogNorm, to_hex
from matplotlib.figure import Figure
from scipy.integrate import trapezoid

import lossatlas as la
from lossatlas.analysis.eigensolvers.density import spectral_density
from lossatlas.analysis.eigensolvers.extremes import extreme_eigenvalues
from lossatlas.archive import Archive
from lossatlas.errors import InputError, InputTypeError
from lossatlas.viz.axes_level.drawing import PlotArtists
from lossatlas.viz.mpl.artists.path import FadingLine
from lossatlas.viz.scene.model import Camera, PathData


@pytest.fixture(autouse=True)
def untouched() -> Iterator[None]:
    """Settings of matplotlib are as before, and pyplot has made no figure."""
    before = dict(matplotlib.rcParams)
    yield
    assert dict(matplotlib.rcParams) == before


@pytest.fixture
def flat() -> Any:
    return Figure().add_subplot()


@pytest.fixture
def solid() -> Any:
    return Figure().add_subplot(projection="3d")


@pytest.fixture
def line(dataset: xr.Dataset) -> xr.Dataset:
    return dataset.isel(beta=3, drop=True)


@pytest.fixture
def recording() -> xr.Dataset:
    steps = np.arange(6)
    curves = {
        "path_loss": np.exp(-steps / 2),
        "batch_loss": np.exp(-steps / 2) + 0.1,
        "weight_norm": 3 + steps / 9,
        "learning_rate": 0.1 + 0 * steps,
    }
    return xr.Dataset({name: ("step", values) for name, values in curves.items()}, {"step": steps}, {"label": "SGD"})


def test_two_surfaces_and_a_path_in_six_lines(dataset: xr.Dataset, trajectory: xr.Dataset) -> None:
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 3, figsize=(9, 3))
    for ax, surface in zip(axes, (dataset, 2 * dataset.drop_vars("done")), strict=False):
        drawn = la.plot_contour(surface, ax, limits=(0, 20))
    figure.colorbar(drawn.mappable, ax=axes[1], label="loss [nats]")
    la.plot_path(trajectory, axes[2])
    figure.tight_layout()
    assert [bool(ax.collections or ax.lines) for ax in axes] == [True] * 3
    assert axes[2].get_xlim()[0] < -0.85 and axes[2].get_ylim()[1] > 1.75, "the path is in sight"
    plt.close(figure)


def test_a_contour_says_what_it_drew(dataset: xr.Dataset, flat: Any) -> None:
    flat.plot([0], [0])
    before = set(flat.get_children())
    drawn = la.plot_contour(dataset, flat, limits=(0.0, 12.0), scale="linear")
    assert isinstance(drawn, PlotArtists)
    assert set(drawn.artists) == set(flat.get_children()) - before
    assert drawn.mappable is not None and drawn.mappable.get_clim() == (0.0, 12.0)
    assert (flat.get_xlim(), flat.get_ylim()) == ((-1, 1), (-2, 2))
    assert [handle.get_label() for handle in drawn.handles] == ["the model itself, minimum on this grid"]
    assert la.plot_contour(dataset, Figure().add_subplot(), marks=False).handles == []


@pytest.mark.parametrize(("factor", "log"), [(0.0, False), (400.0, True)])
def test_the_scale_is_that_of_plot(dataset: xr.Dataset, flat: Any, solid: Any, factor: float, log: bool) -> None:
    """Narrow valleys are drawn in decades, bowls as they are; limits that begin at zero have no decades."""
    narrow = dataset.assign(loss=np.exp(factor * dataset.loss / 60) if factor else 1 + dataset.loss / dataset.loss.max())
    for drawn in (la.plot_contour(narrow, flat), la.plot_surface(narrow, solid)):
        assert drawn.mappable is not None and isinstance(drawn.mappable.norm, LogNorm) == log
    from_zero = la.plot_contour(narrow, Figure().add_subplot(), limits=(0.0, 9.0))
    assert from_zero.mappable is not None and not isinstance(from_zero.mappable.norm, LogNorm)


def test_a_path_over_a_map_stays_in_its_window_and_is_cut_there(dataset: xr.Dataset, flat: Any) -> None:
    la.plot_contour(dataset, flat)
    path = PathData("p", np.array([0.0, 0.5, 1.5]), np.zeros(3), np.arange(3), label="SGD")
    drawn = la.plot_path(path, flat, color="#123456", end_label=True)
    (ball,) = [one for one in drawn.artists if getattr(one, "get_markersize", float)() == pytest.approx(6.0 * 10 / 9)]
    assert ball.get_xdata() == [] or np.isfinite(ball.get_xdata()).all()
    assert flat.get_xlim() == (-1, 1)
    assert [(text.get_text(), text.get_color()) for text in flat.texts] == [("SGD", "#123456")]
    assert [handle.get_label() for handle in drawn.handles] == ["SGD"]


def test_paths_take_the_next_color_and_fade_off_the_plane(trajectory: xr.Dataset, flat: Any) -> None:
    first = la.plot_path(trajectory, flat)
    off = trajectory.assign(path_residual=("step", np.linspace(1, 0, 20)))
    second = la.plot_path(off, flat, label="Adam")
    colors = [to_hex(drawn.handles[0].get_color()) for drawn in (first, second)]  # pyright: ignore[reportAttributeAccessIssue]
    assert colors[0] != colors[1]
    assert not any(isinstance(one, FadingLine) for one in first.artists)
    assert sum(isinstance(one, FadingLine) for one in second.artists) == 2, "the line and its halo"


@pytest.mark.slow
def test_a_relief_and_a_path_on_it(dataset: xr.Dataset, trajectory: xr.Dataset, solid: Any) -> None:
    drawn = la.plot_surface(dataset, solid, camera=Camera(40, -45))
    assert (solid.elev, solid.azim) == (40, -45)
    assert drawn.mappable is not None
    solid.figure.canvas.draw()
    before = len(solid.lines)
    la.plot_path(trajectory, solid)
    assert len(solid.lines) > before
    from mpl_toolkits.mplot3d import proj3d

    height = float(trajectory.path_loss[-1])
    x, y, _ = proj3d.proj_transform(0.0, 0.0, height, solid.get_proj())
    ends = [line.get_xydata()[-1] for line in solid.lines if line.get_marker() == "o" and len(line.get_xdata()) == 1]
    assert np.abs(np.array(ends) - [x, y]).max(axis=1).min() < 1e-9, "the ball lies at the path's own loss"


def test_lines_share_axes_and_take_their_scale(line: xr.Dataset, flat: Any) -> None:
    flat.set_yscale("log")
    first, second = (la.plot_line(one, flat, label=label) for one, label in ((line, "a"), (line * 2, "b")))
    assert flat.get_yscale() == "log"
    shown = [one for one in flat.lines if len(one.get_xdata()) == 9]
    np.testing.assert_allclose([one.get_ydata() for one in shown], [line.loss, 2 * line.loss])
    assert len({to_hex(one.get_color()) for one in shown}) == 2
    assert [drawn.handles[0].get_label() for drawn in (first, second)] == ["a", "b"]


def test_a_spectrum_is_a_density_that_integrates_to_one_or_stems(flat: Any) -> None:
    matrix = np.diag([0.0, 1.0, 2.0, 7.0])
    la.plot_spectrum(spectral_density(matrix, steps=4, probes=2), flat, width=0.2)
    x, y = flat.lines[0].get_data()
    assert trapezoid(y, x) == pytest.approx(1, abs=2e-3)  # four standard deviations beyond the outermost node
    stems = Figure().add_subplot()
    la.plot_spectrum(extreme_eigenvalues(matrix, k=2), stems)
    assert [one.get_ydata().tolist() for one in stems.lines if one.get_marker() == "o"] == [pytest.approx([0, 1, 2, 7], abs=1e-9)]
    la.plot_spectrum([3.0, np.nan, 1.0], axes := Figure().add_subplot())
    assert axes.lines[-1].get_ydata().tolist() == [1.0, 3.0]


def test_a_recording_shows_one_quantity_of_all(recording: xr.Dataset, flat: Any) -> None:
    drawn = la.plot_recording(recording, flat)
    shown = {tuple(np.round(one.get_ydata(), 9)) for one in flat.lines if len(one.get_xdata()) == 6}
    assert shown == {tuple(np.round(recording[name].values, 9)) for name in ("path_loss", "batch_loss")}
    assert len(drawn.handles) == 2
    la.plot_recording(recording, axes := Figure().add_subplot(), "learning_rate")
    assert axes.get_ylabel() == "learning rate"
    with pytest.raises(InputError, match="sharpness"):
        la.plot_recording(recording, axes, "sharpness")


def test_curves_compare_runs(trajectory: xr.Dataset, flat: Any) -> None:
    drawn = la.plot_curves({"SGD": trajectory, "Adam": trajectory * 2}, flat)
    np.testing.assert_allclose(
        [one.get_ydata() for one in flat.lines if len(one.get_xdata()) == 20], [trajectory.path_loss, 2 * trajectory.path_loss]
    )
    assert [handle.get_label() for handle in drawn.handles] == ["SGD", "Adam"]
    assert [h.get_label() for h in la.plot_curves([trajectory, trajectory], Figure().add_subplot()).handles] == ["SGD (1)", "SGD (2)"]
    with pytest.raises(InputError, match="path_loss"):
        la.plot_curves([trajectory], flat, "perplexity")


def test_style_sheets_are_obeyed(dataset: xr.Dataset, line: xr.Dataset) -> None:
    with matplotlib.rc_context(
        {
            "text.color": "#abcdef",
            "axes.labelcolor": "#abcdef",
            "font.size": 17,
            "axes.prop_cycle": matplotlib.rcsetup.cycler(color=["#00ff00"]),
        }
    ):
        ax = Figure().add_subplot()
        la.plot_line(line, ax)
        assert to_hex(ax.lines[0].get_color()) == "#00ff00"
        assert to_hex(ax.xaxis.label.get_color()) == "#abcdef"
        la.plot_contour(dataset, other := Figure().add_subplot())
        assert other.yaxis.label.get_size() == 17


@pytest.mark.parametrize("function", ["plot_contour", "plot_line", "plot_curves", "plot_recording", "plot_spectrum"])
def test_relief_axes_are_refused_where_flat_ones_belong(function: str, dataset: xr.Dataset, solid: Any) -> None:
    with pytest.raises(InputError, match=r"2-D axes.*plt\.subplots"):
        getattr(la, function)(dataset, solid)


def test_flat_axes_are_refused_for_a_relief(dataset: xr.Dataset, trajectory: xr.Dataset, flat: Any, solid: Any) -> None:
    with pytest.raises(InputError, match='projection="3d"'):
        la.plot_surface(dataset, flat)
    with pytest.raises(InputError, match="plot_surface"):
        la.plot_path(trajectory, solid)


@pytest.mark.parametrize("axis", ["x", "y"])
def test_axes_with_a_log_scale_are_refused_for_coordinates_of_a_plane(
    axis: str, dataset: xr.Dataset, trajectory: xr.Dataset, flat: Any
) -> None:
    getattr(flat, f"set_{axis}scale")("log")
    with pytest.raises(InputError, match=rf"log {axis} axis.*set_{axis}scale"):
        la.plot_contour(dataset, flat)
    with pytest.raises(InputError, match="log"):
        la.plot_path(trajectory, flat)


def test_a_log_x_axis_is_refused_for_a_line(line: xr.Dataset, flat: Any) -> None:
    flat.set_xscale("log")
    with pytest.raises(InputError, match="log x axis"):
        la.plot_line(line, flat)


def test_what_is_no_axes_is_refused(dataset: xr.Dataset) -> None:
    with pytest.raises(InputTypeError, match=r"axes\[0\]"):
        la.plot_contour(dataset, np.empty(3, object))  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda archive, data, ax: la.plot_contour(archive, ax), "n100, n1000"),
        (lambda archive, data, ax: la.plot_contour(data.isel(beta=0, drop=True), ax), "plot_line"),
        (lambda archive, data, ax: la.plot_contour(data, ax, limits=(1.0, 1.0)), "limits"),
        (lambda archive, data, ax: la.plot_contour(data, ax, limits=(0.0, 1.0), scale="log"), "above zero"),
        (lambda archive, data, ax: la.plot_contour(data, ax, quantity="hessian"), "accuracy"),
        (lambda archive, data, ax: la.plot_line(data, ax), "two directions"),
        (lambda archive, data, ax: la.plot_path(data, ax), "Project"),
        (lambda archive, data, ax: la.plot_path("path", ax), "Dataset"),
        (lambda archive, data, ax: la.plot_curves([], ax), "step"),
        (lambda archive, data, ax: la.plot_recording(archive, ax), "recorded"),
        (lambda archive, data, ax: la.plot_spectrum([np.nan], ax), "finite"),
    ],
)
def test_bad_input_says_what_is_allowed(call: Callable[..., Any], named: str, archive: Archive, dataset: xr.Dataset, flat: Any) -> None:
    with pytest.raises(InputError, match=named):
        call(archive, dataset, flat)
