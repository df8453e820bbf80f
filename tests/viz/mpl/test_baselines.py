"""Pictures of the axes-level functions against small reviewed ones, without any letters, so that fonts do not matter.

After a change that is meant, look at the new pictures and keep them: ``LOSSATLAS_BASELINES=write pytest tests/viz/mpl/test_baselines.py``.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pytest
import xarray as xr
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.testing.compare import compare_images
from matplotlib.testing.decorators import remove_ticks_and_titles

import lossatlas as la
from lossatlas.analysis.eigensolvers.density import spectral_density
from lossatlas.viz.scene.model import PathData

BASELINES = Path(__file__).with_name("baselines")
TOLERANCE = 6.0
"""Root mean square of 255 gray levels; antialiasing differs by 1 to 3 between versions, a missing line or other colors by 10 and more."""
SIZE = (2.4, 2.0)

pytestmark = pytest.mark.skipif(
    tuple(map(int, matplotlib.__version__.split(".")[:2])) < (3, 10), reason="the pictures were drawn with matplotlib 3.11"
)


def surface() -> xr.Dataset:
    a, b = np.linspace(-1, 1, 13), np.linspace(-1, 1, 11)
    values = 0.3 + a[:, None] ** 2 + 0.6 * b[None, :] ** 2 + 0.35 * np.cos(4 * a[:, None] + 2 * b[None, :])
    values[11, 8] = np.nan
    variables = {"loss": (("alpha", "beta"), values), "loss_standard_error": (("alpha", "beta"), 0.05 + 0 * np.nan_to_num(values))}
    return xr.Dataset(variables, {"alpha": a, "beta": b}, {"plane": {"origin": [0.0, 0.0]}})


def path(end: tuple[float, float] = (0.55, 0.05), far: float = 1.2) -> PathData:
    t = np.linspace(0, 1, 40)
    alpha, beta = -0.9 + (end[0] + 0.9) * t, 0.85 + (end[1] - 0.85) * t**2
    residual = far * (1 - t)
    return PathData("p", alpha, beta, np.arange(40), residual=residual, stem=residual)


def contour(ax: Any) -> None:
    la.plot_contour(surface(), ax, levels=13)


def relief(ax: Any) -> None:
    la.plot_surface(surface(), ax, levels=13)
    la.plot_path(path(far=0.0), ax)


def line(ax: Any) -> None:
    for beta, color in ((3, None), (5, "#1d5fa8")):
        la.plot_line(surface().isel(beta=beta, drop=True), ax, color=color)


def paths(ax: Any) -> None:
    la.plot_contour(surface(), ax, levels=7, marks=False)
    la.plot_path(path(), ax)
    la.plot_path(path((-0.5, -0.9), 0.0), ax)


def spectrum(ax: Any) -> None:
    la.plot_spectrum(spectral_density(np.diag(np.r_[np.linspace(-0.5, 1, 30), 4, 7])), ax, width=0.15)


def recording(ax: Any) -> None:
    steps = np.arange(60)
    values = {
        "path_loss": np.exp(-steps / 15),
        "batch_loss": np.exp(-steps / 15) * (1.2 + 0.4 * np.sin(steps)),
        "test_loss": 0.2 + np.exp(-steps / 15),
    }
    run = xr.Dataset({k: ("step", v) for k, v in {**values, "weight_norm": 1.0 + steps}.items()}, {"step": steps}, {"label": "SGD"})
    la.plot_recording(run, ax)


def curves(ax: Any) -> None:
    steps = np.arange(30)
    runs = {f"r{k}": xr.Dataset({"path_loss": ("step", 1 / (1 + k * steps))}, {"step": steps}) for k in (1, 2, 3)}
    la.plot_curves(runs, ax, scale="log")


@pytest.mark.parametrize("draw", [contour, pytest.param(relief, marks=pytest.mark.slow), line, paths, spectrum, recording, curves])
def test_a_picture_is_as_it_was_reviewed(draw: Callable[[Any], None], tmp_path: Path) -> None:
    figure = Figure(figsize=SIZE, dpi=100)
    FigureCanvasAgg(figure)
    draw(figure.add_axes((0.02, 0.02, 0.96, 0.96), projection="3d" if draw is relief else None))
    remove_ticks_and_titles(figure)
    for axes in figure.axes:
        axes.set(xlabel="", ylabel="")
        if hasattr(axes, "set_zlabel"):
            axes.set_zlabel("")  # pyright: ignore[reportAttributeAccessIssue]
    target = (BASELINES if os.environ.get("LOSSATLAS_BASELINES") == "write" else tmp_path) / f"{draw.__name__}.png"
    figure.savefig(target, metadata={"Software": None})
    assert compare_images(str(BASELINES / target.name), str(target), TOLERANCE) is None


def test_another_picture_is_noticed(tmp_path: Path) -> None:
    """The tolerance is no blindfold: the same map without its lines and marks fails."""
    figure = Figure(figsize=SIZE, dpi=100)
    FigureCanvasAgg(figure)
    axes: Any = figure.add_axes((0.02, 0.02, 0.96, 0.96))
    drawn = la.plot_contour(surface(), axes, levels=13, marks=False)
    drawn.artists[-1].set_visible(False)
    remove_ticks_and_titles(figure)
    axes.set(xlabel="", ylabel="")
    figure.savefig(tmp_path / "contour.png")
    (tmp_path / "expected.png").write_bytes((BASELINES / "contour.png").read_bytes())
    assert compare_images(str(tmp_path / "expected.png"), str(tmp_path / "contour.png"), TOLERANCE) is not None
