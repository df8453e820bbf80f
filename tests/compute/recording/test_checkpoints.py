"""Trajectories made of checkpoints, and reading single rows."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from lossatlas.compute.params.params import params_of
from lossatlas.compute.paths.principal_planes import pca_plane
from lossatlas.compute.paths.projection import project_trajectory
from lossatlas.compute.recording.trajectory import Trajectory
from lossatlas.errors import InputError


def trained(training) -> list[torch.nn.Module]:
    """Five modules along a training, BatchNorm in training mode."""
    model = training.model()
    optimizer = training.optimizer(model)
    found = [copy.deepcopy(model)]
    for _ in range(4):
        training.steps(model, optimizer, 2)
        found.append(copy.deepcopy(model))
    return found


def true_losses(training, models) -> list[float]:
    with torch.no_grad():
        return [float(F.cross_entropy(model.eval()(training.x), training.y)) for model in models]


@pytest.mark.parametrize("kind", ["modules", "state dicts", "state dicts of a module"])
def test_checkpoints_keep_each_ones_own_batchnorm_statistics(training, kind: str) -> None:
    models = trained(training)
    checkpoints = models if kind == "modules" else [model.state_dict() for model in models]
    path = Trajectory.from_checkpoints(checkpoints, module=training.model() if kind.endswith("module") else None)
    assert set(path.layout.names) == set(params_of(models[0])), "statistics are no coordinates"
    for row, model in enumerate(models):
        assert all(torch.equal(path.state(row)[name], value) for name, value in model.state_dict().items())
    found = project_trajectory(path, pca_plane(path), training.objective(training.model()))
    np.testing.assert_allclose(found.path_loss, true_losses(training, models), rtol=1e-6)


def test_a_state_dicts_plane_is_that_of_its_modules(training) -> None:
    models = trained(training)
    ours, same = (pca_plane(Trajectory.from_checkpoints(c)) for c in (models, [m.state_dict() for m in models]))
    assert ours.construction["explained_variance_ratio"] == same.construction["explained_variance_ratio"]


def test_a_module_says_which_names_are_buffers() -> None:
    class Scaled(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(torch.ones(2))
            self.register_buffer("scale", torch.ones(3))

    path = Trajectory.from_checkpoints([Scaled().state_dict()], module=Scaled())
    assert path.layout.names == ("weight",) and path.store.buffer_layout.names == ("scale",)
    assert Trajectory.from_checkpoints([Scaled().state_dict()]).layout.names == ("weight", "scale"), "a name alone does not tell"
    with pytest.raises(InputError, match="a checkpoint without weight"):
        Trajectory.from_checkpoints([{"scale": torch.ones(3)}], module=Scaled())


def test_checkpoints_that_are_no_weights_or_too_few_are_refused_in_words() -> None:
    one = {"w": torch.ones(2)}
    for call, words in (
        (lambda: Trajectory.from_checkpoints([{"w": torch.arange(3)}]), "none of them weights"),
        (lambda: Trajectory.from_checkpoints([one] * 3, steps=[0, 1, 2, 3]), "4 steps for 3 checkpoints; expected one step a checkpoint"),
        (lambda: Trajectory.from_checkpoints([one, {"w": torch.ones(2).double()}]), "checkpoint 1 has w in float64"),
        (lambda: Trajectory.from_checkpoints([one] * 3).every(0), "a positive number of rows"),
        (lambda: Trajectory.from_checkpoints([one] * 3).every(-2), "a positive number of rows"),
        (lambda: Trajectory.from_checkpoints([one] * 3).until(-1).params(-1), "a trajectory with recorded rows"),
        (lambda: Trajectory.from_checkpoints([one] * 3).state(3), "one of 3 recorded rows"),
    ):
        with pytest.raises(InputError, match=words):
            call()
