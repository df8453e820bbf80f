"""`ArrayObjective`: every operation of the package on functions of a NumPy vector, against closed forms and plain NumPy."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import lossatlas as la
from lossatlas.compute.evaluation.evaluators import EvaluationProblem, selection
from lossatlas.compute.evaluation.evaluators.evaluator_spec import EvaluatorSpec
from lossatlas.compute.evaluation.evaluators.selection import Probe
from lossatlas.compute.metrics import metrics_named

MATRIX = np.array([[3.0, 1.0, 0.0], [1.0, 2.0, 0.5], [0.0, 0.5, 5.0]])
THETA = np.array([1.0, -2.0, 0.5])


def value(theta: np.ndarray) -> float:
    """A quartic whose Hessian is known."""
    return float(0.5 * theta @ MATRIX @ theta + (theta**4).sum())


def gradient(theta: np.ndarray) -> np.ndarray:
    return MATRIX @ theta + 4 * theta**3


def hessian(theta: np.ndarray) -> np.ndarray:
    return MATRIX + np.diag(12 * theta**2)


def rows(thetas: np.ndarray) -> np.ndarray:
    return 0.5 * np.einsum("pi,ij,pj->p", thetas, MATRIX, thetas) + (thetas**4).sum(1)


def row_gradients(thetas: np.ndarray) -> np.ndarray:
    return thetas @ MATRIX + 4 * thetas**3


WAYS: dict[str, dict[str, Any]] = {
    "values": {"fun": value},
    "jac": {"fun": value, "jac": gradient},
    "value and gradient": {"fun": lambda t: (value(t), gradient(t)), "jac": True},
    "hessp": {"fun": value, "jac": gradient, "hessp": lambda t, v: hessian(t) @ v},
    "vectorized": {"fun": rows, "vectorized": True},
    "vectorized jac": {"fun": rows, "jac": row_gradients, "vectorized": True},
    "vectorized both": {"fun": lambda t: (rows(t), row_gradients(t)), "jac": True, "vectorized": True},
}
"""The same function, given in every way there is."""


@pytest.fixture(params=WAYS)
def objective(request: pytest.FixtureRequest) -> la.ArrayObjective:
    return la.ArrayObjective(theta0=THETA, **WAYS[request.param])


# -- numbers -------------------------------------------------------------------------------------------------


def test_values_gradients_and_hessians_are_the_closed_forms(objective: la.ArrayObjective) -> None:
    other = np.array([0.3, 0.4, -1.0])
    assert objective.loss() == pytest.approx(value(THETA), rel=1e-14)
    assert objective.value(other) == pytest.approx(value(other), rel=1e-14)
    np.testing.assert_allclose(objective.gradient(other), gradient(other), atol=1e-8)
    operator = la.hessian_operator(objective)
    np.testing.assert_allclose(operator.dense(), hessian(THETA), atol=2e-6)
    at = la.hessian_operator(objective, objective.as_params(other))
    np.testing.assert_allclose(at.dense(), hessian(other), atol=2e-6)
    eigenvalues = np.linalg.eigvalsh(hessian(THETA))
    assert la.extreme_eigenvalues(operator).largest[0] == pytest.approx(eigenvalues[-1], rel=1e-6)


def test_the_operator_says_how_its_products_come_about() -> None:
    methods = {name: la.hessian_operator(la.ArrayObjective(theta0=THETA, **way)).method for name, way in WAYS.items()}
    assert methods["values"] == methods["vectorized"] == "finite differences of values"
    assert methods["jac"] == methods["value and gradient"] == methods["vectorized jac"] == "finite differences of gradients"
    assert methods["hessp"] == "given"
    np.testing.assert_array_equal(la.hessian_operator(la.ArrayObjective(theta0=THETA, **WAYS["hessp"])).dense(), hessian(THETA))


@pytest.mark.parametrize("method", ["double backward", "forward over reverse", "finite differences"])
def test_every_method_multiplies(method: Any) -> None:
    objective = la.ArrayObjective(theta0=THETA, **WAYS["jac"])
    np.testing.assert_allclose(la.hessian_operator(objective, method=method).dense(), hessian(THETA), atol=1e-5)


def test_autograd_reaches_the_vector() -> None:
    objective = la.ArrayObjective(theta0=THETA, **WAYS["jac"])
    theta = torch.tensor(THETA, requires_grad=True)
    (2 * objective.differentiable_loss({"theta": theta})).backward()
    np.testing.assert_allclose(theta.grad, 2 * gradient(THETA), rtol=1e-14)
    (slope,) = torch.autograd.grad(objective.differentiable_loss({"theta": theta}), theta, create_graph=True)
    (curved,) = torch.autograd.grad(slope[0], theta)
    np.testing.assert_allclose(curved, hessian(THETA)[0], atol=1e-8)


# -- planes --------------------------------------------------------------------------------------------------


def expected_surface(plane: la.Plane, surface: Any) -> np.ndarray:
    """A plain loop over the grid."""
    return np.array([[value(plane.point(a, b)["theta"].numpy()) for b in surface.beta.values] for a in surface.alpha.values])


def planes(objective: la.ArrayObjective) -> dict[str, la.Plane]:
    return {
        "random": la.random_plane(objective, seed=3),
        "weights": la.weight_plane(objective, 0, 2),
        "directions": la.Plane.from_directions(objective, np.array([1.0, 0.0, 1.0]), np.array([0.0, 2.0, 0.0])),
        "between": la.plane_through(THETA, np.zeros(3), np.array([0.0, 1.0, 0.0])),
    }


@pytest.mark.parametrize("kind", ["random", "weights", "directions", "between"])
def test_planes_hold_what_a_plain_loop_computes(objective: la.ArrayObjective, kind: str) -> None:
    plane = planes(objective)[kind]
    surface = la.evaluate(objective, plane, bounds=((-1, 1), (-0.5, 1)), resolution=(4, 3), progress=False)
    np.testing.assert_allclose(surface.loss, expected_surface(plane, surface), rtol=1e-13)
    assert plane.project(objective.with_theta(plane.point(0.25, 0.5)["theta"].numpy())).coordinates == pytest.approx((0.25, 0.5))


@pytest.mark.parametrize("evaluator", ["loop", "vmap"])
@pytest.mark.parametrize("way", ["values", "vectorized"])
def test_evaluators_agree(way: str, evaluator: Any) -> None:
    objective = la.ArrayObjective(theta0=THETA, **WAYS[way])
    plane = la.random_plane(objective, seed=1)
    engine = la.Engine(evaluator=evaluator)
    surface = la.evaluate(objective, plane, resolution=(5, 3), engine=engine, progress=False)
    np.testing.assert_allclose(surface.loss, expected_surface(plane, surface), rtol=1e-13)


def test_vectorized_points_are_scored_together() -> None:
    sizes = []

    def counted(thetas: np.ndarray) -> np.ndarray:
        sizes.append(len(thetas))
        return rows(thetas)

    objective = la.ArrayObjective(counted, THETA, vectorized=True)
    sizes.clear()
    la.evaluate(objective, la.random_plane(objective), resolution=(9, 7), engine=la.Engine(evaluator="vmap", chunk=16), progress=False)
    assert max(sizes) == 16 and sizes.count(16) >= 4  # 63 points; the rest are probes


def test_slow_vectorized_functions_are_tried_many_points_at_once() -> None:
    tried = {}
    for way in ("values", "vectorized"):
        objective = la.ArrayObjective(theta0=THETA, **WAYS[way])
        task = EvaluationProblem.make(objective, la.random_plane(objective), metrics_named("loss"))
        probe = replace(Probe.of(task, np.array([[0.5, 0.5]]), 10_000), seconds=1.0)
        groups = selection._candidates(probe, EvaluatorSpec(seconds=1.0), None, False)
        tried[way] = {candidate.evaluator for group in groups for candidate in group}
    assert tried == {"values": set(), "vectorized": {"vmap"}}


def test_a_random_direction_is_not_normalized_by_a_vector_of_zeros() -> None:
    objective = la.ArrayObjective(lambda t: float((t**2).sum()), np.zeros(100))
    plane = la.random_plane(objective, seed=0)
    assert plane.construction["normalize"] == "none"
    assert plane.directions[0].norm / 10 == pytest.approx(1.0, abs=0.3)  # root mean square of 100 Gaussian numbers
    assert la.random_plane(objective.with_theta(np.full(100, 2.0)), normalize="layer").directions[0].norm == pytest.approx(20.0)


# -- lines, descents, recordings ---------------------------------------------------------------------------


def test_lines_and_barriers() -> None:
    f = la.functions.styblinski_tang()
    ends = [np.array(minimum.theta) for minimum in f.minima[:2]]
    line = la.interpolate(f, *ends, resolution=5)
    np.testing.assert_allclose(line.loss, [f.value((1 - s) * ends[0] + s * ends[1]) for s in line.alpha.values], rtol=1e-13)
    values = np.array([f.value((1 - s) * ends[0] + s * ends[1]) for s in np.linspace(0, 1, 21)])
    height = (values - np.linspace(values[0], values[-1], 21)).max()
    assert la.barrier(f, *ends, resolution=21).attrs["barrier"]["loss"] == pytest.approx(height, rel=1e-13)


def test_descents_follow_the_gradient() -> None:
    f = la.functions.quadratic(condition=4.0, theta0=(1.0, 1.0))
    path = la.optimize_on_plane(f, la.weight_plane(f, 0, 1), (1.0, 1.0), learning_rate=0.1, steps=5, progress=False)
    np.testing.assert_allclose(path.path_alpha, 0.9 ** np.arange(6), rtol=1e-12)
    np.testing.assert_allclose(path.path_beta, 0.6 ** np.arange(6), rtol=1e-12)


def test_torch_optimizers_train_the_vector_and_recorders_record_it(tmp_path: Path) -> None:
    f = la.functions.quadratic(condition=4.0, theta0=(1.0, 1.0))
    module = f.parameter_module()
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
    with la.Recorder(tmp_path / "run.zarr", module, optimizer, every=1, objective=f) as recorder:
        for _ in range(4):
            optimizer.zero_grad()
            loss = module()
            loss.backward()
            optimizer.step()
            recorder.step(loss=loss)
    trajectory = la.open_archive(tmp_path / "run.zarr").trajectory("run")
    np.testing.assert_allclose(trajectory.path_loss, [0.5 * (0.81**k + 4 * 0.36**k) for k in range(5)], rtol=1e-12)


@pytest.mark.slow
def test_plane_of_principal_components_of_a_scipy_run(tmp_path: Path) -> None:
    import scipy.optimize

    f = la.functions.rosenbrock(4)
    module = f.parameter_module()
    with la.Recorder(tmp_path / "run.zarr", module, every=1, objective=f) as recorder:

        def callback(theta: np.ndarray) -> None:
            module.assign(theta)
            recorder.step()

        result = scipy.optimize.minimize(f.value, f.theta0, jac=f.gradient, method="BFGS", callback=callback)
    trajectory = recorder.trajectory
    assert len(trajectory.steps) == result.nit + 1
    np.testing.assert_array_equal(trajectory.params(-1)["theta"].numpy(), result.x)
    plane = la.pca_plane(trajectory)
    projection = la.project_trajectory(trajectory, plane)
    assert np.isfinite(projection.path_alpha).all()


# -- archives and resuming -----------------------------------------------------------------------------------


def factor(scale: float) -> Any:
    return lambda theta: scale * float((theta**2).sum())


def test_resuming_is_by_the_code_and_the_center(tmp_path: Path) -> None:
    path, plane = tmp_path / "a.zarr", la.random_plane(la.ArrayObjective(factor(1.0), THETA))
    arguments: dict[str, Any] = {"resolution": (3, 4), "archive": path, "progress": False}
    first = la.evaluate(la.ArrayObjective(factor(1.0), THETA), plane, **arguments)
    again = la.evaluate(la.ArrayObjective(factor(1.0), THETA), plane, **arguments)
    np.testing.assert_array_equal(first.loss, again.loss)
    with pytest.raises(la.ArchiveError, match="the function is another one"):
        la.evaluate(la.ArrayObjective(factor(2.0), THETA), plane, **arguments)
    with pytest.raises(la.ArchiveError, match="weights at the center differ"):
        moved = la.ArrayObjective(factor(1.0), THETA + 1)
        la.evaluate(moved, la.random_plane(moved), **arguments)


def test_stop_and_resume_equals_one_run(tmp_path: Path) -> None:
    class Stop(Exception):
        pass

    def stop(cells: Any, values: Any) -> None:
        raise Stop

    objective = la.ArrayObjective(theta0=THETA, **WAYS["jac"])
    plane, engine = la.random_plane(objective), la.Engine(tile=5)
    with pytest.raises(Stop):
        la.evaluate(objective, plane, resolution=(6, 5), archive=tmp_path / "a.zarr", engine=engine, on_tile=stop, progress=False)
    resumed = la.evaluate(objective, plane, resolution=(6, 5), archive=tmp_path / "a.zarr", engine=engine, progress=False)
    np.testing.assert_array_equal(resumed.loss, la.evaluate(objective, plane, resolution=(6, 5), progress=False).loss)


@pytest.mark.parametrize("executor", ["serial", "threads"])
def test_executors_agree(executor: Any) -> None:
    objective = la.ArrayObjective(theta0=THETA, **WAYS["vectorized"])
    plane = la.random_plane(objective)
    engine = la.Engine(executor=executor, workers=2, tile=4)
    surface = la.evaluate(objective, plane, resolution=(4, 3), engine=engine, progress=False)
    np.testing.assert_allclose(surface.loss, expected_surface(plane, surface), rtol=1e-13)


def test_functions_that_share_a_list_are_kept_from_threads() -> None:
    calls: list[float] = []

    def counted(theta: np.ndarray) -> float:
        calls.append(1.0)
        return value(theta)

    objective = la.ArrayObjective(counted, THETA)
    calls.clear()
    with pytest.raises(la.InputError, match="which threads would share"):
        la.evaluate(objective, la.random_plane(objective), resolution=3, engine=la.Engine(executor="threads"), progress=False)


# -- precision -----------------------------------------------------------------------------------------------


def test_functions_in_float32_get_steps_that_float32_can_tell() -> None:
    def low(theta: np.ndarray) -> np.float32:
        return np.float32(0.5) * (np.asarray(theta, np.float32) ** 2).sum()

    objective = la.ArrayObjective(low, np.array([1.0, -2.0]))
    assert objective.theta0.dtype == np.float32
    np.testing.assert_allclose(objective.gradient([1.0, -2.0]), [1.0, -2.0], rtol=2e-4)
    np.testing.assert_allclose(la.hessian_operator(objective).dense(), np.eye(2), atol=0.02)


# -- bad input -----------------------------------------------------------------------------------------------


def draws(theta: np.ndarray) -> float:
    return float(np.random.default_rng().normal())


REFUSED: dict[str, tuple[Any, Any, dict[str, Any], str]] = {
    "no function": (3.0, THETA, {}, "fun: got .*float"),
    "a matrix": (value, np.eye(3), {}, r"shape \(3, 3\).*Flatten"),
    "a number": (value, 2.0, {}, "theta0"),
    "nothing": (value, [], {}, "theta0"),
    "text": (value, ["a"], {}, "theta0"),
    "a pytree": (value, {"w": THETA}, {}, "ravel_pytree"),
    "complex": (value, THETA + 1j, {}, "complex.*np.concatenate"),
    "NaN": (value, [np.nan, 1.0], {}, "NaN"),
    "returns an array": (lambda t: t, THETA, {}, r"returned an array of shape \(3,\); expected a real number"),
    "returns complex": (lambda t: complex(t[0]), THETA, {}, "complex numbers"),
    "returns nothing": (lambda t: None, THETA, {}, "returned NoneType"),
    "returns a truth value": (lambda t: True, THETA, {}, "True or False"),
    "raises": (lambda t: 1 / 0, THETA, {}, "ZeroDivisionError"),
    "draws": (draws, THETA, {}, "default_rng"),
    "jac of another shape": (value, THETA, {"jac": lambda t: t[:2]}, r"jac: got returned an array of shape \(2,\)"),
    "jac raises": (value, THETA, {"jac": lambda t: 1 / 0}, "jac: got ZeroDivisionError"),
    "no jac": (value, THETA, {"jac": 3}, "jac"),
    "no pair": (value, THETA, {"jac": True}, r"expected \(value, gradient\)"),
    "no hessp": (value, THETA, {"hessp": 3}, "hessp"),
    "hessp of another shape": (value, THETA, {"hessp": lambda t, v: 1.0}, "hessp"),
    "not vectorized": (value, THETA, {"vectorized": True}, r"matmul.*\(points, size\)"),
    "rows mixed up": (lambda t: t.sum(1) - t.mean(), THETA, {"vectorized": True}, "every row"),
    "no flag": (value, THETA, {"vectorized": 1}, "vectorized"),
    "labels": (value, THETA, {"labels": ["a"]}, "labels"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_bad_input_is_refused_in_words(case: str) -> None:
    fun, theta0, options, message = REFUSED[case]
    with pytest.raises(la.InputError, match=message):
        la.ArrayObjective(fun, theta0, **options)


def test_a_wrong_gradient_is_warned_of() -> None:
    with pytest.warns(UserWarning, match="check_grad"):
        la.ArrayObjective(value, THETA, jac=lambda t: -gradient(t))


def test_a_function_that_changes_its_argument_changes_nothing() -> None:
    def careless(theta: np.ndarray) -> float:
        theta *= 2.0
        return float((theta**2).sum())

    theta0 = THETA.copy()
    objective = la.ArrayObjective(careless, theta0)
    plane = la.weight_plane(objective, 0, 1)
    surface = la.evaluate(objective, plane, resolution=(3, 4), progress=False)
    np.testing.assert_array_equal(theta0, THETA)
    np.testing.assert_array_equal(objective.theta0, THETA)
    np.testing.assert_allclose(surface.loss, 4 * (surface.alpha.values[:, None] ** 2 + surface.beta.values**2 + THETA[2] ** 2), rtol=1e-14)


def test_points_where_it_raises_or_has_no_value_are_holes() -> None:
    def partly(theta: np.ndarray) -> float:
        if theta[0] > 0.9:
            raise RuntimeError("the simulator diverged")
        return float("nan") if theta[1] < -0.9 else float(theta.sum())

    objective = la.ArrayObjective(partly, np.zeros(2))
    surface = la.evaluate(objective, la.weight_plane(objective, 0, 1), resolution=(3, 5), progress=False)
    expected = [[-1.0 + b if b > -0.9 else np.nan for b in surface.beta.values], [b if b > -0.9 else np.nan for b in surface.beta.values]]
    np.testing.assert_allclose(surface.loss[:2], expected)
    assert np.isnan(surface.loss[2]).all() and surface.done.all()


def test_vectors_of_another_length_are_refused() -> None:
    objective = la.ArrayObjective(value, THETA)
    for call in (objective.value, objective.gradient, objective.as_params, objective.with_theta, objective.parameter_module().assign):
        with pytest.raises(la.InputError, match="3 entries"):
            call([1.0, 2.0])
    with pytest.raises(la.InputError, match=r"nn\.Module"):
        objective.with_mode("train")


# -- the rest of the package ---------------------------------------------------------------------------------


def test_a_landscape_takes_the_plane_that_suits() -> None:
    f = la.functions.booth()
    result = la.landscape(f, resolution=(3, 5))
    assert result.plane.kind == "weights" and result.surface.attrs["grid"]["bounds"] == [[-10.0, 10.0], [-10.0, 10.0]]
    np.testing.assert_allclose(result.surface.loss[1, 2], f.value([0.0, 0.0]))
    assert la.landscape(la.ArrayObjective(theta0=THETA, **WAYS["jac"]), resolution=3).plane.kind == "random"
    assert "Booth of 2 variables" in repr(f) and "finite differences" in repr(la.ArrayObjective(theta0=THETA, **WAYS["values"]))


def test_reports_speak_of_no_samples() -> None:
    report = la.curvature_report(la.ArrayObjective(theta0=THETA, **WAYS["hessp"]))
    assert report.trace == pytest.approx(np.trace(hessian(THETA)), rel=1e-12)
    assert "samples" not in str(report) and "products by given" in str(report)


def test_curves_are_fitted_and_stay_finite() -> None:
    f = la.functions.mueller_brown()
    ends = [np.array(minimum.theta) for minimum in f.minima[:2]]
    curve = la.fit_curve(f, *ends, steps=60, learning_rate=1e-5)
    straight, bent = (float(line.loss.max()) for line in (la.interpolate(f, *ends), la.evaluate_curve(f, curve, resolution=25)))
    assert bent < straight
    assert np.isinf(f.value([1e3, 1e3])) or np.isnan(f.value([1e3, 1e3]))  # and no warning, which would be an error here


def test_directions_scaled_to_a_vector_of_zeros_are_refused() -> None:
    with pytest.raises(la.InputError, match='"none"'):
        la.random_plane(la.ArrayObjective(lambda t: float((t**2).sum()), np.zeros(3)), normalize="layer")
