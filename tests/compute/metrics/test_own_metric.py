"""A metric of one's own: measured by every evaluator, stored with its units, continued, read back and drawn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
import torch.nn.functional as F

import lossatlas as la
from lossatlas.compute.objective.objective import Scores

F64 = torch.float64
SHAPE = (3, 4)
X = torch.randn(11, 2, dtype=F64, generator=torch.Generator().manual_seed(0))
Y = torch.arange(11) % 3


def margin_of(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """The right class's output above the largest other one."""
    right = F.one_hot(targets, outputs.shape[-1]).bool()
    return outputs.masked_fill(~right, 0.0).sum(-1) - outputs.masked_fill(right, -torch.inf).amax(-1)


def measure(scores: Scores) -> torch.Tensor:
    return margin_of(scores.outputs, scores.targets)


MARGIN = la.Metric("margin", measure, units="logits", long_name="margin of the right class")


def problem() -> tuple[la.Objective, la.Plane, torch.nn.Module]:
    torch.manual_seed(1)
    net = torch.nn.Sequential(torch.nn.Linear(2, 4), torch.nn.Tanh(), torch.nn.Linear(4, 3)).double()
    objective = la.Objective(net, F.cross_entropy, (X, Y), batch_size=4)
    return objective, la.random_plane(objective, seed=2, params="2"), net


def margins(surface: Any, plane: la.Plane, net: torch.nn.Module) -> np.ndarray:
    """Every sample's margin at every cell, point by point."""
    places = [(a, b) for a in surface.alpha.values for b in surface.beta.values]
    rows = [margin_of(torch.func.functional_call(net, plane.point(*place), (X,)), Y).detach().numpy() for place in places]
    return np.stack(rows).reshape(*SHAPE, len(X))


@pytest.mark.parametrize("options", [{"evaluator": "loop"}, {"evaluator": "vmap", "chunk": 5}, {"evaluator": "affine"}, {}], ids=str)
def test_every_evaluator_measures_it_with_its_standard_error(options: dict[str, Any], tmp_path: Path) -> None:
    objective, plane, net = problem()
    la.evaluate(objective, plane, resolution=SHAPE, metrics=("loss", MARGIN), archive=tmp_path / "a.zarr", engine=la.Engine(**options))
    surface = la.open_archive(tmp_path / "a.zarr").surface()
    truth = margins(surface, plane, net)
    np.testing.assert_allclose(surface.margin, truth.mean(-1), atol=1e-12)
    np.testing.assert_allclose(surface.margin_standard_error, truth.std(-1, ddof=1) / np.sqrt(len(X)), atol=1e-12)
    assert surface.margin.attrs == {"units": "logits", "long_name": "margin of the right class"}
    assert surface.margin_standard_error.attrs["units"] == "logits"
    assert surface.attrs["metrics"] == ["loss", "margin"]


@pytest.mark.slow
def test_a_stopped_run_continues_and_is_drawn(tmp_path: Path) -> None:
    objective, plane, net = problem()

    def stop(*_: Any) -> None:
        raise KeyboardInterrupt

    options: dict[str, Any] = {"resolution": SHAPE, "metrics": ("loss", MARGIN), "archive": tmp_path / "a.zarr"}
    with pytest.raises(KeyboardInterrupt):
        la.evaluate(objective, plane, on_tile=stop, engine=la.Engine(tile=5), **options)
    assert int(la.open_archive(tmp_path / "a.zarr").surface().done.sum()) == 5
    surface = la.evaluate(objective, plane, **options)
    np.testing.assert_allclose(surface.margin, margins(surface, plane, net).mean(-1), atol=1e-12)
    figure = la.plot(tmp_path / "a.zarr", quantity="margin", kind="contour")
    try:
        assert any("margin of the right class [logits]" in str(axes.get_ylabel()) + str(axes.get_xlabel()) for axes in figure.axes)
    finally:
        plt.close(figure)


def test_another_function_of_the_same_name_is_another_surface(tmp_path: Path) -> None:
    objective, plane, _ = problem()
    la.evaluate(objective, plane, resolution=SHAPE, metrics=[MARGIN], archive=tmp_path / "a.zarr")
    doubled = la.Metric("margin", lambda scores: 2 * measure(scores))
    with pytest.raises(la.ArchiveError, match="the code of its metric margin changed"):
        la.evaluate(objective, plane, resolution=SHAPE, metrics=[doubled], archive=tmp_path / "a.zarr")
    every = la.Metric("margin", measure, per_sample=True)
    with pytest.raises(la.ArchiveError, match="margin"):
        la.evaluate(objective, plane, resolution=SHAPE, metrics=[every], archive=tmp_path / "a.zarr")


@pytest.mark.slow
def test_every_sample_is_kept_where_asked(tmp_path: Path) -> None:
    objective, plane, net = problem()
    every = la.Metric("margin", measure, units="logits", per_sample=True, dtype="float32")
    options: dict[str, Any] = {"resolution": SHAPE, "metrics": ("loss", every), "archive": tmp_path / "a.zarr"}
    surface = la.evaluate(objective, plane, **options)
    stored = la.open_archive(tmp_path / "a.zarr").samples()["margin"]
    assert stored.dtype == np.float32 and stored.attrs["units"] == "logits"
    np.testing.assert_allclose(stored[...], margins(surface, plane, net), atol=1e-6)
    assert "margin" not in la.open_archive(tmp_path / "a.zarr").surface()
    assert la.evaluate(objective, plane, **options).done.all()


def test_fewer_digits_are_stored_where_asked(tmp_path: Path) -> None:
    objective, plane, net = problem()
    short = la.Metric("margin", measure, dtype="float32")
    options: dict[str, Any] = {"resolution": SHAPE, "metrics": [short], "archive": tmp_path / "a.zarr"}
    surface = la.evaluate(objective, plane, **options)
    assert surface.margin.dtype == np.float32
    np.testing.assert_allclose(surface.margin, margins(surface, plane, net).mean(-1), atol=1e-6)
    np.testing.assert_array_equal(la.evaluate(objective, plane, **options).margin, surface.margin)


def test_it_is_interpolated_between_computed_cells_and_copied_with_its_units() -> None:
    objective, plane, _ = problem()
    early = la.evaluate(objective, plane, resolution=(33, 29), metrics=("loss", MARGIN), tol=0.05)
    assert not early.done.all() and early.margin_filled.attrs["units"] == "logits"
    copy = la.open_archive(None, "a")
    whole = la.evaluate(objective, plane, resolution=SHAPE, metrics=("loss", MARGIN))
    copy.write_surface("copy", whole)
    np.testing.assert_array_equal(copy.surface("copy").margin, whole.margin)
    assert copy.surface("copy").margin.attrs == whole.margin.attrs


@pytest.mark.parametrize(
    "name", ["loss", "alpha", "done", "sample", "a/b", "a b", "", ".a", "margin_filled", "margin_standard_error", 3, None]
)
def test_names_that_are_taken_or_name_no_array_are_refused(name: Any) -> None:
    with pytest.raises(la.InputError, match="name"):
        la.Metric(name, measure)


@pytest.mark.parametrize(
    ("argument", "value"), [("measure", 3), ("units", None), ("long_name", 1), ("per_sample", 1), ("dtype", "int8"), ("dtype", float)]
)
def test_wrong_types_are_refused_by_name(argument: str, value: Any) -> None:
    with pytest.raises(la.InputError, match=argument):
        la.Metric(**{"name": "margin", "measure": measure, argument: value})


def test_two_metrics_of_one_name_are_refused() -> None:
    objective, plane, _ = problem()
    with pytest.raises(la.InputError, match="margin"):
        la.evaluate(objective, plane, metrics=[MARGIN, la.Metric("margin", lambda scores: -measure(scores))])
