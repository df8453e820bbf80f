"""A plane through recorded weights shows the loss of the model that stands on it, whatever the objective's own buffers are."""

from __future__ import annotations

import copy
import warnings

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

import lossatlas as la
from cases import F64
from lossatlas.compute.curvature import hessian_map
from lossatlas.compute.paths.in_plane_optimization import optimize_on_plane
from lossatlas.compute.paths.principal_planes import joint_pca_plane, pca_plane, start_end_plane
from lossatlas.errors import InputError

X = torch.randn(60, 4, dtype=F64, generator=torch.Generator().manual_seed(3)) * 3 + 2
Y = torch.arange(60) % 3


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.Tanh(), nn.Linear(6, 3)).to(F64)


def objective_of(model: nn.Module, **options) -> la.Objective:
    return la.Objective(model, F.cross_entropy, (X, Y), **options)


def plain_loss(model: nn.Module) -> float:
    with torch.no_grad():
        return F.cross_entropy(copy.deepcopy(model).eval()(X), Y).item()


@pytest.fixture(scope="module")
def trained():
    """A recording with an objective of the untrained network, as a user has it, and the network at both ends."""
    model = network()
    start = copy.deepcopy(model)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    early = objective_of(model)
    with la.Recorder(None, model, optimizer, every=3, objective=early) as recorder:
        for _ in range(24):
            loss = F.cross_entropy(model.train()(X), Y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            recorder.step(loss=loss)
    return early, recorder.trajectory, start, model


MAKERS = {"pca": pca_plane, "start-end": start_end_plane}


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_the_recorders_objective_gives_the_final_models_loss_where_it_stands(make, trained) -> None:
    early, run, _, model = trained
    plane, true = make(run), plain_loss(model)
    assert abs(early.loss(run.params(-1)) - true) > 0.05, "the untrained statistics must matter"
    path = la.project_trajectory(run, plane, early)
    assert path.path_residual.values[-1] == pytest.approx(0, abs=1e-12)
    assert path.path_loss.values[-1] == pytest.approx(true, rel=1e-12)
    assert path.path_plane_loss.values[-1] == pytest.approx(true, rel=1e-10)
    a, b = plane.origin
    surface = la.evaluate(early, plane, ((a - 1, a + 1), (b - 1, b + 1)), (3, 5))
    assert float(surface.loss[1, 2]) == pytest.approx(true, rel=1e-10)
    theirs = la.evaluate(objective_of(model), plane, ((a - 1, a + 1), (b - 1, b + 1)), (3, 5))
    np.testing.assert_allclose(surface.loss, theirs.loss, rtol=1e-12)


@pytest.mark.parametrize("evaluator", ["loop", "vmap", "affine"])
def test_every_evaluator_has_the_planes_statistics(evaluator: str, trained) -> None:
    early, run, _, model = trained
    surface = la.evaluate(early.with_mode("eval"), pca_plane(run), (-1, 1), resolution=3, engine=la.Engine(evaluator=evaluator))
    assert float(surface.loss[1, 1]) == pytest.approx(plain_loss(model), rel=1e-10)


def test_a_shared_plane_has_the_statistics_of_the_common_start(trained) -> None:
    _, run, start, model = trained
    surface = la.evaluate(objective_of(model), joint_pca_plane([run]), (-1, 1), resolution=3)
    assert float(surface.loss[1, 1]) == pytest.approx(plain_loss(start), rel=1e-10)


def test_descents_and_curvature_on_the_plane_have_them_too(trained) -> None:
    early, run, _, model = trained
    plane = pca_plane(run)
    assert optimize_on_plane(early, plane, (0.0, 0.0), learning_rate=0.1, steps=1).path_loss.values[0] == pytest.approx(
        plain_loss(model), rel=1e-10
    )
    map_ = hessian_map(early, plane, (-0.1, 0.1), 3, progress=False)
    assert float(map_.loss[1, 1]) == pytest.approx(plain_loss(model), rel=1e-10)


def test_the_surface_says_whose_statistics_it_has(trained) -> None:
    early, run, _, model = trained
    surface = la.evaluate(early.with_mode("eval"), pca_plane(run), (-1, 1), resolution=3)
    assert surface.attrs["objective"]["statistics"] == "plane" and "buffers_hash" in surface.attrs["plane"]
    assert la.evaluate(early, pca_plane(run), (-1, 1), resolution=3).attrs["objective"]["mode"] == "anchored"
    assert "statistics" not in la.evaluate(objective_of(model), la.random_plane(objective_of(model)), resolution=3).attrs["objective"]
    with pytest.warns(UserWarning, match=r"another model.*objective\.at"):
        wrong = la.evaluate(early, la.random_plane(run.params(-1)), resolution=3)
    assert wrong.attrs["objective"]["statistics"] == "another model"


def test_a_stored_surface_is_not_continued_with_other_statistics(trained, tmp_path) -> None:
    from dataclasses import replace

    early, run, _, _ = trained
    plane = pca_plane(run)
    la.evaluate(early, plane, resolution=3, archive=tmp_path / "a.zarr")
    other = replace(plane, buffers=({n: b + 1 for n, b in plane.buffers[0].items()},))
    with pytest.raises(la.ArchiveError, match="such as BatchNorm statistics"):
        la.evaluate(early, other, resolution=3, archive=tmp_path / "a.zarr")


def test_an_objective_about_a_recorded_state_is_that_models_own(trained) -> None:
    early, run, _, model = trained
    there = early.with_state(run.state(-1))
    true = plain_loss(model)
    assert there.loss() == pytest.approx(true, rel=1e-12) and early.loss() != pytest.approx(true, rel=1e-2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        surface = la.evaluate(there, la.random_plane(there, seed=1), resolution=3)
    assert float(surface.loss[1, 1]) == pytest.approx(true, rel=1e-12)
    with pytest.raises(InputError, match="v, which this model has not"):
        early.with_state({"v": torch.ones(1)})


@pytest.mark.parametrize("mode", ["batch", "train"])
def test_recorded_statistics_do_not_undo_the_batchs_own(mode: str, trained) -> None:
    early, run, _, model = trained
    path = la.project_trajectory(run, pca_plane(run), early.with_mode(mode))
    with torch.no_grad():
        true = F.cross_entropy(copy.deepcopy(model).train()(X), Y).item()
    assert path.path_loss.values[-1] == pytest.approx(true, rel=1e-10)
    assert path.path_plane_loss.values[-1] == pytest.approx(true, rel=1e-10)


def test_weights_without_statistics_are_measured_with_a_warning(trained) -> None:
    early, run, _, _ = trained
    bare = la.Trajectory.from_checkpoints(run.params(index) for index in range(len(run)))
    with pytest.warns(UserWarning) as said:
        la.project_trajectory(bare, pca_plane(bare), early)
    assert any("holds no BatchNorm statistics" in str(w.message) for w in said)
    assert all("another model" not in str(w.message) for w in said), "the plane's own statistics are estimated anew"
    with pytest.warns(UserWarning, match="another model"):
        la.evaluate(early.with_mode("eval"), pca_plane(bare), (-1, 1), resolution=3)


def test_another_models_objective_is_refused(trained) -> None:
    _, run, _, _ = trained
    other = la.Objective(nn.Linear(4, 3, dtype=F64), F.cross_entropy, (X, Y))
    with pytest.raises(InputError, match=r"objective: got .*which this model has not"):
        la.project_trajectory(run, pca_plane(run), other)
    narrow = nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.Tanh(), nn.Linear(5, 3)).to(F64)
    with pytest.raises(InputError, match="the same shapes"):
        la.project_trajectory(run, pca_plane(run), objective_of(narrow))
    with pytest.raises(InputError, match=r"objective: got cross_entropy.*la\.Objective"):
        la.project_trajectory(run, pca_plane(run), F.cross_entropy)


def test_a_line_between_weights_without_statistics_warns_and_between_states_is_right(trained) -> None:
    early, run, _, model = trained
    line = la.interpolate(early, run.state(0), run.state(-1), resolution=5)
    assert float(line.loss.sel(alpha=1.0)) == pytest.approx(plain_loss(model), rel=1e-12)
    with pytest.warns(UserWarning, match=r"trajectory\.state"):
        la.interpolate(early, run.params(0), run.params(-1), resolution=5)


def test_weights_given_beside_a_module_hold_also_where_a_plane_leaves_them_still() -> None:
    model, other = (
        nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3)).to(F64),
        nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3)).to(F64),
    )
    objective = objective_of(model, params=dict(other.named_parameters()))
    plane = la.weight_plane(objective, ("0.weight", (0, 0)), ("0.weight", (1, 1)))
    surface = la.evaluate(objective, plane, ((-1, 1), (-2, 2)), (3, 5))
    moved = copy.deepcopy(other)
    with torch.no_grad():
        moved[0].weight[0, 0], moved[0].weight[1, 1] = 1.0, -2.0
    assert float(surface.loss[2, 0]) == pytest.approx(plain_loss(moved), rel=1e-12)
