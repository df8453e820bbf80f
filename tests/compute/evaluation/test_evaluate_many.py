"""Several planes of one objective: the same surfaces as one by one, with one search for the fastest evaluator."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch import nn

import lossatlas as la
from lossatlas.compute.evaluation.evaluators import selection
from oracles import classifier


def problem() -> tuple[la.Objective, list[la.Plane]]:
    objective = la.Objective(classifier(samples=30)[0], nn.functional.cross_entropy, classifier(samples=30)[1:])
    return objective, [la.random_plane(objective, seed=seed) for seed in range(4)]


@pytest.fixture
def searches(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The planes' kinds that a fastest evaluator was sought for; the fastest is vmap."""
    kinds: list[str] = []

    def search(probe: Any, loop: selection.EvaluatorSpec, *_: Any) -> selection.EvaluatorSpec:
        kinds.append(probe.task.plane.kind)
        return selection.EvaluatorSpec("vmap", 16, seconds=1e-6, loop_seconds=1e-3)

    monkeypatch.setattr(selection, "_search_fastest", search)
    monkeypatch.setattr(selection, "MIN_PROBED_SECONDS", 0.0)
    return kinds


@pytest.mark.slow
def test_surfaces_are_those_of_single_calls(tmp_path: Path) -> None:
    objective, planes = problem()
    many = la.evaluate_many(
        objective, planes, (-1, 1), (5, 4), ("loss", "accuracy"), tmp_path / "a.zarr", engine=la.Engine(evaluator="loop")
    )
    assert la.open_archive(tmp_path / "a.zarr").surfaces == tuple(f"surface_{k}" for k in range(4))
    for plane, surface in zip(planes, many, strict=True):
        single = la.evaluate(objective, plane, (-1, 1), (5, 4), ("loss", "accuracy"), engine=la.Engine(evaluator="loop"))
        np.testing.assert_array_equal(surface.loss, single.loss)
        np.testing.assert_array_equal(surface.accuracy, single.accuracy)


def test_the_fastest_evaluator_is_sought_once_for_a_kind_of_plane(searches: list[str]) -> None:
    objective, planes = problem()
    many = la.evaluate_many(objective, planes, (-1, 1), (5, 4))
    assert searches == ["random"] and {surface.attrs["engine"]["evaluator"] for surface in many} == {"vmap"}
    la.evaluate(objective, la.weight_plane(objective, ("0.weight", (0, 0)), ("0.weight", (0, 1))), (-1, 1), 3)
    la.evaluate(objective, planes[0], (-1, 1), (50, 40))
    assert len(searches) == 3, "another kind of plane, and a larger job"
    la.evaluate_many(problem()[0], planes[:1], (-1, 1), (5, 4))
    assert len(searches) == 4, "another objective"


def test_a_choice_that_disagrees_on_another_plane_is_not_taken(searches: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    objective, planes = problem()
    la.evaluate(objective, planes[0], (-1, 1), (5, 4))
    monkeypatch.setattr(selection, "disagreement", lambda *_: "its loss is another")
    la.evaluate(objective, planes[1], (-1, 1), (5, 4))
    assert len(searches) == 2


def test_names_and_planes_go_together() -> None:
    objective, planes = problem()
    for names in (["a"], ["a", "a", "b", "c"]):
        with pytest.raises(la.InputError, match="4 different names"):
            la.evaluate_many(objective, planes, (-1, 1), 3, names=names)
    with pytest.raises(TypeError, match=r"la\.evaluate"):
        la.evaluate_many(objective, planes[0], (-1, 1), 3)  # type: ignore[arg-type]
    named = la.evaluate_many(objective, planes[:2], (-1, 1), (3, 2), names=["a", "b"], archive=(archive := la.open_archive(None, "a")))
    assert archive.surfaces == ("a", "b") and len(named) == 2
