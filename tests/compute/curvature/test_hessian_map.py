"""Maps, planes and reports: closed forms, resuming, and what the words say."""

from __future__ import annotations

import importlib

import numpy as np
import pytest
import torch

import lossatlas as la
from compute.curvature.cases import convolutional, dense_hessian, mlp
from lossatlas.compute.curvature import curvature_report, hessian_map, hessian_plane
from lossatlas.viz.compose.from_datasets import surface_from
from oracles import quadratic

maps = importlib.import_module("lossatlas.compute.curvature.hessian_map")  # the package's own name is the function


def two_weights(u: float = 2.0, v: float = 0.5) -> la.Objective:
    """``(uv - 1)^2``: at ``(c, 1/c)`` the eigenvalues are 0 and ``2 (c^2 + 1/c^2)``."""
    return la.Objective(lambda p, _: (p["w"][0] * p["w"][1] - 1) ** 2, params={"w": torch.tensor([u, v], dtype=torch.float64)})


def test_a_map_of_two_weights_has_its_closed_form() -> None:
    objective = two_weights()
    plane = la.weight_plane(objective, ("w", 0), ("w", 1))
    found = hessian_map(objective, plane, ((0.5, 2.5), (0.25, 2.0)), (5, 4), biases=True)
    u, v = np.meshgrid(found.alpha, found.beta, indexing="ij")
    off = 4 * u * v - 2
    middle, half = u**2 + v**2, np.sqrt((v**2 - u**2) ** 2 + off**2)
    np.testing.assert_allclose(found.lambda_max, middle + half, rtol=1e-9)
    np.testing.assert_allclose(found.lambda_min, middle - half, atol=1e-9)
    np.testing.assert_allclose(found.hessian_ratio, np.abs((middle - half) / (middle + half)), atol=1e-9)
    np.testing.assert_allclose(found.loss, (u * v - 1) ** 2, atol=1e-12)
    assert bool(found.done.all())


@pytest.mark.slow
def test_a_map_of_a_network_equals_the_dense_hessian_at_every_cell() -> None:
    objective = mlp()
    plane = la.random_plane(objective, seed=1)
    found = hessian_map(objective, plane, (-0.5, 0.5), (3, 2), tol=1e-4, probes=40)
    names = ["0.weight", "2.weight"]
    for i, a in enumerate(found.alpha.values):
        for j, b in enumerate(found.beta.values):
            batch = tuple(torch.cat(parts) for parts in zip(*objective.data.batches, strict=True))
            there = la.Objective(objective.module, torch.nn.functional.cross_entropy, batch, params=plane.point(a, b))
            dense = dense_hessian(there, names)
            values = np.linalg.eigvalsh(dense)
            assert float(found.lambda_max[i, j]) == pytest.approx(values[-1], rel=1e-4)
            assert float(found.lambda_min[i, j]) == pytest.approx(values[0], rel=1e-4)
            assert abs(float(found["trace"][i, j]) - dense.trace()) <= 4 * float(found.trace_standard_error[i, j]) + 1e-9


class Stop(BaseException):
    pass


@pytest.mark.slow
def test_a_stopped_map_continues_where_it_was(tmp_path, monkeypatch) -> None:
    objective = convolutional()
    plane = la.random_plane(objective, seed=2)
    arguments = {"bounds": (-0.4, 0.4), "resolution": (3, 2), "tol": 1e-4}
    whole = hessian_map(objective, plane, **arguments)
    measure, calls = maps.measure_cell, []

    def interrupted(*a, **k):
        calls.append(a)
        if len(calls) == 4:
            raise Stop
        return measure(*a, **k)

    monkeypatch.setattr(maps, "measure_cell", interrupted)
    with pytest.raises(Stop):
        hessian_map(objective, plane, **arguments, archive=tmp_path / "a.zarr")
    assert int(la.open_archive(tmp_path / "a.zarr").surface("curvature").done.sum()) == 3
    calls.extend([()] * 10)
    resumed = hessian_map(objective, plane, **arguments, archive=tmp_path / "a.zarr")
    assert len(calls) == 4 + 10 + 3 + 1, "the first cell is measured again, and compared"
    np.testing.assert_allclose(resumed.lambda_min, whole.lambda_min, rtol=1e-5)
    np.testing.assert_allclose(resumed.lambda_max, whole.lambda_max, rtol=1e-5)
    with pytest.raises(la.ArchiveError, match="curvature settings"):
        hessian_map(objective, plane, **{**arguments, "tol": 1e-2}, archive=tmp_path / "a.zarr")


@pytest.mark.slow
def test_warm_and_cold_maps_agree_and_warm_is_cheaper() -> None:
    objective = convolutional()
    plane = la.random_plane(objective, seed=2)
    warm, cold = (hessian_map(objective, plane, (-0.1, 0.1), 4, tol=1e-3, warm=w) for w in (True, False))
    np.testing.assert_allclose(warm.lambda_min, cold.lambda_min, rtol=1e-4)
    assert int(warm.hessian_products.sum()) <= int(cold.hessian_products.sum())


def test_cells_without_a_finite_loss_are_holes_and_the_rest_goes_on() -> None:
    objective = la.Objective(
        lambda p, _: (p["w"] ** 2).sum() + torch.log(p["w"][0]), params={"w": torch.tensor([1.0, 2.0], dtype=torch.float64)}
    )
    found = hessian_map(objective, la.weight_plane(objective, ("w", 0), ("w", 1)), ((-1, 1), (0, 1)), (4, 2), biases=True)
    assert bool(found.done.all())
    assert np.isnan(found.lambda_max.values[:2]).all()
    assert np.isfinite(found.lambda_max.values[2:]).all()


def test_the_hessian_plane_lies_along_the_eigenvectors() -> None:
    objective, matrix, linear = quadratic(size=50)
    values, vectors = np.linalg.eigh(matrix)
    plane = hessian_plane(objective, scale="unit", biases=True, tol=1e-6)
    assert plane.construction["eigenvalues"] == pytest.approx([values[-1], values[0]], rel=1e-8)
    slope = matrix @ objective.params["t"].numpy() + linear
    for direction, column in zip(plane.directions, (-1, 0), strict=True):
        found = direction.params["t"].numpy()
        assert abs(found @ vectors[:, column]) == pytest.approx(1.0, abs=1e-6)
        assert found @ slope > 0
    top = hessian_plane(objective, axes="top", scale="curvature", biases=True, tol=1e-6)
    assert top.construction["eigenvalues"] == pytest.approx(list(values[[-1, -2]]), rel=1e-6)
    assert [d.norm for d in top.directions] == pytest.approx(list(values[[-1, -2]] ** -0.5), rel=1e-6)


def test_a_report_says_what_the_slice_cannot() -> None:
    objective = mlp()
    plane = la.random_plane(objective, seed=0, biases=True)
    report = curvature_report(objective, plane, tol=1e-6)
    dense = dense_hessian(objective)
    values = np.linalg.eigvalsh(dense)
    basis = np.linalg.qr(np.stack([np.concatenate([p.numpy().ravel() for p in d.params.values()]) for d in plane.directions], 1))[0]
    assert (report.lambda_min, report.lambda_max) == pytest.approx((values[0], values[-1]), rel=1e-6)
    assert report.plane_curvature == pytest.approx(tuple(np.linalg.eigvalsh(basis.T @ dense @ basis)), rel=1e-9)
    assert abs(report.trace - dense.trace()) <= 4 * report.trace_standard_error + 1e-9
    assert "does not prove convexity" in str(report)
    assert "negative curvature here" in report.sentence
    assert report.as_dict()["lambda_max"] == report.lambda_max


@pytest.mark.parametrize(("moved", "biases"), [(None, False), (None, True), ("2", True), ("0.weight", False)])
def test_a_report_under_a_plane_is_about_what_the_plane_moves(moved: str | None, biases: bool) -> None:
    objective = mlp()
    plane = la.random_plane(objective, params=moved, biases=biases)
    report = curvature_report(objective, plane, tol=1e-6)
    values = np.linalg.eigvalsh(dense_hessian(objective, list(plane.moving_names)))
    assert report.parameters == sum(objective.params[n].numel() for n in plane.moving_names) == len(values)
    assert (report.lambda_min, report.lambda_max) == pytest.approx((values[0], values[-1]), rel=1e-6)
    assert curvature_report(objective, plane, biases=True, probes=3).parameters == 51
    assert curvature_report(objective, probes=3).parameters == 42


def test_a_report_elsewhere_and_bad_places() -> None:
    objective = two_weights(3.0, 3.0)
    plane = la.weight_plane(objective, ("w", 0), ("w", 1))
    assert curvature_report(objective, plane, coordinates=(2.0, 0.5)).lambda_max == pytest.approx(8.5)
    with pytest.raises(la.InputError, match="Pass plane"):
        curvature_report(objective, coordinates=(0.0, 0.0))
    with pytest.raises(la.InputError, match="every parameter"):
        curvature_report(mlp(), la.random_plane(mlp(), biases=True), biases=False)


def test_an_attached_report_is_printed_on_every_figure_of_the_surface(tmp_path) -> None:
    objective = mlp()
    plane = la.random_plane(objective)
    store = la.open_archive(tmp_path / "a.zarr", "a")
    la.evaluate(objective, plane, resolution=3, archive=store, progress=False)
    report = curvature_report(objective, plane, probes=6)
    report.attach(store, "surface")
    notes = surface_from(la.open_archive(tmp_path / "a.zarr").surface()).notes
    assert report.line in notes
    assert any("does not prove convexity" in line for line in notes)
