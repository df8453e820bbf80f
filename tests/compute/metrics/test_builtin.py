"""Built-in metrics against plain NumPy, by every evaluator, on planes, lines and curves."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import lossatlas as la

F64 = torch.float64
SHAPE = (3, 4)
CLASSES = 7
GENERATOR = torch.Generator().manual_seed(0)
X = torch.randn(23, 2, dtype=F64, generator=GENERATOR)
Y = torch.randint(CLASSES, (23,), generator=GENERATOR)
NAMES = ("loss", "accuracy", "error", "top_5_error", "perplexity", "kl", "disagreement", "calibration_error", "margin", "weight_norm")


def network(seed: int = 1) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(2, 5), nn.ReLU(), nn.Linear(5, CLASSES)).double()


NET = network()
OBJECTIVE = la.Objective(NET, F.cross_entropy, (X, Y), batch_size=9)
PLANE = la.random_plane(OBJECTIVE, seed=2, params="2")


def numpy_logits(params: dict[str, Tensor]) -> np.ndarray:
    p = {name: value.detach().numpy() for name, value in params.items()}
    return np.maximum(X.numpy() @ p["0.weight"].T + p["0.bias"], 0) @ p["2.weight"].T + p["2.bias"]


def numpy_metrics(logits: np.ndarray, reference: np.ndarray) -> dict[str, np.ndarray]:
    """By metric, its value on every sample; ECE by a plain loop over bins."""
    y, rows = Y.numpy(), np.arange(len(Y))
    p, q = (np.exp(z) / np.exp(z).sum(1, keepdims=True) for z in (logits, reference))
    right = logits.argmax(1) == y
    rank = np.array([(z > z[label]).sum() for z, label in zip(logits, y, strict=True)])
    others = np.where(np.arange(CLASSES) == y[:, None], -np.inf, logits).max(1)
    gap = 0.0
    for low in np.arange(15) / 15:
        inside = (p.max(1) > low) & (p.max(1) <= low + 1 / 15)
        gap += inside.mean() * abs(right[inside].mean() - p.max(1)[inside].mean()) if inside.any() else 0.0
    return {
        "loss": -np.log(p[rows, y]),
        "accuracy": right.astype(float),
        "error": 1.0 - right,
        "top_5_error": (rank >= 5).astype(float),
        "kl": (q * (np.log(q) - np.log(p))).sum(1),
        "disagreement": (logits.argmax(1) != reference.argmax(1)).astype(float),
        "margin": logits[rows, y] - others,
        "calibration_error": np.array(gap),
    }


def check_point(values: dict[str, float], params: dict[str, Tensor], reference: dict[str, Tensor]) -> None:
    truth = numpy_metrics(numpy_logits(params), numpy_logits(reference))
    for name, items in truth.items():
        np.testing.assert_allclose(values[name], items.mean(), rtol=1e-10, atol=1e-13, err_msg=name)
        if items.ndim and f"{name}_standard_error" in values:
            error = items.std(ddof=1) / np.sqrt(len(items))
            np.testing.assert_allclose(values[f"{name}_standard_error"], error, rtol=1e-7, atol=1e-12, err_msg=name)
    np.testing.assert_allclose(values["perplexity"], np.exp(truth["loss"].mean()), rtol=1e-12)
    norm = np.sqrt(sum(float((v.detach().numpy() ** 2).sum()) for v in params.values()))
    np.testing.assert_allclose(values["weight_norm"], norm, rtol=1e-12)


@pytest.mark.parametrize("options", [{"evaluator": "loop"}, {"evaluator": "vmap", "chunk": 5}, {"evaluator": "affine"}, {}], ids=str)
def test_every_evaluator_gives_what_numpy_does(options: dict[str, Any]) -> None:
    surface = la.evaluate(OBJECTIVE, PLANE, (-1, 1), SHAPE, NAMES, engine=la.Engine(**options))
    for (i, a), (j, b) in itertools.product(enumerate(surface.alpha.values), enumerate(surface.beta.values)):
        values = {str(name): float(array[i, j]) for name, array in surface.data_vars.items()}
        check_point(values, {**OBJECTIVE.params, **PLANE.point(a, b)}, OBJECTIVE.params)
        spread = numpy_metrics(numpy_logits(PLANE.point(a, b)), numpy_logits(OBJECTIVE.params))["loss"].std(ddof=1) / np.sqrt(len(Y))
        np.testing.assert_allclose(values["perplexity_standard_error"], values["perplexity"] * spread, rtol=1e-8)
    assert "perplexity_lower" not in surface and np.isnan(surface.calibration_error_standard_error).all()
    assert {str(surface[name].attrs["better"]) for name in ("error", "top_5_error", "perplexity", "calibration_error")} == {"lower"}
    assert surface.margin.attrs["better"] == surface.accuracy.attrs["better"] == "higher" and surface.kl.attrs["units"] == "nats"


@pytest.mark.parametrize("evaluator", ["loop", "vmap", "affine", "auto"])
def test_relative_metrics_are_exactly_zero_at_the_origin(evaluator: str) -> None:
    surface = la.evaluate(OBJECTIVE, PLANE, (-1, 1), (3, 5), ("kl", "disagreement"), engine=la.Engine(evaluator=evaluator))
    assert float(surface.kl.sel(alpha=0, beta=0)) == 0.0 == float(surface.disagreement.sel(alpha=0, beta=0))
    assert (surface.kl.where((surface.alpha != 0) | (surface.beta != 0), 1.0) > 0).all()


def test_the_reference_may_be_another_model_and_is_copied() -> None:
    other = network(5)
    expected = dict(other.state_dict())
    expected = {name: value.clone() for name, value in expected.items()}
    measured = [la.metrics.kl(ref=other), la.metrics.disagreement(ref=expected)]
    with torch.no_grad():
        other[0].weight.zero_()
    surface = la.evaluate(OBJECTIVE, PLANE, (-1, 1), SHAPE, measured)
    truth = numpy_metrics(numpy_logits(PLANE.point(-1.0, 1.0)), numpy_logits(expected))
    np.testing.assert_allclose(float(surface.kl[0, -1]), truth["kl"].mean(), rtol=1e-12)
    np.testing.assert_allclose(float(surface.disagreement[0, -1]), truth["disagreement"].mean(), rtol=1e-12)


def test_kl_does_not_change_where_the_function_does_not() -> None:
    """Two ReLU layers rescaled by (c, 1/c): other weights, the same network (Dinh et al. 2017)."""
    direction = la.random_plane(OBJECTIVE, seed=3, ndim=1, normalize="none").directions[0].params
    scale = {"0.weight": 8.0, "0.bias": 8.0, "2.weight": 0.125, "2.bias": 1.0}

    def line(factor: dict[str, float]) -> Any:
        center, step = ({n: v * factor.get(n, 1.0) for n, v in params.items()} for params in (OBJECTIVE.params, direction))
        objective = OBJECTIVE.with_state(center)
        return la.evaluate(objective, la.Plane.from_directions(center, step), (-0.5, 0.5), 5, ("kl", "weight_norm"))

    plain, rescaled = line({}), line(scale)
    np.testing.assert_allclose(rescaled.kl, plain.kl, rtol=1e-12, atol=1e-15)
    assert (np.abs(rescaled.weight_norm - plain.weight_norm) > 1).all()


def test_a_plane_without_a_model_of_its_own_needs_a_reference() -> None:
    plane = la.Plane(PLANE.center, PLANE.directions)
    with pytest.raises(la.InputError, match=r"la.metrics.kl\(ref=model\)"):
        la.evaluate(OBJECTIVE, plane, metrics="kl")
    assert np.isfinite(la.evaluate(OBJECTIVE, plane, resolution=2, metrics=la.metrics.kl(ref=NET)).kl).all()


def test_lines_and_curves_take_every_metric() -> None:
    a, b = network(1), network(2)
    line = la.interpolate(OBJECTIVE, a, b, (0, 1), 5, NAMES)
    for index, t in enumerate(line.alpha.values):
        params = {n: (1 - t) * p + t * dict(b.named_parameters())[n] for n, p in a.named_parameters()}
        check_point({str(n): float(v[index]) for n, v in line.data_vars.items()}, params, dict(a.named_parameters()))
    assert line.attrs["metrics"] == list(NAMES)
    score = la.Metric("score", lambda model: model(X).argmax(1) == Y, of="model", better="higher")
    curve = la.evaluate_curve(OBJECTIVE, la.Curve.polygonal(a, network(3), b), 5, ("loss", "error", score, "kl"))
    np.testing.assert_allclose(curve.score, 1 - curve.error.values, rtol=1e-13)
    np.testing.assert_allclose(curve.score_upper, 1 - curve.error_lower.values, rtol=1e-13)
    barrier = curve.attrs["barrier"]
    assert barrier["score"] == pytest.approx(barrier["error"], abs=1e-15) and float(curve.kl[0]) == 0.0
    assert set(barrier) == {f"{name}{end}" for name in ("loss", "error", "score", "kl") for end in ("", "_at")}


def test_a_barrier_where_a_metric_raises_is_none_and_the_line_says_why() -> None:
    def fragile(model: nn.Module) -> float:
        if float(model(X).sum()) > total:
            raise RuntimeError("too much")
        return float(model(X).sum())

    a, b = network(1), network(2)
    first, last = (float(net(X).sum().detach()) for net in (a, b))
    a, b = (a, b) if first < last else (b, a)
    total = (first + last) / 2
    line = la.barrier(OBJECTIVE, a, b, 5, ("loss", la.Metric("sum", fragile, of="model")))
    assert np.isnan(line["sum"]).any() and np.isnan(line.attrs["barrier"]["sum"])
    assert set(line.attrs["holes"].values()) == {"sum: RuntimeError: too much"}


class TinyForCausalLM(nn.Module):
    """A bigram language model with the interface of transformers: it computes its own loss, each token from the one before."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(5, 5, dtype=F64)

    def forward(self, input_ids: Tensor, labels: Tensor) -> dict[str, Tensor]:
        logits = self.table(input_ids)
        loss = F.cross_entropy(logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten())
        return Outputs(loss=loss, logits=logits)


class Outputs(dict[str, Tensor]):
    @property
    def logits(self) -> Tensor:
        return self["logits"]


def test_language_models_are_scored_on_the_tokens_that_count() -> None:
    torch.manual_seed(0)
    model, ids = TinyForCausalLM(), torch.randint(5, (6, 9))
    labels = ids.clone()
    labels[0, 4:], labels[5, 2:] = -100, -100
    objective = la.Objective(model, None, {"input_ids": ids, "labels": labels}, batch_size=2)
    plane = la.random_plane(objective, seed=1)
    surface = la.evaluate(objective, plane, (-1, 1), (3, 2), ("loss", "perplexity", "kl", "disagreement"))
    tables = [plane.point(a, b)["table.weight"].numpy() for a in (-1.0, 0.0, 1.0) for b in (-1.0, 1.0)]
    rows = zip(ids.tolist(), labels.tolist(), strict=True)
    pairs = [(row[t], wanted[t + 1]) for row, wanted in rows for t in range(8) if wanted[t + 1] != -100]
    reference = model.table.weight.detach().numpy()
    for value, divergence, differs, z in zip(
        *(surface[n].values.ravel() for n in ("perplexity", "kl", "disagreement")), tables, strict=True
    ):
        log_p, log_q = (w - np.log(np.exp(w).sum(1, keepdims=True)) for w in (z, reference))
        np.testing.assert_allclose(value, np.exp(-np.mean([log_p[i, j] for i, j in pairs])), rtol=1e-12)
        np.testing.assert_allclose(divergence, np.mean([(np.exp(log_q[i]) * (log_q[i] - log_p[i])).sum() for i, _ in pairs]), rtol=1e-10)
        assert differs == pytest.approx(np.mean([z[i].argmax() != reference[i].argmax() for i, _ in pairs]), abs=1e-15)


def test_padding_does_not_count() -> None:
    """Outputs (samples, classes, places) with labels of -100, by every metric of classifiers."""
    torch.manual_seed(0)
    weight, x, y = torch.randn(3, 2, dtype=F64), torch.randn(4, 2, 5, dtype=F64), torch.randint(3, (4, 5))
    y[1, 2:], y[3, :] = -100, -100
    model = nn.Conv1d(2, 3, 1, bias=False, dtype=F64)
    model.weight.data.copy_(weight.unsqueeze(-1))
    objective = la.Objective(model, nn.CrossEntropyLoss(), (x, y), batch_size=3)
    names = ("error", "margin", "calibration_error", la.metrics.top_k_error(2))
    line = la.evaluate(objective, la.weight_plane(objective, ("weight", (0, 0, 0))), (0, 1), 2, names)
    logits = np.stack([(np.array([[line.alpha.values[1], weight[0, 1]], *weight[1:].tolist()]) @ s) for s in x.numpy()])
    flat, labels = logits.transpose(0, 2, 1).reshape(-1, 3)[y.numpy().ravel() >= 0], y.numpy().ravel()[y.numpy().ravel() >= 0]
    rows = np.arange(len(labels))
    assert float(line.error[1]) == pytest.approx((flat.argmax(1) != labels).mean(), abs=1e-15)
    assert float(line.top_2_error[1]) == pytest.approx((flat.argmin(1) == labels).mean(), abs=1e-15)
    others = np.where(np.arange(3) == labels[:, None], -np.inf, flat).max(1)
    np.testing.assert_allclose(float(line.margin[1]), (flat[rows, labels] - others).mean(), rtol=1e-12)


@pytest.mark.parametrize("names", ["kl", "disagreement", "error", "margin", "top_5_error", "calibration_error", "perplexity"])
def test_a_regression_has_none_of_them(names: str) -> None:
    objective = la.Objective(nn.Linear(2, 3), F.mse_loss, (torch.zeros(4, 2), torch.ones(4, 3) * 2.5))
    with pytest.raises(la.InputError) as error:
        la.evaluate(objective, la.random_plane(objective), metrics=names)
    assert names in str(error.value) and error.value.argument == "metrics"


def test_nan_outputs_have_no_value() -> None:
    x = X.clone()
    x[3] = torch.nan
    objective = la.Objective(NET, F.cross_entropy, (x, Y))
    surface = la.evaluate(objective, PLANE, (-1, 1), 2, ("error", "top_5_error", "disagreement", "calibration_error", "margin", "kl"))
    for name in ("error", "top_5_error", "disagreement", "calibration_error", "kl"):
        assert np.isnan(surface[name]).all(), name


@pytest.mark.slow
def test_a_surface_of_them_is_continued_and_another_reference_is_another_metric(tmp_path: Path) -> None:
    def stop(*_: Any) -> None:
        raise KeyboardInterrupt

    options: dict[str, Any] = {"resolution": SHAPE, "archive": tmp_path / "a.zarr"}
    with pytest.raises(KeyboardInterrupt):
        la.evaluate(OBJECTIVE, PLANE, metrics=NAMES, on_tile=stop, engine=la.Engine(tile=5, evaluator="loop"), **options)
    surface = la.evaluate(OBJECTIVE, PLANE, metrics=NAMES, engine=la.Engine(evaluator="loop"), **options)
    whole = la.evaluate(OBJECTIVE, PLANE, resolution=SHAPE, metrics=NAMES, engine=la.Engine(evaluator="loop"))
    for name in whole.data_vars:
        np.testing.assert_array_equal(surface[name], whole[name])
    reread = la.open_archive(tmp_path / "a.zarr").surface()
    np.testing.assert_array_equal(reread.weight_norm, whole.weight_norm)
    with pytest.raises(la.ArchiveError, match="code of its metric kl changed"):
        others = [la.metrics.kl(ref=network(3)) if name == "kl" else name for name in NAMES]
        la.evaluate(OBJECTIVE, PLANE, metrics=others, **options)


@pytest.mark.parametrize(
    ("make", "argument"), [(lambda: la.metrics.top_k_error(0), "k"), (lambda: la.metrics.calibration_error(0), "bins")]
)
def test_wrong_options_are_refused_by_name(make: Any, argument: str) -> None:
    with pytest.raises(la.InputError) as error:
        make()
    assert error.value.argument == argument


@pytest.mark.parametrize("name", ["perplexity", "calibration_error", "weight_norm"])
def test_what_is_no_mean_over_samples_is_not_estimated_from_some_of_them(name: str) -> None:
    options: dict[str, Any] = {"resolution": (9, 9), "metrics": ("loss", name), "tol": 0.1}
    with pytest.raises(la.InputError, match=f"{name}, which is no mean over samples"):
        la.evaluate(OBJECTIVE, PLANE, engine=la.Engine(sampling="multilevel"), **options)
    assert la.evaluate(OBJECTIVE, PLANE, **options).done.any()
