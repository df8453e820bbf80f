"""At every model that lies on a plane the plane reads that model's own loss: every kind of plane, mode and norm layer."""

from __future__ import annotations

import copy
import functools
import warnings
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

import lossatlas as la
from cases import F64
from lossatlas.compute.connectivity import Curve, curve_plane, project_curve
from lossatlas.compute.curvature import curvature_report, hessian_map, hessian_plane
from lossatlas.compute.evaluation.evaluators.problem import EvaluationProblem
from lossatlas.compute.minibatch.gradient_noise import per_sample_gradients
from lossatlas.compute.objective.module.batchnorm import MODES
from lossatlas.compute.paths.in_plane_optimization import optimize_on_plane
from lossatlas.compute.planes.anchored_statistics import Anchors
from lossatlas.errors import InputError
from lossatlas.viz.compose.from_datasets import path_from, surface_from
from normalized import LAYERS, ROUNDING, Y, model, own_loss

Placed = list[tuple[tuple[float, ...], nn.Module]]


def _around(make: Callable[[la.Objective], la.Plane]) -> Callable[..., tuple[la.Plane, Placed]]:
    def made(objective: la.Objective, nets: list[nn.Module]) -> tuple[la.Plane, Placed]:
        found = make(objective)
        assert found.origin is not None
        return found, [(found.origin, nets[0])]

    return made


def _explicit(objective: la.Objective) -> la.Plane:
    return la.Plane.from_directions(objective, {n: torch.ones_like(p) for n, p in objective.params.items()})


def _checkpoints(*nets: nn.Module) -> la.Trajectory:
    return la.Trajectory.from_checkpoints(nets)


def _once(make: Callable[..., tuple[la.Plane, Placed]]) -> Callable[[la.Objective, list[nn.Module]], tuple[la.Plane, Placed]]:
    """A plane of models alone is the same whatever the objective."""
    made = functools.cache(make)
    return lambda _, nets: made(*nets)


def _pca(*nets: nn.Module) -> tuple[la.Plane, Placed]:
    return la.pca_plane(_checkpoints(*nets)), [((0.0, 0.0), nets[-1])]


def _start_end(*nets: nn.Module) -> tuple[la.Plane, Placed]:
    return la.start_end_plane(_checkpoints(*nets)), [((0.0, 0.0), nets[0]), ((1.0, 0.0), nets[-1])]


def _shared(start: nn.Module, one: nn.Module, two: nn.Module, _: nn.Module) -> tuple[la.Plane, Placed]:
    """Two runs of two points span the plane, so that three models lie on it."""
    found = la.joint_pca_plane([_checkpoints(start, one), _checkpoints(start, two)])
    return found, [(found.project(net).coordinates, net) for net in (start, one, two)]


def _curve(*nets: nn.Module) -> tuple[la.Plane, Placed]:
    return curve_plane(Curve.bezier(nets[0], nets[2], nets[1])), [((0.0, 0.0), nets[0]), ((1.0, 0.0), nets[1])]


PLANES: dict[str, Callable[..., tuple[la.Plane, Placed]]] = {
    "random": _around(lambda objective: la.random_plane(objective, seed=1)),
    "random line": _around(lambda objective: la.random_plane(objective, seed=1, ndim=1)),
    "weight": _around(lambda objective: la.weight_plane(objective, ("0.weight", (0,) * objective.params["0.weight"].dim()), ("0.bias", 1))),
    "explicit": _around(_explicit),
    "hessian": _around(lambda objective: hessian_plane(objective, tol=0.1)),
    "between line": lambda _, nets: (la.plane_through(*nets[:2]), [((0.0,), nets[0]), ((1.0,), nets[1])]),
    "between plane": lambda _, nets: (
        la.plane_through(*nets[:3]),
        [((0.0, 0.0), nets[0]), ((1.0, 0.0), nets[1]), ((0.0, 1.0), nets[2])],
    ),
    "pca": _once(_pca),
    "start-end": _once(_start_end),
    "shared": _once(_shared),
    "curve": _once(_curve),
}
SEVERAL = ("between line", "between plane", "pca", "start-end", "shared", "curve")
OTHERS = [
    (kind, mode, layer) for layer in list(LAYERS)[1:] for kind in ("random", "between plane", "start-end") for mode in ("auto", "batch")
]
CASES = [(kind, mode, "BatchNorm1d") for kind in PLANES for mode in ("auto", *MODES)]
CASES += OTHERS + [("between line", "recalibrated", layer) for layer in list(LAYERS)[1:]]


def _corner(objective: la.Objective, where: la.Plane, place: tuple[float, ...]) -> float:
    bounds = [(c, c + 0.5 + k) for k, c in enumerate(place)]
    surface = la.evaluate(objective, where, bounds if len(bounds) > 1 else bounds[0], (2, 3)[: len(bounds)], progress=False)
    return float(surface.loss[(0,) * len(bounds)])


@pytest.mark.parametrize(("kind", "mode", "layer"), CASES, ids=["-".join(case) for case in CASES])
def test_at_every_model_on_a_plane_the_value_is_its_own_loss(kind: str, mode: str, layer: str) -> None:
    x, nets = LAYERS[layer][1], [model(layer, seed) for seed in range(4)]
    objective = la.Objective(nets[0], F.cross_entropy, (x, Y), mode=mode)
    where, placed = PLANES[kind](objective, nets)
    if (mode == "interpolated" and not kind.startswith("between")) or (mode == "anchored" and kind not in SEVERAL):
        with pytest.raises(InputError, match=f"mode: got '?{mode}"):
            _corner(objective, where, placed[0][0])
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore" if mode == "eval" else "error")
        values = [_corner(objective, where, place) for place, _ in placed]
    if mode == "eval":  # asked for: one model's statistics everywhere
        at_origin = next(k for k, (place, _) in enumerate(placed) if np.allclose(place, where.origin, atol=1e-9))
        values, placed = values[at_origin : at_origin + 1], placed[at_origin : at_origin + 1]
    for value, (_, net) in zip(values, placed, strict=True):
        assert value == pytest.approx(own_loss(net, x, mode), rel=ROUNDING)
        state = {**dict(net.named_parameters()), **dict(net.named_buffers())}
        assert value == pytest.approx(objective.with_state(state).loss(), rel=ROUNDING)


def trained(
    seed: int, steps: int, rate: float, start: nn.Module | None = None, mode: str = "auto", momentum: float = 0.02
) -> tuple[la.Trajectory, nn.Module]:
    """A recorded run; with a small momentum its running averages lag far behind."""
    x = LAYERS["BatchNorm1d"][1]
    torch.manual_seed(seed)
    net = LAYERS["BatchNorm1d"][0]().to(F64) if start is None else copy.deepcopy(start)
    net[1].momentum = momentum
    optimizer = torch.optim.SGD(net.parameters(), rate)
    with la.Recorder(None, net, optimizer, every=5, objective=la.Objective(net, F.cross_entropy, (x, Y), mode=mode)) as recorder:
        for _ in range(steps):
            loss = F.cross_entropy(net.train()(x), Y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            recorder.step(loss=loss)
    return recorder.trajectory, net.eval()


@pytest.mark.parametrize("mode", ["auto", *MODES])
def test_the_loss_of_an_iterate_is_that_of_an_objective_about_it(mode: str) -> None:
    """Buffers recorded with the weights must not undo a mode that takes statistics from the data."""
    run, net = trained(0, 20, 0.3, mode=mode)
    x = LAYERS["BatchNorm1d"][1]
    objective = la.Objective(net, F.cross_entropy, (x, Y), mode=mode)
    expected = [objective.with_state(run.state(index)).loss() for index in range(len(run))]
    assert expected[-1] == pytest.approx(own_loss(net, x, mode), rel=ROUNDING)
    np.testing.assert_allclose(run.dataset.path_loss, expected, rtol=ROUNDING)
    if mode == "interpolated":  # needs a plane between models
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore" if mode == "eval" else "error")
        path = la.project_trajectory(run, la.pca_plane(run), objective)
    np.testing.assert_allclose(path.path_loss, expected, rtol=ROUNDING)
    assert path.path_plane_loss.values[-1] == pytest.approx(expected[-1], rel=ROUNDING)


@pytest.mark.parametrize("mode", ["auto", "recalibrated", "batch", "train"])
def test_recorded_statistics_of_one_layer_do_not_reach_the_estimates_of_the_next(mode: str) -> None:
    """Of two layers the second's estimate depends on how the first normalizes while statistics are gathered."""
    x, nets = LAYERS["BatchNorm1d"][1], []
    for seed in range(3):
        torch.manual_seed(seed)
        net = nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.ReLU(), nn.Linear(5, 4), nn.BatchNorm1d(4), nn.Tanh(), nn.Linear(4, 3))
        with torch.no_grad():
            net.to(F64).train()(x * 20 + 5)
        nets.append(net.eval())
    run, objective = la.Trajectory.from_checkpoints(nets), la.Objective(nets[0], F.cross_entropy, (x, Y), mode=mode)
    path = la.project_trajectory(run, la.start_end_plane(run), objective)
    np.testing.assert_allclose(path.path_loss, [objective.with_state(run.state(index)).loss() for index in range(3)], rtol=ROUNDING)
    assert path.path_plane_loss.values[[0, -1]] == pytest.approx(path.path_loss.values[[0, -1]], rel=ROUNDING)
    if mode != "auto":  # one batch: what is estimated is the batch's own
        np.testing.assert_allclose(path.path_loss, [own_loss(net, x, "batch") for net in nets], rtol=ROUNDING)


@pytest.mark.slow
def test_optimizers_on_a_shared_plane_end_beside_their_own_loss() -> None:
    """With one model's statistics the plane reads something else at the end of a run that lies all but on it."""
    x = LAYERS["BatchNorm1d"][1]
    torch.manual_seed(0)
    start = LAYERS["BatchNorm1d"][0]().to(F64)
    (slow, _), (fast, net) = (trained(0, 60, rate, start, momentum=0.2) for rate in (0.1, 1.0))
    shared, objective = la.joint_pca_plane([slow, fast]), la.Objective(start, F.cross_entropy, (x, Y))
    labels = [each.label for each in shared.models]
    assert labels[0] == "the common start" and len(labels) == 3 and shared.models[0].lies_on_plane
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        path = la.project_trajectory(fast, shared, objective)
        surface = la.evaluate(objective, shared, (-0.5, 0.5), (3, 5))
    assert surface.attrs["objective"]["mode"] == "anchored" and "models" not in surface.attrs
    assert float(surface.loss[1, 2]) == pytest.approx(own_loss(start, x, "eval"), rel=ROUNDING)
    with pytest.warns(UserWarning, match=r"At the end of run this plane reads a loss of .*auto"):
        wrong = la.project_trajectory(fast, shared, objective.with_mode("eval"))
    true, read, off = own_loss(net, x, "eval"), float(path.path_plane_loss[-1]), float(wrong.path_plane_loss[-1])
    assert abs(read - true) < 0.25 * abs(off - true)
    assert wrong.attrs["statistics_differ"][-1]["step"] == int(wrong.step[-1])
    drawn = path_from(wrong)
    assert "own loss" in drawn.label and any(note.startswith("CAUTION: at step 60") for note in drawn.notes)
    assert path_from(path).label == ("SGD" if path.attrs["label"] == "run" else path.attrs["label"]), (
        "a run that nobody named is called by its optimizer"
    )


def test_an_end_whose_averages_lag_behind_is_marked() -> None:
    """Off the plane nothing is its own: re-estimated statistics read what the model would have, had its averages followed."""
    torch.manual_seed(0)
    start = LAYERS["BatchNorm1d"][0]().to(F64)
    (one, _), (other, net) = (trained(0, 60, rate, start, momentum=0.005) for rate in (0.1, 1.0))
    objective = la.Objective(net, F.cross_entropy, (LAYERS["BatchNorm1d"][1], Y))
    with pytest.warns(UserWarning, match=r"At the end of run .*running averages lag"):
        path = la.project_trajectory(other, la.joint_pca_plane([one, other]), objective)
    assert any("averages lag" in note for note in path_from(path).notes)


def test_an_explicit_eval_on_a_plane_between_models_warns_and_the_figure_says_where() -> None:
    a, b = (copy.deepcopy(model("BatchNorm1d", seed)) for seed in (0, 3))
    with torch.no_grad():
        for net in (a, b):
            net[3].weight.mul_(20)  # a wrong normalization is then no small matter
    x = LAYERS["BatchNorm1d"][1]
    with pytest.warns(UserWarning, match=r"At model b this plane reads a loss of .*with_mode\(.auto.\)"):
        surface = la.evaluate(la.Objective(a, F.cross_entropy, (x, Y), mode="eval"), la.plane_through(a, b), (-1, 1), resolution=3)
    first, second = surface.attrs["models"]
    assert (first["label"], first["differs"], second["label"], second["differs"]) == ("model a", False, "model b", True)
    assert second["loss"] == pytest.approx(own_loss(b, x, "eval"), rel=ROUNDING) and second["place"] == [1.0]
    assert second["plane_loss"] == pytest.approx(float(surface.loss[-1]), rel=ROUNDING)
    shown = surface_from(surface)
    assert any(note.startswith("CAUTION: at model b the plane reads") for note in shown.notes) and shown.origin_label == "model a"
    with pytest.warns(UserWarning, match="At model a"):
        backwards = la.evaluate(la.Objective(a, F.cross_entropy, (x, Y), mode="eval"), la.plane_through(b, a), (-1, 1), resolution=3)
    assert "that model's own loss is" in surface_from(backwards).origin_label


def test_away_from_the_models_anchored_statistics_are_those_estimated_anew() -> None:
    """Halfway, which is out of both models' reach; and close to a model they go over into its own."""
    a, b = model("BatchNorm1d", 0), model("BatchNorm1d", 3)
    x, line = LAYERS["BatchNorm1d"][1], la.plane_through(a, b)
    objective = la.Objective(a, F.cross_entropy, (x, Y))
    found = la.evaluate(objective, line, (0, 1), 9)
    anew = la.evaluate(objective.with_mode("recalibrated"), line, (0, 1), 9)
    assert float(found.loss[4]) == pytest.approx(float(anew.loss[4]), rel=1e-12)
    assert abs(float(found.loss[0]) - float(anew.loss[0])) > 0.01
    near = la.evaluate(objective, line, (0, 1e-6), 2)
    assert float(near.loss[1]) == pytest.approx(float(near.loss[0]), rel=1e-5), "no step beside the model"


def test_reaches_are_half_the_way_to_the_nearest_other_model() -> None:
    a, b, c = (model("BatchNorm1d", seed) for seed in range(3))
    task = EvaluationProblem.make(la.Objective(a, F.cross_entropy, (LAYERS["BatchNorm1d"][1], Y)), la.plane_through(a, b, c), ())
    assert isinstance(task.anchors, Anchors)
    weights = [torch.cat([p.detach().flatten() for p in net.parameters()]) for net in (a, b, c)]
    nearest = [min(float((own - other).norm()) for other in weights if other is not own) / 2 for own in weights]
    np.testing.assert_allclose(task.anchors.reaches, nearest, rtol=1e-10)


def test_models_that_bring_no_statistics_are_measured_with_fresh_ones_but_for_the_objectives_own() -> None:
    a, b = model("BatchNorm1d", 0), model("BatchNorm1d", 1)
    x = LAYERS["BatchNorm1d"][1]
    line = la.plane_through(*(dict(net.named_parameters()) for net in (a, b)))
    found = la.evaluate(la.Objective(a, F.cross_entropy, (x, Y)), line, (0, 1), 3)
    assert float(found.loss[0]) == pytest.approx(own_loss(a, x, "eval"), rel=ROUNDING)
    assert float(found.loss[-1]) == pytest.approx(own_loss(b, x, "recalibrated"), rel=ROUNDING)


def test_descents_curvature_and_slopes_have_the_statistics_of_their_place() -> None:
    a, b = model("BatchNorm1d", 0), model("BatchNorm1d", 1)
    x, c = LAYERS["BatchNorm1d"][1], model("BatchNorm1d", 2)
    objective, where = la.Objective(a, F.cross_entropy, (x, Y)), la.plane_through(a, b, c)
    true = own_loss(b, x, "eval")
    path = optimize_on_plane(objective, where, (1.0, 0.0), learning_rate=0.1, steps=1)
    assert path.path_loss.values[0] == pytest.approx(true, rel=ROUNDING)
    ours = hessian_map(objective, where, ((1.0, 1.1), (0.0, 0.1)), (2, 2), progress=False)
    assert float(ours.loss[0, 0]) == pytest.approx(true, rel=ROUNDING)
    there = la.Objective(b, F.cross_entropy, (x, Y))
    one, other = (
        curvature_report(objective, where, (1.0, 0.0), probes=3),
        curvature_report(there, probes=3, params=where.moving_names, biases=True),
    )
    assert one.lambda_max == pytest.approx(other.lambda_max, rel=1e-3)
    directions = [d.params for d in where.directions]
    alone = per_sample_gradients(there, la.Plane.from_directions(there, *directions), (0.0, 0.0))
    np.testing.assert_allclose(per_sample_gradients(objective, where, (1.0, 0.0)), alone, rtol=1e-7, atol=1e-10)


def test_a_curve_over_its_plane_has_the_own_loss_of_its_ends() -> None:
    a, b, bend = (model("BatchNorm1d", seed) for seed in range(3))
    x, curve = LAYERS["BatchNorm1d"][1], Curve.bezier(a, bend, b)
    path = project_curve(la.Objective(a, F.cross_entropy, (x, Y)), curve, curve_plane(curve), 3)
    assert path.path_loss.values[[0, -1]] == pytest.approx([own_loss(net, x, "eval") for net in (a, b)], rel=ROUNDING)


@pytest.mark.slow
def test_a_stored_surface_knows_the_mode_it_was_measured_in(tmp_path) -> None:
    a, b = model("BatchNorm1d", 0), model("BatchNorm1d", 1)
    objective = la.Objective(a, F.cross_entropy, (LAYERS["BatchNorm1d"][1], Y))
    where, archive = la.plane_through(a, b), tmp_path / "a.zarr"
    la.evaluate(objective, where, resolution=3, archive=archive)
    la.evaluate(objective.with_mode("anchored"), where, resolution=3, archive=archive)
    with pytest.raises(la.ArchiveError, match=r"objective\.mode is anchored there and recalibrated now"):
        la.evaluate(objective.with_mode("recalibrated"), where, resolution=3, archive=archive)
    other = copy.deepcopy(b)
    other[1].running_mean += 1
    with pytest.raises(la.ArchiveError, match="buffers"):
        la.evaluate(objective, la.plane_through(a, other), resolution=3, archive=archive)


def test_threads_and_processes_measure_anchored_cells_alike() -> None:
    a, b = model("BatchNorm1d", 0), model("BatchNorm1d", 1)
    objective, where = la.Objective(a, F.cross_entropy, (LAYERS["BatchNorm1d"][1], Y)), la.plane_through(a, b)
    serial = la.evaluate(objective, where, (-1, 2), 7, engine=la.Engine(executor="serial"))
    threads = la.evaluate(objective, where, (-1, 2), 7, engine=la.Engine(executor="threads", workers=3, tile=2))
    np.testing.assert_array_equal(serial.loss, threads.loss)
    assert np.isfinite(serial.loss).all()
