"""Parameters that do not train are stored once, and everything read back is as if they were in every row."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from lossatlas.compute.objective.objective import Objective
from lossatlas.compute.paths.principal_planes import joint_pca_plane, pca_plane
from lossatlas.compute.paths.projection import project_points, project_trajectory
from lossatlas.compute.planes.constructors import random_plane
from lossatlas.compute.recording.recorder import Recorder
from lossatlas.compute.recording.trajectory import Trajectory
from lossatlas.errors import InputError


def adapter(training, seed: int = 0) -> torch.nn.Module:
    """The training's model with its first layer frozen and moved a little, as a base that adapters share."""
    model = training.model()
    for p in model[0].parameters():
        p.requires_grad_(False)
    return model


def record(training, archive, steps: int = 6, model: torch.nn.Module | None = None, **options):
    model = adapter(training) if model is None else model
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.2)
    with Recorder(archive, model, optimizer, **options) as recorder:
        training.steps(model, optimizer, steps, recorder.step)
    return recorder.trajectory, model


@pytest.mark.slow
def test_rows_hold_what_trains_and_read_back_whole(training, tmp_path: Path) -> None:
    record(training, tmp_path / "a.zarr")
    found, model = Trajectory.open(tmp_path / "a.zarr"), adapter(training)
    whole, _ = record(training, None, params="*")
    trains = sum(p.numel() for p in model.parameters() if p.requires_grad)
    assert found.layout.size == trains < whole.layout.size == sum(p.numel() for p in model.parameters())
    assert found.store.attrs["parameters"] == trains
    assert list(found.params(0)) == [name for name, _ in model.named_parameters()]
    for row in range(7):
        assert found.params(row).keys() == whole.params(row).keys()
        assert all(torch.equal(found.params(row)[n], t) for n, t in whole.params(row).items())
    model.load_state_dict(found.state(-1))
    found.params(0)["0.weight"].zero_()
    assert bool(found.params(0)["0.weight"].any()), "what is read shares no memory with what is read next"


def test_planes_and_projections_are_those_of_whole_rows(training) -> None:
    few, model = record(training, None)
    whole, _ = record(training, None, params="*")
    plane, reference = pca_plane(few), pca_plane(whole)
    assert set(plane.moving_names) < set(reference.moving_names) | set(plane.moving_names)
    for name, value in reference.center.items():
        assert torch.equal(plane.center[name], value)
    for name in plane.moving_names:
        for ours, theirs in zip(plane.directions, reference.directions, strict=True):
            torch.testing.assert_close(ours.params[name], theirs.params[name], atol=1e-6, rtol=1e-5)
    # Planes that move the frozen weights, about a model whose frozen weights are others.
    with torch.no_grad():
        model[0].weight += 0.3
    across = random_plane(model, seed=3)
    ours, theirs = project_points(few, across), project_points(whole, across)
    np.testing.assert_allclose(ours.coordinates, theirs.coordinates, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(ours.residual, theirs.residual, rtol=1e-9)
    exact = [across.project(whole.params(row)) for row in range(len(whole))]
    np.testing.assert_allclose(ours.coordinates, [p.coordinates for p in exact], rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(ours.residual, [p.residual for p in exact], rtol=1e-6)


def test_losses_of_iterates_are_those_of_the_whole_model(training) -> None:
    few, model = record(training, None)
    objective = Objective(model, F.cross_entropy, (training.x, training.y))
    path = project_trajectory(few, pca_plane(few), objective)
    copy = adapter(training)
    for row in (0, 3, 6):
        copy.load_state_dict(few.state(row))
        copy.eval()
        assert path.path_loss.values[row] == pytest.approx(float(F.cross_entropy(copy(training.x), training.y).detach()), rel=1e-6)


@pytest.mark.slow
def test_resuming_checks_the_frozen_weights_too(training, tmp_path: Path) -> None:
    whole, _ = record(training, None, 9)
    _, model = record(training, tmp_path / "a.zarr", 6)
    other = adapter(training)
    other.load_state_dict(model.state_dict())
    with torch.no_grad():
        other[0].weight += 1
    with pytest.raises(InputError, match="not those recorded at step 6"):
        Recorder(tmp_path / "a.zarr", other, resume=True)
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.2)
    with Recorder(tmp_path / "a.zarr", model, optimizer, resume=True) as recorder:
        training.steps(model, optimizer, 3, recorder.step)
    found = Trajectory.open(tmp_path / "a.zarr")
    assert found.steps.tolist() == list(range(10))
    np.testing.assert_array_equal(found.vector(-1), whole.vector(-1))


@pytest.mark.slow
@pytest.mark.parametrize("options", [{}, {"dtype": "float16", "delta": True}])
@pytest.mark.parametrize("by_hand", [False, True])
def test_layers_that_begin_to_train_are_in_every_row_from_the_first(training, tmp_path: Path, options, by_hand: bool) -> None:
    model = adapter(training)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.2)
    truth = []
    with Recorder(tmp_path / "a.zarr", model, optimizer, **options) as recorder:
        for step in range(6):
            truth.append({n: p.detach().clone() for n, p in model.named_parameters()})
            if step == 3 and by_hand:
                model[0].weight.data.mul_(1.5)
            elif step == 3:
                model[0].requires_grad_(True)
            training.steps(model, optimizer, 1, recorder.step)
        truth.append({n: p.detach().clone() for n, p in model.named_parameters()})
    found = Trajectory.open(tmp_path / "a.zarr")
    assert not torch.equal(truth[3]["0.weight"], truth[6]["0.weight"])
    for row, params in enumerate(truth):
        for name, value in params.items():
            torch.testing.assert_close(found.params(row)[name], value, rtol=0, atol=2e-3 if options else 0)
    assert "0.weight" in found.layout.names and ("0.bias" in found.layout.names) is not by_hand


def test_a_model_of_which_nothing_trains_is_recorded_whole(training) -> None:
    average = training.model()
    average.requires_grad_(False)
    recorder = Recorder(None, average)
    average[0].weight.mul_(0.5)
    recorder.step()
    assert torch.equal(recorder.trajectory.params(1)["0.weight"], average[0].weight)
    assert recorder.trajectory.layout.size == sum(p.numel() for p in average.parameters())


def test_runs_on_one_frozen_base_share_a_plane_and_others_do_not(training) -> None:
    first, _ = record(training, None)
    second, model = record(training, None, 4)
    assert torch.equal(joint_pca_plane([first, second]).center["0.weight"], model[0].weight)
    other = adapter(training)
    with torch.no_grad():
        other[0].weight += 1
    third, _ = record(training, None, model=other)
    with pytest.raises(InputError, match=r"differ in 0\.weight, that trained in neither"):
        joint_pca_plane([first, third])


def test_checkpoints_hold_every_weight(training) -> None:
    models = [adapter(training) for _ in range(3)]
    for number, model in enumerate(models):
        with torch.no_grad():
            model[3].weight += number
    trajectory = Trajectory.from_checkpoints(models)
    assert all(torch.equal(trajectory.params(2)[n], p) for n, p in models[2].named_parameters())
