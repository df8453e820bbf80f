"""Small surfaces with unequal sides, and datasets and archives as the compute side writes them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import xarray as xr

from lossatlas import schema
from lossatlas.archive import Archive, open_archive
from lossatlas.viz.scene.model import Field, PathData, Surface

ATTRS: dict[str, Any] = {
    "kind": "surface",
    "title": "ResNet-20",
    "plane": {
        "kind": "random",
        "seed": 3,
        "normalize": "filter",
        "biases": False,
        "one_dimensional": {"biases": 10, "BatchNorm": 1376},
        "cosine": 0.0123,
        "axis_labels": ["α", "β"],
        "origin": [0.0, 0.0],
    },
    "objective": {"loss": "cross_entropy", "model": "ResNet20", "samples": 50000, "split": "train", "mode": "eval", "dtype": "float32"},
}


def bowl(alpha: np.ndarray, beta: np.ndarray) -> np.ndarray:
    return 0.5 + alpha[:, None] ** 2 + 2 * beta[None, :] ** 2


@pytest.fixture
def attrs() -> dict[str, Any]:
    return {key: dict(value) if isinstance(value, dict) else value for key, value in ATTRS.items()}


@pytest.fixture(autouse=True)
def coarse_mesh(monkeypatch: pytest.MonkeyPatch) -> None:
    """A coarse mesh is as true as a fine one and draws ten times faster."""
    monkeypatch.setattr("lossatlas.viz.mpl.panes.surface.MESH_LINES_STILL", 60)
    monkeypatch.setattr("lossatlas.viz.mpl.panes.surface.MESH_LINES_ANIMATED", 40)
    monkeypatch.setattr("lossatlas.viz.mpl.panes.contour.CONTOUR_LINES_STILL", 40)


@pytest.fixture
def make_surface() -> Callable[..., Surface]:
    """A surface from values, (na, nb) or (frame, na, nb), over [-1, 1] x [-2, 2]."""

    def make(values: Any = None, *, name: str = "bowl", **changes: Any) -> Surface:
        values = bowl(np.linspace(-1, 1, 9), np.linspace(-2, 2, 7)) if values is None else np.asarray(values, float)
        alpha, beta = np.linspace(-1, 1, values.shape[-2]), np.linspace(-2, 2, values.shape[-1])
        return Surface(name, alpha, beta, {"loss": Field(values, "loss [nats]", "nats")}, **changes)

    return make


@pytest.fixture
def make_line() -> Callable[..., Surface]:
    def make(values: Any, *, name: str = "line", **fields: Any) -> Surface:
        return Surface(name, np.linspace(0, 1, len(values)), None, {"loss": Field(np.asarray(values, float), "loss [nats]"), **fields})

    return make


@pytest.fixture
def make_path() -> Callable[..., PathData]:
    """A straight way over the plane."""

    def make(
        start: tuple[float, float] = (-0.8, 1.5), end: tuple[float, float] = (0.0, 0.0), steps: int = 50, name: str = "sgd", **more: Any
    ) -> PathData:
        return PathData(name, np.linspace(start[0], end[0], steps), np.linspace(start[1], end[1], steps), np.arange(steps), **more)

    return make


@pytest.fixture
def dataset(attrs: dict[str, Any]) -> xr.Dataset:
    """A surface as `Archive.surface` gives it, 9 x 7."""
    alpha, beta = np.linspace(-1, 1, 9), np.linspace(-2, 2, 7)
    dims = ("alpha", "beta")
    variables = {
        "loss": (dims, bowl(alpha, beta), {"units": "nats", "long_name": "loss"}),
        "loss_standard_error": (dims, np.full((9, 7), 0.02), {"units": "nats"}),
        "accuracy": (dims, 1 / (1 + bowl(alpha, beta)), {"units": "fraction", "long_name": "accuracy"}),
        "done": (dims, np.ones((9, 7), bool)),
    }
    return xr.Dataset(variables, {"alpha": alpha, "beta": beta}, attrs)


@pytest.fixture
def trajectory() -> xr.Dataset:
    steps = np.arange(20)
    alpha, beta = np.linspace(-0.9, 0, 20), np.linspace(1.8, 0, 20)
    variables = {"path_alpha": alpha, "path_beta": beta, "path_loss": 0.5 + alpha**2 + 2 * beta**2, "epoch": steps / 10, "step": steps}
    return xr.Dataset(
        {key: ("step", value) for key, value in variables.items()},
        attrs={"kind": "trajectory", "label": "SGD", "optimizer": "SGD", "surface": "n100"},
    )


@pytest.fixture
def archive(dataset: xr.Dataset, trajectory: xr.Dataset) -> Archive:
    """Two surfaces, one trajectory recorded on the first, in memory."""
    made = open_archive(None, "a")
    for name, scale in (("n100", 1.0), ("n1000", 0.5)):
        declared = [schema.variable(key) for key in ("loss", "loss_standard_error", "accuracy")]
        coordinates = {axis: dataset[axis].values for axis in ("alpha", "beta")}
        made.create_surface(name, coordinates, declared, {**dataset.attrs, "title": f"N = {name[1:]}"})
        made.write_cells(name, np.arange(63), {v.name: scale * dataset[v.name].values.ravel() for v in declared})
    made.write_trajectory("sgd", trajectory)
    return made
