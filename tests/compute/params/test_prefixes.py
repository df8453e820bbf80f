"""Names that differ by the prefixes of wrappers only are matched, and that is said."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from lossatlas.compute.evaluation.evaluate import evaluate
from lossatlas.compute.objective.objective import Objective
from lossatlas.compute.params.prefixes import renaming
from lossatlas.compute.paths.principal_planes import joint_pca_plane, pca_plane
from lossatlas.compute.paths.projection import project_trajectory
from lossatlas.compute.planes.constructors import plane_through
from lossatlas.compute.recording.recorder import Recorder
from lossatlas.compute.recording.trajectory import Trajectory

X = torch.randn(20, 3, generator=torch.Generator().manual_seed(2))
Y = (X[:, 0] > 0).long()


class Wrapper(torch.nn.Module):
    """As a Lightning module holds its network."""

    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.model(x)


def net(seed: int = 0) -> torch.nn.Module:
    torch.manual_seed(seed)
    return torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4), torch.nn.Tanh(), torch.nn.Linear(4, 2))


@pytest.mark.parametrize("prefix", ["module.", "model.", "_orig_mod.", "base_model.model.", "module._orig_mod.", "_orig_mod.module.model."])
@pytest.mark.parametrize("adds", [False, True])
def test_prefixes_are_left_out_on_either_side(prefix: str, adds: bool) -> None:
    bare = ["0.weight", "0.bias", "1.weight"]
    full = [prefix + name for name in bare]
    names, reference = (bare, full) if adds else (full, bare)
    assert renaming(names, reference) == dict(zip(names, reference, strict=True))


@pytest.mark.parametrize(
    ("names", "reference"),
    [
        (["module.a", "b"], ["a", "c"]),  # neither holds the other
        (["a", "module.a"], ["a"]),  # two would become one
        (["a"], ["model.a", "module.a"]),  # which of the two?
        (["a", "b"], ["a", "b"]),  # nothing to do
    ],
)
def test_names_that_would_not_match_stay(names, reference) -> None:
    assert renaming(names, reference) == {}


def test_a_compiled_part_inside_a_model_matches() -> None:
    assert renaming(["encoder._orig_mod.weight"], ["encoder.weight"]) == {"encoder._orig_mod.weight": "encoder.weight"}


def test_state_dicts_of_wrapped_models_lie_where_the_bare_ones_lie() -> None:
    a, b = net(0), net(1)
    wrapped = {f"module.{name}": value for name, value in b.named_parameters()}
    objective = Objective(a, F.cross_entropy, (X, Y))
    with pytest.warns(UserWarning, match=r"model b: names matched .* 'module\.0\.weight' to '0\.weight'"):
        line = plane_through(dict(a.named_parameters()), wrapped)
    assert all(
        torch.equal(line.point(1.0)[name], value) or torch.allclose(line.point(1.0)[name], value) for name, value in b.named_parameters()
    )
    with pytest.warns(UserWarning, match="names matched"):
        assert line.project(wrapped).coordinates == pytest.approx((1.0,), abs=1e-6)
    with pytest.warns(UserWarning, match="names matched"):
        moved = objective.with_state({f"module.{name}": value for name, value in b.state_dict().items()})
    assert moved.loss() == pytest.approx(Objective(b, F.cross_entropy, (X, Y)).loss(), rel=1e-12)


def test_checkpoints_of_both_kinds_make_one_trajectory() -> None:
    states = [net(seed).state_dict() for seed in range(3)]
    states[1] = {f"_orig_mod.{name}": value for name, value in states[1].items()}
    with pytest.warns(UserWarning, match="checkpoint 1: names matched"):
        trajectory = Trajectory.from_checkpoints(states)
    assert torch.equal(trajectory.state(1)["1.running_mean"], states[1]["_orig_mod.1.running_mean"])
    with pytest.warns(UserWarning, match="names matched"):
        trajectory = Trajectory.from_checkpoints(
            [{f"module.{n}": v for n, v in state.items()} for state in (states[0], states[2])], module=net()
        )
    assert trajectory.params(1).keys() == dict(net().named_parameters()).keys()


def test_a_recording_of_a_wrapper_meets_an_objective_of_what_it_wraps() -> None:
    model, archive = net(), None
    wrapper = Wrapper(model)
    optimizer = torch.optim.SGD(wrapper.parameters(), lr=0.3)
    with Recorder(archive, wrapper, optimizer) as recorder:
        for _ in range(5):
            optimizer.zero_grad()
            loss = F.cross_entropy(wrapper(X), Y)
            loss.backward()
            optimizer.step()
            recorder.step(loss)
    objective, run = Objective(model, F.cross_entropy, (X, Y)), recorder.trajectory
    plane = pca_plane(run)
    with pytest.warns(UserWarning, match=r"'model\.0\.weight' to '0\.weight'"):
        surface = evaluate(objective, plane, ((-0.5, 0.5), (-0.4, 0.4)), (3, 5))
    model.eval()
    assert float(surface.loss.sel(alpha=0, beta=0)) == pytest.approx(float(F.cross_entropy(model(X), Y).detach()), rel=1e-6)
    with pytest.warns(UserWarning, match="names matched"):
        path = project_trajectory(run, plane, objective)
    assert path.path_loss.values[-1] == pytest.approx(float(surface.loss.sel(alpha=0, beta=0)), rel=1e-6)
    np.testing.assert_allclose([path.path_alpha[-1], path.path_beta[-1]], 0, atol=1e-6)
    bare = Trajectory.from_checkpoints([net(1), net(2)])
    with pytest.warns(UserWarning, match="names matched"):
        assert joint_pca_plane([bare, run]).center.keys() == dict(model.named_parameters()).keys()
