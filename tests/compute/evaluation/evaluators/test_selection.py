"""A fast evaluator is trusted only after it agreed with the loop, and never with the model's own cell."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

import lossatlas as la
from cases import CASES, case
from lossatlas.analysis.grid import Grid
from lossatlas.compute.evaluation import evaluate as evaluate_module
from lossatlas.compute.evaluation.evaluate import _probes
from lossatlas.compute.evaluation.evaluators import EvaluationProblem, EvaluatorSpec, Loop, TileValues, select_evaluator, selection
from lossatlas.compute.evaluation.evaluators.agreement import SpotCheck
from lossatlas.compute.evaluation.evaluators.vmap import Vmap
from lossatlas.compute.metrics import metrics_named
from lossatlas.errors import InputError

PROBES = np.array([[-1.0, -0.5], [0.3, 0.7]])


def task_of(name: str) -> EvaluationProblem:
    objective = case(name)
    return EvaluationProblem.make(objective, la.random_plane(objective, seed=1, biases=True), metrics_named("loss"))


def test_a_short_job_is_the_loops() -> None:
    assert select_evaluator(task_of("relu"), PROBES, cells=3).evaluator == "loop"


@pytest.mark.parametrize("name", CASES)
def test_a_long_job_gives_the_loops_values_whatever_was_chosen(name: str) -> None:
    task = task_of(name)
    choice = select_evaluator(task, PROBES, cells=10**6)
    points = np.random.default_rng(2).uniform(-1, 1, (21, 2))
    found = choice.create(task)(points).values["loss"]
    np.testing.assert_allclose(found, Loop(task)(points).values["loss"], rtol=1e-10)


def test_small_networks_are_taken_together() -> None:
    assert select_evaluator(task_of("relu"), PROBES, cells=10**6).evaluator == "vmap"


def test_control_flow_on_values_falls_back_with_a_reason(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", logger="lossatlas"):
        choice = select_evaluator(task_of("branching"), PROBES, cells=10**6)
    assert choice.evaluator == "loop" and any("vmap" in reason for reason in choice.reasons)
    assert "vmap" in caplog.text


def test_an_evaluator_that_disagrees_is_never_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = Vmap.__call__

    def lying(self: Vmap, points: np.ndarray) -> object:
        found = honest(self, points)
        found.values["loss"][:] *= 1.001
        return found

    monkeypatch.setattr(Vmap, "__call__", lying)
    # On a busy machine a batch takes longer than where vmap is worth a try.
    monkeypatch.setattr("lossatlas.compute.evaluation.evaluators.selection.VMAP_SECONDS", 10.0)
    choice = select_evaluator(task_of("relu"), PROBES, cells=10**6)
    assert choice.evaluator == "loop" and "is not the loop's" in choice.reasons[0]


def test_the_models_own_cell_is_the_loops_to_the_last_bit() -> None:
    objective = case("tutorial")
    plane = la.weight_plane(objective, ("c.weight", (1, 2)), ("c.weight", (1, 3)))
    assert plane.origin is not None
    points = np.array([[0.0, 0.0], plane.origin, [1.0, 2.0]])
    for name in ("vmap", "affine"):
        found = EvaluatorSpec(name, 2).create(EvaluationProblem.make(objective, plane, metrics_named("loss")))(points).values["loss"]
        assert found[1] == objective.loss()


def test_a_named_evaluator_that_cannot_is_an_error_that_helps() -> None:
    with pytest.raises(InputError, match="evaluator: got vmap, which cannot"):
        select_evaluator(task_of("branching"), PROBES, cells=5, named="vmap")
    with pytest.raises(InputError, match="auto, loop"):
        select_evaluator(task_of("relu"), PROBES, cells=5, named="fast")
    with pytest.raises(InputError, match="chunk"):
        la.Engine(evaluator="vmap", chunk=0)


def test_points_where_the_fast_one_refuses_are_done_by_the_loop() -> None:
    task = task_of("branching")
    np.testing.assert_array_equal(EvaluatorSpec("vmap", 2).create(task)(PROBES).values["loss"], Loop(task)(PROBES).values["loss"])


def test_dropout_in_train_mode_is_not_batched() -> None:
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Dropout(0.5), torch.nn.Linear(4, 1))
    objective = la.Objective(model, torch.nn.functional.mse_loss, (torch.randn(5, 3), torch.randn(5, 1)), mode="train")
    choice = select_evaluator(EvaluationProblem.make(objective, la.random_plane(objective), metrics_named("loss")), PROBES, cells=10**6)
    assert choice.evaluator == "loop"


def test_out_of_memory_halves_the_chunk_and_goes_on(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    honest, sizes = Vmap.__call__, list[int]()

    def greedy(self: Vmap, points: np.ndarray) -> object:
        sizes.append(self.chunk)
        if self.chunk > 5:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9 GiB")
        return honest(self, points)

    monkeypatch.setattr(Vmap, "__call__", greedy)
    task = task_of("relu")
    found = EvaluatorSpec("vmap", 16).create(task)(PROBES).values["loss"]
    assert sizes == [16, 8, 4] and "4 points at a time" in caplog.text
    np.testing.assert_allclose(found, Loop(task)(PROBES).values["loss"], rtol=1e-12)


def test_channels_last_is_another_layout_of_the_same_values() -> None:
    task = task_of("conv-batchnorm")
    assert task.has_images() and not task_of("relu").has_images()
    found = EvaluatorSpec(layout="channels_last").create(task)(PROBES).values["loss"]
    np.testing.assert_allclose(found, Loop(task)(PROBES).values["loss"], rtol=1e-12)


def test_bf16_is_named_and_close_and_does_not_continue_a_full_surface() -> None:
    objective = la.Objective(torch.nn.Linear(4, 3), torch.nn.functional.cross_entropy, (torch.randn(8, 4), torch.arange(8) % 3))
    plane, archive = la.random_plane(objective), la.open_archive(None, "a")
    full = la.evaluate(objective, plane, resolution=4, archive=archive)
    low = la.evaluate(objective, plane, resolution=4, engine=la.Engine(precision="bf16"))
    assert low.attrs["objective"]["precision"] == "bf16" and "precision" not in full.attrs["objective"]
    assert 0 < np.abs(low.loss - full.loss).max() < 0.03 * np.abs(full.loss).max()
    with pytest.raises(la.ArchiveError, match="precision"):
        la.evaluate(objective, plane, resolution=4, archive=archive, engine=la.Engine(precision="bf16"))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # torch.compile warns of its own deprecations
def test_compiled_gives_the_same_values_or_is_refused() -> None:
    """On some processors with `ATEN_CPU_CAPABILITY=default` a compiled network gave NaN where the loop gives 1.18."""
    task = task_of("relu")
    for choice in (EvaluatorSpec(compiled=True), EvaluatorSpec("vmap", 4, compiled=True)):
        try:
            found = choice.create(task)(PROBES).values["loss"]
        except InputError as error:
            assert "is not the loop's" in str(error)
        else:
            np.testing.assert_allclose(found, Loop(task)(PROBES).values["loss"], rtol=1e-10)


def refuses(choice: EvaluatorSpec, wrong: Callable[[np.ndarray], np.ndarray], monkeypatch: pytest.MonkeyPatch, tile: int) -> str:
    """What is said, if anything, of a compiled evaluator that gives `wrong` of the losses; nothing is compiled here."""
    kind = Vmap if choice.evaluator == "vmap" else Loop
    honest = kind.__call__

    def compiled(self: Any, points: np.ndarray) -> TileValues:
        found = honest(replace(self, compiled=False), points)
        if self.compiled:
            found.values["loss"][:] = np.where(wrong(points), np.nan, found.values["loss"])
        return found

    objective = case("relu")
    plane = la.random_plane(objective, seed=1, biases=True)
    with monkeypatch.context() as patched:
        patched.setattr(kind, "__call__", compiled)
        patched.setattr(evaluate_module, "select_evaluator", lambda *_, **__: choice)
        try:
            found = la.evaluate(objective, plane, resolution=(9, 7), engine=la.Engine(tile=tile))
        except InputError as error:
            return str(error)
    np.testing.assert_allclose(
        found.loss, la.evaluate(objective, plane, resolution=(9, 7), engine=la.Engine(evaluator="loop")).loss, rtol=1e-10
    )
    return ""


@pytest.mark.parametrize("choice", [EvaluatorSpec(compiled=True), EvaluatorSpec("vmap", 4, compiled=True)], ids=["loop", "vmap"])
@pytest.mark.parametrize("tile", [1, 8, 63])
def test_compiled_values_are_checked_in_every_tile(choice: EvaluatorSpec, tile: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A NaN at one late cell is found and refused; where nothing is wrong nothing is said, also of a NaN that is the model's own."""
    assert refuses(choice, lambda points: np.zeros(len(points), bool), monkeypatch, tile) == ""
    said = refuses(choice, lambda points: (points == [0.5, -1 / 3]).all(1), monkeypatch, tile)
    assert "compile: got True, and at (0.5, -0.3333) its loss [nan] is not the loop's" in said and "overwrite=True" in said


@pytest.mark.parametrize("tile", [1, 5, 40, 160])
def test_a_compiler_that_goes_wrong_later_is_found(tile: int) -> None:
    """Finite values that are wrong from some cell on are found within sixteen cells, and nothing else is refused."""
    task = task_of("relu")
    check, points = SpotCheck(Loop(task)), np.random.default_rng(0).uniform(-1, 1, (320, 2))
    right = Loop(task)(points)
    for start in range(0, 160, tile):
        check(points[start : start + tile], TileValues({n: v[start : start + tile] for n, v in right.values.items()}))
    with pytest.raises(InputError, match=r"its loss .* is not the loop's"):
        for start in range(160, 160 + max(tile, 16), tile):
            check(points[start : start + tile], TileValues({n: 1.001 * v[start : start + tile] for n, v in right.values.items()}))


def test_a_models_own_nan_is_not_refused() -> None:
    objective = la.Objective(lambda p, _: p["w"].log().sum(), params={"w": torch.tensor([1.0, 2.0])})
    task = EvaluationProblem.make(objective, la.Plane.from_directions(objective, {"w": torch.tensor([2.0, 1.0])}), metrics_named("loss"))
    points = np.linspace(-1, 1, 5)[:, None]
    found = Loop(task)(points)
    assert np.isnan(found.values["loss"]).any()
    SpotCheck(Loop(task))(points, found)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # torch.compile warns of its own deprecations
def test_compile_takes_wrong_probes_for_a_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wrong at one corner of the plane alone: the candidate is refused before anything is measured, and the run goes on without."""
    honest = Loop.__call__

    def compiled(self: Loop, points: np.ndarray) -> TileValues:
        found = honest(replace(self, compiled=False), points)
        if self.compiled:
            found.values["loss"][(points == [1.0, -1.0]).all(1)] = np.nan
        return found

    monkeypatch.setattr(Loop, "__call__", compiled)
    objective = case("relu")
    plane = la.random_plane(objective, seed=1, biases=True)
    choice = select_evaluator(
        EvaluationProblem.make(objective, plane, metrics_named("loss")), _probes(Grid.make((-1, 1), (5, 4), 2), True), 20, compiled=True
    )
    assert (choice.evaluator, choice.compiled) != ("loop", True) and any("nan" in reason for reason in choice.reasons)


def chain(samples: int) -> la.Objective:
    """A network of two linear layers, of which the first holds nine tenths of the weights."""
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(200, 20), torch.nn.Tanh(), torch.nn.Linear(20, 10))
    return la.Objective(model, torch.nn.functional.cross_entropy, (torch.randn(samples, 200), torch.arange(samples) % 10))


@pytest.mark.parametrize(
    ("samples", "cells", "names", "expected"),
    [
        (64, 1, None, ("loop", "given")),
        (64, 4000, None, ("loop", "features_first")),
        (64, 4000, ("2.weight",), ("affine", "given")),
        (64, 4000, ("0.weight",), ("loop", "features_first")),
    ],
)
def test_a_short_job_takes_what_suits_its_sizes(
    samples: int, cells: int, names: tuple[str, ...] | None, expected: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By sizes alone: a clock would choose otherwise on a busy machine."""
    monkeypatch.setattr(selection, "MIN_PROBED_SECONDS", float("inf"))
    objective = chain(samples)
    d = {n: torch.randn(p.shape) * 0.1 for n, p in objective.params.items() if names is None or n in names}
    task = EvaluationProblem.make(objective, la.Plane.from_directions(objective, d), metrics_named("loss"))
    choice = select_evaluator(task, PROBES[:, :1], cells)
    assert (choice.evaluator, choice.layout) == expected
    points = np.linspace(-1, 1, 7)[:, None]
    np.testing.assert_allclose(choice.create(task)(points).values["loss"], Loop(task)(points).values["loss"], rtol=1e-5)


def test_what_suits_the_sizes_must_agree_with_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selection, "MIN_PROBED_SECONDS", float("inf"))
    monkeypatch.setattr(selection, "disagreement", lambda *_: "its loss is another")
    objective = chain(64)
    task = EvaluationProblem.make(objective, la.random_plane(objective, seed=0), metrics_named("loss"))
    assert select_evaluator(task, PROBES, 4000).is_reference


def test_several_planes_together_are_worth_a_probe(monkeypatch: pytest.MonkeyPatch) -> None:
    """Jobs of a second in all, of which each alone is too short."""
    searched: list[int] = []
    monkeypatch.setattr(selection, "_search_fastest", lambda probe, loop, *_: searched.append(probe.cells) or loop)
    monkeypatch.setattr(
        selection.Probe, "of", lambda task, points, cells: selection.Probe(task, points, TileValues({}), 1e-3, cells, 1.0, 0)
    )
    select_evaluator(task_of("relu"), PROBES, cells=20)
    with selection.planes_to_come(50):
        select_evaluator(task_of("relu"), PROBES, cells=20)
    assert searched == [1000]


def test_points_that_fail_leave_the_others_alone() -> None:
    """Sums are taken of many points together: a point whose first batch raises has no say in its neighbors' standard errors."""

    def raises_once(params: la.Params, batch: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        if float(params["w"]) == 1.0 and float(batch[0][0]) == 0.0:
            raise RuntimeError("no value here")
        return params["w"] * batch[0] + batch[1]

    x = torch.arange(12.0, dtype=torch.float64)
    objective = la.Objective(raises_once, data=(x, x**2), params={"w": torch.zeros((), dtype=torch.float64)}, batch_size=4)
    task = EvaluationProblem.make(objective, la.weight_plane(objective, ("w", ())), metrics_named("loss"))
    points = np.array([[1.0], [2.0], [3.0], [1.0], [4.0]])
    result = Loop(task)(points)
    assert set(result.failures) == {0, 3}
    expected = points * x.numpy() + x.numpy() ** 2
    expected[[0, 3]] = np.nan
    np.testing.assert_allclose(result.values["loss"], expected.mean(1), rtol=1e-14)
    np.testing.assert_allclose(result.values["loss_standard_error"], expected.std(1, ddof=1) / 12**0.5, rtol=1e-12)


def test_values_that_the_loss_overwrites_are_those_of_their_point() -> None:
    """A loss that returns one buffer again and again."""
    buffer = torch.zeros(5, dtype=torch.float64)
    x = torch.arange(5.0, dtype=torch.float64)
    function = lambda p, batch: buffer.copy_(p["w"] * batch)  # noqa: E731
    objective = la.Objective(function, data=x, params={"w": torch.ones((), dtype=torch.float64)})
    task = EvaluationProblem.make(objective, la.weight_plane(objective, ("w", ())), metrics_named("loss"))
    values = Loop(task)(np.arange(6.0)[:, None]).values["loss"]
    np.testing.assert_allclose(values, np.arange(6.0) * 2.0, rtol=1e-14)


def wide(samples: int = 512) -> la.Objective:
    """A network whose largest activation is cut to pieces of 64 samples."""
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(3, 8192), torch.nn.Tanh(), torch.nn.Linear(8192, 4))
    return la.Objective(model, torch.nn.functional.cross_entropy, (torch.randn(samples, 3), torch.arange(samples) % 4), batch_size=samples)


@pytest.mark.slow
@pytest.mark.parametrize(("best", "expected"), [(64, None), (256, 256), (512, 512)])
def test_micro_batches_are_as_large_as_is_fastest_here(best: int, expected: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a clock that goes slower for one size."""
    seconds, honest = [0.0], Loop.__call__

    def timed(self: Loop, points: np.ndarray) -> TileValues:
        counts = self.task.objective.data.counts
        seconds[0] += len(points) * sum(counts) * (1.0 if max(counts) == best else 2.0)
        return honest(self, points)

    monkeypatch.setattr(Loop, "__call__", timed)
    monkeypatch.setattr(selection, "_clock", lambda: seconds[0])
    monkeypatch.setattr(selection, "_candidates", lambda *_: iter(()))
    objective = wide()
    task = EvaluationProblem.make(objective, la.random_plane(objective, seed=0), metrics_named("loss"))
    assert max(objective.data.counts) == 64 and task.larger_batches == (256, 512)
    choice = select_evaluator(task, PROBES, cells=10**4)
    assert choice.batch == expected
    assert select_evaluator(task, PROBES, cells=20).batch is None or expected is None, "too short a job to try them"
    values = choice.create(task)(PROBES).values
    np.testing.assert_allclose(values["loss"], Loop(task)(PROBES).values["loss"], rtol=1e-6)
    assert EvaluatorSpec.of(choice.describe()) == replace(choice, seconds=None, loop_seconds=None)


def test_a_stored_evaluator_is_taken_again_where_it_can_be() -> None:
    task = task_of("relu")
    for stored in (EvaluatorSpec("vmap", 3), EvaluatorSpec("loop", 1, batch=2), EvaluatorSpec()):
        choice = select_evaluator(task, PROBES, cells=10**6, stored=EvaluatorSpec.of(stored.describe()))
        assert choice.describe() == stored.describe()
    assert select_evaluator(task_of("branching"), PROBES, cells=5, stored=EvaluatorSpec("vmap", 3)).evaluator == "loop"


@pytest.mark.parametrize(
    "change",
    [{"evaluator": "rm"}, {"layout": "odd"}, {"chunk": 0}, {"chunk": "16"}, {"batch": True}, {"compiled": True}, {"evaluator": None}],
)
def test_what_is_no_evaluator_is_not_taken_from_an_archive(change: dict[str, Any]) -> None:
    description = EvaluatorSpec("vmap", 16).describe()
    assert EvaluatorSpec.of(description) == EvaluatorSpec("vmap", 16) and EvaluatorSpec.of(description | change) is None
