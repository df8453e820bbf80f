"""Surfaces estimated from some of the samples: against the full computation, resumed, by every executor, refused where they must be."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr
from torch import nn
from torch.nn import functional as F

import lossatlas as la
from cases import case
from lossatlas.archive.sample_draws import SampleDraws
from lossatlas.compute.evaluation.evaluators import EvaluationProblem, EvaluatorSpec
from lossatlas.compute.evaluation.multilevel import samples_problem
from lossatlas.compute.metrics import metrics_named
from lossatlas.compute.objective.data.fixed_data import freeze_data
from lossatlas.compute.objective.data.sample_selection import take_samples
from lossatlas.errors import ArchiveError, InputError

SAMPLES = 3000
SHAPE = (13, 9)


def network(seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Linear(8, 3)).double()


def problem(samples: int = SAMPLES, **options: Any) -> tuple[la.Objective, la.Plane]:
    """Noisy labels of a linear teacher; BatchNorm with statistics of its own."""
    generator = torch.Generator().manual_seed(7)
    x = torch.randn(samples, 6, generator=generator, dtype=torch.float64)
    y = (x[:, :3] + 0.7 * torch.randn(samples, 3, generator=generator, dtype=torch.float64)).argmax(1)
    model = network()
    for _ in range(3):
        model(x)
    objective = la.Objective(model.eval(), F.cross_entropy, (x, y), **options)
    return objective, la.random_plane(objective, seed=3)


def run(objective: la.Objective, plane: la.Plane, tol: float | None = 0.05, archive: Any = None, **options: Any) -> xr.Dataset:
    engine = {"sampling": "multilevel", "executor": "serial", "evaluator": "loop"} | options.pop("engine", {})
    return la.evaluate(objective, plane, (-1, 1), SHAPE, ("loss", "accuracy"), archive, tol=tol, engine=la.Engine(**engine), **options)


@pytest.fixture(scope="module")
def full() -> xr.Dataset:
    return run(*problem(), tol=None)


def test_estimates_are_as_close_as_was_asked(full: xr.Dataset) -> None:
    """Within the tolerance of the loss; the accuracy within its own intervals; fewer evaluations than the full grid."""
    surface = run(*problem())
    off = np.abs(surface.loss_filled - full.loss)
    assert (off <= 0.05 * np.ptp(full.loss.values)).mean() >= 0.95
    assert (off <= 3 * surface.loss_filled_standard_error + 1e-12).mean() >= 0.97
    apart = np.abs(surface.accuracy_filled - full.accuracy)
    assert (apart <= 3 * surface.accuracy_filled_standard_error + 1e-12).mean() >= 0.97
    sampling = surface.attrs["sampling"]
    assert int(surface.samples_drawn.sum()) == sampling["drawn"] < 0.5 * SAMPLES * full.loss.size
    assert sampling["samples"] == SAMPLES and not surface.done.any() and np.isnan(surface.loss).all()
    assert 0 < surface.attrs["estimated_error"] < 0.1


@pytest.mark.slow
def test_seeds_repeat_and_differ() -> None:
    one, again, other = (run(*problem(), engine={"sampling_seed": seed}) for seed in (1, 1, 2))
    xr.testing.assert_identical(one.drop_attrs(), again.drop_attrs())
    assert (one.loss_filled != other.loss_filled).any()


@pytest.mark.slow
@pytest.mark.parametrize("tiles", [0, 5, 9])
def test_a_stopped_run_continues_to_the_same_values(tiles: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between and within the blocks of samples, with tiles of another size before and after."""
    whole = run(*problem())
    real, written, drawn = SampleDraws.write, [], list[int]()

    def stop(self: SampleDraws, *arguments: Any) -> None:
        if len(written) == tiles:
            raise KeyboardInterrupt
        written.append(0)
        real(self, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(SampleDraws, "write", stop)
        with pytest.raises(KeyboardInterrupt):
            run(*problem(), archive=tmp_path / "a.zarr", engine={"tile": 29})
    monkeypatch.setattr(SampleDraws, "write", lambda *arguments: (drawn.append(arguments[3]["loss"].size), real(*arguments))[1])
    rest = run(*problem(), archive=tmp_path / "a.zarr", engine={"tile": 41})
    assert sum(drawn) + 29 * 32 * min(tiles, 4) <= int(whole.samples_drawn.sum())
    xr.testing.assert_identical(whole.drop_attrs(), rest.drop_attrs())
    assert la.open_archive(tmp_path / "a.zarr").surface().attrs["sampling"] == whole.attrs["sampling"]


@pytest.mark.slow
@pytest.mark.parametrize("where", ["memory", pytest.param("disk", marks=pytest.mark.slow)])
def test_what_was_drawn_is_not_drawn_again(where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tighter tolerance adds to what is there, for as long as an archive in memory lives; the same one draws nothing."""
    archive = la.open_archive(None, "a") if where == "memory" else tmp_path / "a.zarr"
    first = run(*problem(), archive=archive, tol=0.1)
    drawn: list[int] = []
    real = SampleDraws.write
    monkeypatch.setattr(SampleDraws, "write", lambda s, b, c, v: (drawn.append(v["loss"].size), real(s, b, c, v))[1])
    second = run(*problem(), archive=archive, tol=0.04)
    added = np.maximum(second.samples_drawn - first.samples_drawn, 0)
    assert sum(drawn) == int(added.sum()) > 0
    drawn.clear()
    third = run(*problem(), archive=archive, tol=0.04)
    assert not drawn
    fresh = run(*problem(), tol=0.04)
    for surface in (second, third):
        np.testing.assert_array_equal(surface.loss_filled, fresh.loss_filled)
    run(*problem(), archive=archive, tol=0.1, overwrite=True)
    drawn.clear()
    run(*problem(), archive=archive, tol=0.1, engine={"sampling_seed": 4})
    assert sum(drawn) > 0, "another order of the samples begins anew"


@pytest.mark.slow
def test_the_full_grid_follows_and_takes_the_place_of_the_estimate(full: xr.Dataset, tmp_path: Path) -> None:
    run(*problem(), archive=tmp_path / "a.zarr")
    whole = run(*problem(), archive=tmp_path / "a.zarr", tol=None)
    np.testing.assert_array_equal(whole.loss, full.loss)
    assert whole.done.all() and "loss_filled" not in whole and "samples_drawn" not in whole and whole.attrs["sampling"] == {}
    assert not (tmp_path / "a.zarr" / "draws" / "surface").exists()


@pytest.mark.slow
@pytest.mark.parametrize("executor", ["threads", "processes"])
def test_executors_agree(executor: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """To the last bit with the loop; worker processes start once for all blocks of samples, and leave no file behind."""
    processes = sys.modules["lossatlas.compute.evaluation.executors.processes"]  # the package shows the function of that name
    real, pools = processes._pool, []
    monkeypatch.setattr(processes, "_pool", lambda *arguments: pools.append(real(*arguments)) or pools[-1])
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    serial = run(*problem(800), tol=0.1)
    other = run(*problem(800), tol=0.1, engine={"executor": executor, "workers": 2})
    assert len(np.unique(serial.samples_drawn)) >= 3, "several blocks"
    assert len(pools) == (executor == "processes") and not list(tmp_path.glob("lossatlas-*"))
    for name in ("loss_filled", "loss_filled_standard_error", "accuracy_filled", "samples_drawn"):
        np.testing.assert_array_equal(serial[name], other[name])


@pytest.mark.slow
@pytest.mark.parametrize("batch_size", [7, 256, 3000])
def test_batches_change_nothing_beyond_rounding(batch_size: int) -> None:
    """Sums over samples of another grouping: 1e-12 relative in float64."""
    one, other = run(*problem()), run(*problem(batch_size=batch_size), engine={"tile": 17})
    np.testing.assert_array_equal(one.samples_drawn, other.samples_drawn)
    np.testing.assert_allclose(one.loss_filled, other.loss_filled, rtol=1e-12)
    np.testing.assert_allclose(one.loss_filled_standard_error, other.loss_filled_standard_error, rtol=1e-9, atol=1e-15)


@pytest.mark.slow
def test_the_vectorized_evaluator_agrees() -> None:
    loop, vmap = run(*problem()), run(*problem(), engine={"evaluator": "vmap"})
    np.testing.assert_allclose(loop.loss_filled, vmap.loss_filled, rtol=1e-10)


@pytest.mark.slow
def test_another_model_is_refused_and_replaced_on_demand(tmp_path: Path) -> None:
    """The same weights with another loss setting, which no hash of the weights or the data tells."""
    objective, plane = problem()
    run(objective, plane, archive=tmp_path / "a.zarr")
    sharp = la.Objective(
        objective.module, lambda o, t: F.cross_entropy(o, t, label_smoothing=0.3, reduction="none"), objective.original_data
    )
    with pytest.raises(ArchiveError, match="another"):
        run(sharp, plane, archive=tmp_path / "a.zarr")
    replaced = run(sharp, plane, archive=tmp_path / "a.zarr", overwrite=True)
    assert (replaced.samples_drawn > 0).all()


@pytest.mark.slow
def test_a_damaged_block_is_drawn_again(tmp_path: Path) -> None:
    whole = run(*problem(), archive=tmp_path / "a.zarr")
    chunk = next(p for p in sorted((tmp_path / "a.zarr/draws/surface/2/loss/c").rglob("*")) if p.is_file())
    chunk.write_bytes(bytes(len(chunk.read_bytes())))
    again = run(*problem(), archive=tmp_path / "a.zarr")
    np.testing.assert_array_equal(whole.loss_filled, again.loss_filled)


@pytest.mark.slow
def test_auto_samples_where_it_is_cheaper_and_not_elsewhere() -> None:
    """Many samples at a loose tolerance; few samples; a tolerance that asks for nearly all of them."""
    many, few = problem(20_000), problem(200)
    assert "sampling" in run(*many, tol=0.1, engine={"sampling": "auto", "evaluator": "auto"}).attrs
    assert "sampling" not in run(*few, engine={"sampling": "auto"}).attrs
    strict = run(*problem(1000), tol=1e-4, engine={"sampling": "auto"})
    assert "sampling" not in strict.attrs and strict.done.all()


@pytest.mark.slow
def test_computed_cells_stay_as_they_are_and_interpolation_takes_estimates_back(full: xr.Dataset) -> None:
    """Coarse to fine, then samples, then coarse to fine again, on one surface: each cell says truly where its value comes from."""
    archive, coarse = la.open_archive(None, "a"), {"sampling": "all"}
    first = run(*problem(), tol=0.5, archive=archive, engine=coarse)
    computed = first.done.values
    assert 0 < computed.sum() < computed.size
    second = run(*problem(), archive=archive)
    np.testing.assert_array_equal(second.done, computed)
    np.testing.assert_array_equal(second.loss_filled.values[computed], full.loss.values[computed])
    assert (second.loss_filled_standard_error.values[computed] == 0).all()
    assert (second.loss_filled_standard_error.values[~computed] > 0).all() and (second.samples_drawn >= 64).all()
    third = run(*problem(), tol=0.5, archive=archive, engine=coarse)
    np.testing.assert_array_equal(third.loss_filled, first.loss_filled)
    assert not {"loss_filled_standard_error", "accuracy_filled_standard_error", "samples_drawn"} & set(third)
    assert not third.attrs["sampling"]


@pytest.mark.slow
def test_bfloat16_is_sampled_as_it_is_computed() -> None:
    """Estimates of the surface that bfloat16 gives, which is not the one of full precision."""
    settings = ((None, "bf16"), (0.05, "bf16"), (None, "full"))
    whole, some, exact = (run(*problem(dtype=torch.float32), tol=tol, engine={"precision": precision}) for tol, precision in settings)
    assert (np.abs(some.loss_filled - whole.loss) <= 3 * some.loss_filled_standard_error + 1e-6).mean() >= 0.95
    assert (whole.loss != exact.loss).any() and (some.loss_filled - whole.loss).std() < 0.05 * np.ptp(whole.loss.values)


@pytest.mark.parametrize("layout", ["channels_last", "folded", "features_first"])
def test_blocks_of_samples_may_be_laid_out_as_whole_data(layout: Any) -> None:
    """Every sample's loss at some points, by the plain loop and with images and filters of another layout."""
    objective = case("relu" if layout == "features_first" else "conv-batchnorm")
    plane, samples = la.random_plane(objective, seed=2), np.arange(0, objective.samples, 3)
    task = EvaluationProblem.make(objective, plane, metrics_named("loss"))
    block = samples_problem(task, samples)
    points = np.random.default_rng(0).uniform(-1, 1, (5, 2))
    plain, other = (EvaluatorSpec(layout=kind).unchecked(block)(points).values["loss"] for kind in ("given", layout))
    assert plain.shape == (5, len(samples))
    np.testing.assert_allclose(other, plain, rtol=1e-9)


def dependent() -> la.Objective:
    return problem(mode="batch")[0]


def only_a_mean() -> la.Objective:
    objective, _ = problem()
    return la.Objective(objective.module, lambda o, t: F.cross_entropy(o, t) + o.mean() ** 2, objective.original_data)


@pytest.mark.filterwarnings("ignore:The loss depends on which samples")
@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (dependent, "mode batch"),
        (only_a_mean, "only a mean"),
        (lambda: problem(50)[0], "50 samples"),
    ],
)
def test_what_cannot_be_sampled_is_refused_with_the_reason(make: Any, reason: str) -> None:
    objective = make()
    with pytest.raises(InputError, match=reason):
        la.evaluate(objective, la.random_plane(objective, seed=3), resolution=SHAPE, tol=0.05, engine=la.Engine(sampling="multilevel"))


def test_lines_are_sampled_too() -> None:
    objective, plane = problem()
    line = la.Plane.from_directions(objective, plane.directions[0].params)
    whole = la.evaluate(objective, line, (-1, 1), 33)
    some = la.evaluate(objective, line, (-1, 1), 33, tol=0.05, engine=la.Engine(sampling="multilevel"))
    assert (np.abs(some.loss_filled - whole.loss) <= 0.05 * np.ptp(whole.loss.values)).mean() >= 0.9


def test_samples_are_taken_from_batches_of_any_kind() -> None:
    """Tuples and dicts over ragged batches, sequences of other lengths apart, tensors that are no samples as they are."""
    x, y = torch.arange(23.0).unsqueeze(1), torch.arange(23)
    data = freeze_data((x, y), batch_size=5)
    taken = take_samples(data, np.array([0, 3, 7, 19, 22]))
    assert torch.cat([b[1] for b in taken.batches]).tolist() == [0, 3, 7, 19, 22]
    assert max(taken.counts) <= 5
    ragged = freeze_data([{"ids": torch.arange(8).reshape(2, 4)}, {"ids": torch.arange(9).reshape(3, 3)}])
    parts = take_samples(ragged, np.array([1, 2, 4]))
    assert [b["ids"].tolist() for b in parts.batches] == [[[4, 5, 6, 7]], [[0, 1, 2], [6, 7, 8]]]
    assert take_samples(data, np.array([4])).counts == (1,)
