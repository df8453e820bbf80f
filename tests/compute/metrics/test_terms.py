"""Terms of a loss that returns a mapping: stored, weighted, and checked to add up at every cell."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import lossatlas as la

F64 = torch.float64
X = torch.randn(13, 2, dtype=F64, generator=torch.Generator().manual_seed(0))
Y = torch.arange(13) % 3
SHAPE = (3, 4)


def network() -> nn.Module:
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Linear(4, 3)).double()


def per_sample(output: Tensor, target: Tensor) -> dict[str, Tensor]:
    data, confidence = F.cross_entropy(output, target, reduction="none"), -output.logsumexp(1)
    return {"loss": data + 0.25 * confidence, "data": data, "confidence": confidence}


def of_batch(output: Tensor, target: Tensor) -> dict[str, Tensor]:
    return {name: value.mean() for name, value in per_sample(output, target).items()}


def surface_of(loss: Any, dtype: torch.dtype | None = None, weight: float = 0.25, **options: Any) -> tuple[Any, la.Objective, la.Plane]:
    objective = la.Objective(network(), loss, (X, Y), batch_size=5, dtype=dtype, units="nats", term_weights={"confidence": weight})
    plane = la.random_plane(objective, seed=2, params="2")
    return la.evaluate(objective, plane, (-1, 1), SHAPE, **options), objective, plane


ENGINES = [{"evaluator": "loop"}, {"evaluator": "vmap", "chunk": 5}, {"evaluator": "affine"}, {}]


@pytest.mark.parametrize("loss", [per_sample, of_batch])
@pytest.mark.parametrize("options", ENGINES, ids=str)
def test_every_evaluator_gives_the_terms_and_they_add_up(loss: Any, options: dict[str, Any]) -> None:
    surface, _, plane = surface_of(loss, engine=la.Engine(**options))
    total = surface.term_data + surface.term_confidence
    np.testing.assert_allclose(surface.loss, total, rtol=0, atol=1e-12)
    truth = np.empty((2, *SHAPE))
    for i, a in enumerate(surface.alpha.values):
        for j, b in enumerate(surface.beta.values):
            p = {name: value.numpy() for name, value in plane.point(a, b).items()}
            z = np.tanh(X.numpy() @ p["0.weight"].T + p["0.bias"]) @ p["2.weight"].T + p["2.bias"]
            largest = np.log(np.exp(z).sum(1))
            truth[:, i, j] = (largest - z[np.arange(13), Y.numpy()]).mean(), -0.25 * largest.mean()
    np.testing.assert_allclose(surface.term_data, truth[0], rtol=1e-10)
    np.testing.assert_allclose(surface.term_confidence, truth[1], rtol=1e-10)
    assert (surface.term_confidence < 0).any() and surface.term_confidence.attrs["long_name"] == "confidence term x 0.25"
    assert surface.term_data.attrs["units"] == "nats" and surface.attrs["objective"]["terms"] == {"data": 1.0, "confidence": 0.25}
    assert surface.attrs["metrics"] == ["loss", "term_data", "term_confidence"] and "terms_differ" not in surface.attrs
    assert np.isfinite(surface.term_data_standard_error).all() == (loss is per_sample)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_a_wrong_weight_is_warned_of_once_with_the_cell(dtype: torch.dtype) -> None:
    with pytest.warns(UserWarning, match=r"do not add up: at \(-1, -1\) the loss is .* \(term_data\) .*term_weights") as caught:
        surface, *_ = surface_of(per_sample, dtype, weight=0.26)
    assert len(caught) == 1 and surface.attrs["terms_differ"] == 12


@pytest.mark.parametrize(("dtype", "share"), [(torch.float64, 1e-12), (torch.float32, 1e-5)], ids=str)
def test_the_tolerance_is_a_share_of_the_sum_of_absolute_terms(dtype: torch.dtype, share: float) -> None:
    """Two terms of 1e3 and -1e3 leave room for `share` times 2e3, and no more."""

    def loss(params: dict[str, Tensor], _: Any) -> dict[str, Tensor]:
        up, down = 1e3 + 0 * params["w"][0], -1e3 + 0 * params["w"][0]
        return {"loss": (up + down) + params["w"][0] * 2e3 * share, "up": up, "down": down}

    objective = la.Objective(loss, params={"w": torch.zeros(1, dtype=dtype)})
    line = la.weight_plane(objective, ("w", 0))
    assert "terms_differ" not in la.evaluate(objective, line, (-0.8, 0.8), 3).attrs
    with pytest.warns(UserWarning, match="do not add up"):
        assert la.evaluate(objective, line, (-1.3, 1.3), 3).attrs["terms_differ"] == 2


@pytest.mark.slow
def test_a_callable_with_terms_is_continued_drawn_and_interpolated(tmp_path: Path) -> None:
    def energy(params: dict[str, Tensor], _: Any) -> dict[str, Tensor]:
        inside, boundary = (params["w"] ** 2).sum(), (params["w"][0] - 1) ** 2
        return {"loss": inside + 10 * boundary, "inside": inside, "boundary": boundary}

    objective = la.Objective(energy, params={"w": torch.zeros(2, dtype=F64)}, term_weights={"boundary": 10})
    plane = la.weight_plane(objective, ("w", 0), ("w", 1))

    def stop(*_: Any) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        la.evaluate(objective, plane, resolution=SHAPE, archive=tmp_path / "a.zarr", on_tile=stop, engine=la.Engine(tile=5))
    surface = la.evaluate(objective, plane, resolution=SHAPE, archive=tmp_path / "a.zarr")
    np.testing.assert_allclose(surface.term_boundary, np.broadcast_to(10 * (surface.alpha.values[:, None] - 1) ** 2, SHAPE), rtol=1e-12)
    np.testing.assert_array_equal(la.open_archive(tmp_path / "a.zarr").surface().term_inside, surface.term_inside)
    a, b = {"w": torch.zeros(2, dtype=F64)}, {"w": torch.ones(2, dtype=F64)}
    line = la.barrier(objective, a, b, 3)
    np.testing.assert_allclose(line.term_boundary, 10 * (line.alpha.values - 1) ** 2, rtol=1e-12)
    assert set(line.attrs["barrier"]) >= {"loss", "term_inside", "term_boundary"}
    operator = la.hessian_operator(objective)
    np.testing.assert_allclose(operator @ np.eye(2), np.diag([22.0, 2.0]), rtol=1e-12)


def test_curvature_and_training_take_the_loss_of_a_mapping() -> None:
    objective = la.Objective(network(), of_batch, (X, Y), term_weights={"confidence": 0.25})
    plain = la.Objective(network(), lambda output, target: of_batch(output, target)["loss"], (X, Y))
    assert objective.loss() == plain.loss()
    vector = np.random.default_rng(0).normal(size=la.hessian_operator(plain).shape[0])
    for make in (la.hessian_operator, la.ggn_operator):
        np.testing.assert_allclose(make(objective) @ vector, make(plain) @ vector, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(
    ("result", "weights", "message"),
    [
        (lambda z: {"data": z.mean()}, None, 'loss: got a mapping of data; expected a mapping that holds "loss"'),
        (lambda z: {"loss": z.mean(), "a b": z.mean()}, None, "loss: got a term named 'a b'"),
        (lambda z: {"loss": z.mean(), "part": z[1:, 0]}, None, r"loss: got a term part of shape \(12,\)"),
        (lambda z: {"loss": z.mean(), "part": z.mean()}, {"parts": 2.0}, "term_weights: got parts; expected names out of part"),
        (lambda z: {"loss": z.mean(), "part": z.mean()}, {"part": float("nan")}, r"term_weights\['part'\]"),
        (lambda z: z.mean(), {"part": 2.0}, "term_weights: got part; expected no weights for a loss of one number"),
    ],
)
def test_what_is_no_loss_with_terms_is_refused(result: Any, weights: Any, message: str) -> None:
    with pytest.raises(la.InputError, match=message):
        la.Objective(network(), lambda output, target: result(output), (X, Y), term_weights=weights)


def test_names_of_terms_are_not_free_for_metrics() -> None:
    with pytest.raises(la.InputError, match="name"):
        la.Metric("term_data", lambda scores: scores.losses)
