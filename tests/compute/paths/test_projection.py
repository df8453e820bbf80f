"""Projections: exact coordinates on oblique axes, true losses, and the share of the motion that a plane shows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr

from lossatlas.archive import open_archive
from lossatlas.compute.objective.objective import Objective
from lossatlas.compute.paths.principal_planes import pca_plane
from lossatlas.compute.paths.projection import bounds_around, chance_explained_variance, project_points, project_trajectory
from lossatlas.compute.planes.constructors import random_plane
from lossatlas.compute.planes.plane import Plane
from lossatlas.compute.recording.trajectory import Trajectory
from lossatlas.errors import InputError


def bowl() -> Objective:
    scales = torch.arange(1.0, 7.0, dtype=torch.float64)
    return Objective(lambda p, batch: 0.5 * (scales * p["w"] ** 2).sum(), params={"w": torch.ones(6, dtype=torch.float64)}, units="")


def descent(objective: Objective, steps: int = 12):
    w = objective.params["w"].clone()
    scales = torch.arange(1.0, 7.0, dtype=torch.float64)
    points = [w]
    for _ in range(steps):
        points.append(points[-1] * (1 - 0.1 * scales))
    return Trajectory.from_checkpoints([{"w": p} for p in points], steps=range(0, 3 * len(points), 3)), points


def test_points_of_an_oblique_plane_come_back_exactly() -> None:
    d, e = {"w": torch.tensor([1e3, 0, 0, 0], dtype=torch.float64)}, {"w": torch.tensor([1.0, 1e-2, 0, 0], dtype=torch.float64)}
    oblique = Plane.from_directions({"w": torch.full((4,), 5.0, dtype=torch.float64)}, d, e)
    places = np.array([(0.7, -0.4), (-2.0, 3.0), (0.0, 0.0)])
    found = project_points(Trajectory.from_checkpoints(oblique.point(*place) for place in places), oblique)
    np.testing.assert_allclose(found.coordinates, places, atol=1e-9)
    assert found.residual == pytest.approx(0, abs=1e-10)


@pytest.mark.parametrize("memory", [2**8, 2**29])
def test_shadow_agrees_with_the_projection_of_single_models(memory: int) -> None:
    path, points = descent(bowl())
    where = random_plane({"w": points[-1]}, seed=4, normalize="none", biases=True)
    found = project_points(path, where, memory)
    for index, point in enumerate(points):
        alone = where.project({"w": point})
        assert found.coordinates[index] == pytest.approx(alone.coordinates, abs=1e-12)
        assert found.residual[index] == pytest.approx(alone.residual, abs=1e-12)
        assert found.relative_residual[index] == pytest.approx(alone.relative_residual, abs=1e-12)


def test_a_path_carries_its_own_loss_and_the_planes() -> None:
    objective = bowl()
    path, points = descent(objective)
    where = pca_plane(path)
    found = project_trajectory(path, where, objective, surface="bowl")
    true = [float(0.5 * (torch.arange(1.0, 7.0, dtype=torch.float64) * p**2).sum()) for p in points]
    assert found.path_loss.values == pytest.approx(true, rel=1e-12)
    below = [objective.loss(where.point(a, b)) for a, b in zip(found.path_alpha.values, found.path_beta.values, strict=True)]
    assert found.path_plane_loss.values == pytest.approx(below, rel=1e-12)
    # The last point is on the plane; in between, the plane is lower or higher than the iterate, not the same.
    assert found.path_plane_loss.values[-1] == found.path_loss.values[-1]
    assert (np.abs(found.path_plane_loss - found.path_loss)[1:-1] > 1e-6).any()
    assert found.attrs["surface"] == "bowl"
    assert found.attrs["captured_share"] == pytest.approx(sum(found.attrs["explained_variance_ratio"]))
    assert found.attrs["residual_norm"]["largest"] == pytest.approx(found.path_relative_residual.values.max())
    assert found.path_relative_residual.values[-1] == 0


def test_random_directions_show_next_to_nothing_of_the_motion() -> None:
    generator = torch.Generator().manual_seed(99)
    way = torch.randn(5000, generator=generator)
    path = Trajectory.from_checkpoints({"w": way * k / 10} for k in range(11))
    shares = [project_points(path, random_plane({"w": way}, seed, "none", biases=True)).explained_variance for seed in range(20)]
    expected = chance_explained_variance(random_plane({"w": way}, 0, "none", biases=True), path)
    assert expected == 2 / 5000
    assert np.mean(shares) == pytest.approx(expected, rel=1)
    assert max(shares) < 0.01


def test_each_axis_says_what_it_alone_shows() -> None:
    path, points = descent(bowl())
    oblique = random_plane({"w": points[-1]}, seed=4, normalize="none", biases=True)
    found, offset = project_points(path, oblique), torch.stack(points) - points[-1]
    axes = [d.params["w"].double() / d.params["w"].double().norm() for d in oblique.directions]
    assert found.shares == pytest.approx([float((offset @ axis).square().sum() / offset.square().sum()) for axis in axes])


def test_a_path_is_kept_beside_the_recorded_curves_and_read_without_weights() -> None:
    archive = open_archive(None, "a")
    objective = bowl()
    points = [{"w": objective.params["w"] * torch.rand(6, dtype=torch.float64)} for _ in range(5)]
    path = Trajectory.from_checkpoints(points, archive=archive, name="run")
    kept = project_trajectory(path, pca_plane(path), objective, archive, label="words")
    read = archive.trajectory("run")
    np.testing.assert_array_equal(read.path_loss, kept.path_loss)
    np.testing.assert_array_equal(read.path_alpha, kept.path_alpha)
    assert read.attrs["residual_norm"] == kept.attrs["residual_norm"]
    np.testing.assert_array_equal(path.params(2)["w"], points[2]["w"])
    with pytest.raises(InputError, match="all 5 recorded steps"):
        project_trajectory(path.until(3), pca_plane(path), archive=archive)


@pytest.mark.slow
def test_a_path_is_stored_where_it_is_asked_for(tmp_path: Path) -> None:
    """Beside the recording in its own archive, also where that was opened for reading; elsewhere as a trajectory without weights."""
    objective = bowl()
    points = [{"w": objective.params["w"] * k} for k in (3.0, 2.0, 1.5)]
    for name in ("run", "other"):
        Trajectory.from_checkpoints(points, archive=tmp_path / "run.zarr", name=name)
    recorded = Trajectory.open(tmp_path / "run.zarr", "run")
    plane = random_plane(objective, normalize="none", biases=True)
    path = project_trajectory(recorded, plane, objective)
    assert "path_alpha" not in recorded.dataset, "nothing is stored unasked"
    project_trajectory(recorded, plane, objective, tmp_path / "run.zarr")
    project_trajectory(recorded, plane, objective, tmp_path / "run.zarr", name="on a plane")
    project_trajectory(recorded, plane, objective, tmp_path / "else.zarr")
    own, elsewhere = open_archive(tmp_path / "run.zarr"), open_archive(tmp_path / "else.zarr")
    for stored in (own.trajectory("run"), own.trajectory("on a plane"), elsewhere.trajectory("run")):
        np.testing.assert_array_equal(stored.path_alpha, path.path_alpha)
        np.testing.assert_array_equal(stored.path_plane_loss, path.path_plane_loss)
    np.testing.assert_array_equal(Trajectory.open(tmp_path / "run.zarr", "run").params(1)["w"], points[1]["w"])
    with pytest.raises(InputError, match="name: got other; expected no recording with weights"):
        project_trajectory(recorded, plane, objective, own, name="other")
    assert Trajectory.open(tmp_path / "run.zarr", "other").steps.tolist() == [0, 1, 2]


def test_nan_weights_leave_a_marked_hole_in_the_path() -> None:
    points = [torch.tensor([float(k), k * k, 1.0]) for k in range(5)]
    points[3] = points[3] * float("nan")
    path = Trajectory.from_checkpoints({"w": p} for p in points)
    found = project_trajectory(path, pca_plane(path.until(2)))
    assert np.isnan(found.path_alpha.values).tolist() == [False, False, False, True, False]
    assert found.attrs["not_finite"] == [3]


def test_a_plane_of_another_model_is_refused() -> None:
    path, _ = descent(bowl())
    with pytest.raises(InputError, match="names in one of them only: v in the first only; w in the second only"):
        project_points(path, random_plane({"v": torch.ones(2, 3)}))


def test_the_window_holds_every_path_with_a_margin() -> None:
    path = xr.Dataset({"path_alpha": ("step", [-4.0, 0.0]), "path_beta": ("step", [0.0, 0.1])})
    (a0, a1), (b0, b1) = bounds_around(path)
    assert a0 < -4 and a1 > 0 and b0 < 0 and b1 > 0.1
    assert (b1 - b0) == pytest.approx(0.7 * (a1 - a0))
