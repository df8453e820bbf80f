"""Executor, tile, chunk, workers and the moment of stopping change no value."""

from __future__ import annotations

import functools

import numpy as np
import pytest
import torch
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

import lossatlas as la
from cases import CASES, case
from lossatlas.errors import InputError
from oracles import classifier

SHAPE = (7, 5)


@functools.cache
def problem(name: str) -> tuple[la.Objective, la.Plane]:
    objective = case(name)
    return objective, la.random_plane(objective, seed=2)


@functools.cache
def whole(name: str) -> xr.Dataset:
    return la.evaluate(*problem(name), resolution=SHAPE, engine=la.Engine(evaluator="loop", executor="serial"))


@pytest.mark.slow
@given(
    name=st.sampled_from(["tutorial", "conv-batchnorm", "tied", "branching"]),
    executor=st.sampled_from(["serial", "threads"]),
    evaluator=st.sampled_from(["loop", "auto"]),
    tile=st.sampled_from([None, 1, 4, 35, 100]),
    workers=st.sampled_from([1, 2, 3]),
)
def test_any_way_gives_the_same_surface(name: str, executor: str, evaluator: str, tile: int | None, workers: int) -> None:
    found = la.evaluate(
        *problem(name), resolution=SHAPE, engine=la.Engine(evaluator=evaluator, executor=executor, tile=tile, workers=workers)
    )
    if evaluator == "loop":
        np.testing.assert_array_equal(found.loss, whole(name).loss)
        np.testing.assert_array_equal(found.loss_standard_error, whole(name).loss_standard_error)
    np.testing.assert_allclose(found.loss, whole(name).loss, rtol=1e-10)
    assert found.done.all()


@pytest.mark.slow
@given(chunk=st.integers(1, 40), evaluator=st.sampled_from(["vmap", "affine"]), tile=st.sampled_from([None, 3, 50]))
def test_chunks_change_nothing_beyond_rounding(chunk: int, evaluator: str, tile: int | None) -> None:
    found = la.evaluate(*problem("tutorial"), resolution=SHAPE, engine=la.Engine(evaluator=evaluator, chunk=chunk, tile=tile))
    np.testing.assert_allclose(found.loss, whole("tutorial").loss, rtol=1e-12)
    np.testing.assert_allclose(found.loss_standard_error, whole("tutorial").loss_standard_error, rtol=1e-10)
    assert found.attrs["engine"]["evaluator"] == evaluator


@pytest.mark.slow
@given(stop=st.integers(1, 34), executor=st.sampled_from(["serial", "threads"]), evaluator=st.sampled_from(["loop", "vmap"]))
def test_stop_anywhere_and_go_on(stop: int, executor: str, evaluator: str) -> None:
    archive, seen = la.open_archive(None, "a"), 0

    def interrupt(cells: np.ndarray, _: object) -> None:
        nonlocal seen
        seen += len(cells)
        if seen >= stop:
            raise KeyboardInterrupt

    objective, plane = problem("tutorial")
    with pytest.raises(KeyboardInterrupt):
        la.evaluate(
            objective,
            plane,
            resolution=SHAPE,
            archive=archive,
            engine=la.Engine(executor=executor, workers=2, evaluator=evaluator, tile=3),
            on_tile=interrupt,
        )
    assert int(archive.surface().done.sum()) == seen
    found = la.evaluate(objective, plane, resolution=SHAPE, archive=archive, engine=la.Engine(executor="serial", evaluator=evaluator))
    np.testing.assert_allclose(found.loss, whole("tutorial").loss, rtol=0 if evaluator == "loop" else 1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_threads_do_not_share_a_module(name: str) -> None:
    objective = case(name)
    plane = la.random_plane(objective, seed=4, biases=True)
    one = la.evaluate(objective, plane, resolution=(9, 11), engine=la.Engine(evaluator="loop", executor="serial"))
    many = la.evaluate(objective, plane, resolution=(9, 11), engine=la.Engine(evaluator="loop", executor="threads", workers=4, tile=1))
    np.testing.assert_array_equal(many.loss, one.loss)


@pytest.mark.slow
@pytest.mark.ray
@pytest.mark.filterwarnings("ignore")
def test_sampled_surfaces_are_the_same_on_ray(local_ray: None) -> None:
    """Block after block of samples on one cluster, to the last bit with the loop."""
    model, x, y = classifier(samples=800)
    objective = la.Objective(model, F.cross_entropy, (x, y), batch_size=64)
    plane = la.random_plane(objective, seed=3)
    one, other = (
        la.evaluate(objective, plane, (-1, 1), SHAPE, tol=0.1, engine=la.Engine(sampling="multilevel", evaluator="loop", executor=executor))
        for executor in ("serial", "ray")
    )
    np.testing.assert_array_equal(one.samples_drawn, other.samples_drawn)
    np.testing.assert_array_equal(one.loss_filled, other.loss_filled)


def test_threads_leave_the_thread_count_as_it_was() -> None:
    before = torch.get_num_threads()
    la.evaluate(*problem("tied"), resolution=SHAPE, engine=la.Engine(executor="threads", workers=2))
    assert torch.get_num_threads() == before


def test_a_failing_worker_loses_only_what_was_not_finished() -> None:
    def fragile(p: dict[str, torch.Tensor], _: object) -> torch.Tensor:
        if float(p["w"][0]) > 0.4 and float(p["w"][1]) > 0.4:
            raise InputError("model", "a failure", "none")
        return p["w"].square().sum()

    objective = la.Objective(fragile, params={"w": torch.zeros(2)})
    archive = la.open_archive(None, "a")
    with pytest.raises(InputError, match="a failure"):
        la.evaluate(
            objective,
            la.weight_plane(objective, ("w", 0), ("w", 1)),
            resolution=SHAPE,
            archive=archive,
            engine=la.Engine(evaluator="loop", executor="threads", tile=1),
        )
    done = archive.surface().done.values
    assert 0 < done.sum() < done.size
    assert np.isfinite(archive.surface().loss.values[done]).all()


def test_unknown_names_are_refused() -> None:
    with pytest.raises(InputError, match="serial, threads"):
        la.evaluate(*problem("tied"), resolution=SHAPE, engine=la.Engine(executor="slurm"))
    with pytest.raises(InputError, match="workers"):
        la.evaluate(*problem("tied"), resolution=SHAPE, engine=la.Engine(workers=0))
