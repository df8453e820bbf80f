"""Arguments of a wrong type or value: one error that names the argument, never a raw TypeError, and nothing taken in silence."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr
from scipy.sparse.linalg import aslinearoperator
from torch.nn import functional as F

import lossatlas as la
from lossatlas._util.argument_checks import check_integer, check_name, check_number, path_of
from lossatlas.analysis.eigensolvers.extremes import extreme_eigenvalues
from lossatlas.archive import open_archive
from lossatlas.errors import InputError
from oracles import classifier

MODEL, X, Y = classifier(samples=12)
NAN, INF, THING = float("nan"), float("inf"), object()
NO_COUNT: tuple[Any, ...] = (True, 0, -1, 1.5, 2.0, NAN, INF, "2", "", [], {}, b"2", THING)
NO_TEXT: tuple[Any, ...] = (True, 3, 1.5, [], {}, b"x", THING)
NO_NAME: tuple[Any, ...] = ("", " ", ".", "..", ".x", "a/b", "../x", "a\\b", "a\0b", "a\nb", "__x", "x" * 300, "\ud800", None, *NO_TEXT)


def objective(**options: Any) -> la.Objective:
    return la.Objective(MODEL, F.cross_entropy, (X, Y), **options)


def evaluate(**options: Any) -> xr.Dataset:
    target = objective()
    return la.evaluate(
        target, la.random_plane(target), **{"resolution": 2, "progress": False, "engine": la.Engine(executor="serial"), **options}
    )


def plot(**options: Any) -> Any:
    loss = xr.DataArray([[0.0, 1.0], [2.0, 3.0]], dims=("alpha", "beta"), coords={"alpha": [0, 1], "beta": [0, 1]})
    return la.plot(xr.Dataset({"loss": loss}), **options)


def plane(**options: Any) -> la.Plane:
    return la.random_plane(MODEL, **options)


def eigenvalues(**options: Any) -> Any:
    return extreme_eigenvalues(aslinearoperator(np.diag(np.linspace(-2, 8, 100))), **options)


WRONG: dict[tuple[Callable[..., Any], str], tuple[Any, ...]] = {
    (la.Engine, "chunk"): NO_COUNT,
    (la.Engine, "workers"): NO_COUNT,
    (la.Engine, "tile"): NO_COUNT,
    (la.Engine, "retries"): (None, *(value for value in NO_COUNT if value is True or value != 0)),
    (la.Engine, "timeout"): (True, 0, -1, NAN, INF, 10**400, "2", [], {}, THING),
    (la.Engine, "evaluator"): (None, "loops", *NO_TEXT),
    (la.Engine, "precision"): (None, "fp8", *NO_TEXT),
    (la.Engine, "compile"): (None, 1, "yes"),
    (evaluate, "engine"): (None, "threads", {"executor": "threads"}, THING),
    (evaluate, "name"): NO_NAME,
    (evaluate, "title"): (None, *NO_TEXT),
    (la.Engine, "executor"): (None, "thread", *NO_TEXT),
    (evaluate, "metrics"): (None, True, 3, "", "lost", [], [None], {}, b"loss", (1, 2), ("loss", "loss"), THING),
    (evaluate, "resolution"): (True, 0, 1, -5, 2.0, "51", None, (2,), (2, 3, 4), (2, 1.5), NAN, THING),
    (evaluate, "bounds"): ((1, -1), (0, 0), (0, NAN), (0, INF), "x", 3, ((0, 1),), ((0, 1), (1, 0)), THING),
    (evaluate, "tol"): (True, 0, -0.1, 1, NAN, INF, "0.1", [], THING),
    (evaluate, "archive"): (True, 3, 1.5, [], b"x", THING),
    (evaluate, "on_tile"): (True, 3, "x", []),
    (objective, "batch_size"): NO_COUNT,
    (objective, "samples"): NO_COUNT,
    (objective, "population"): NO_COUNT,
    (objective, "dtype"): (True, 3, "float64", torch.int64, torch.bool, [], THING),
    (objective, "device"): (True, -1, 1.5, "gpu", "", "cuda:x", "cpu/1", "meta", [], b"cpu", THING),
    (objective, "split"): NO_TEXT,
    (objective, "units"): NO_TEXT,
    (plane, "seed"): (None, True, -1, 1.5, NAN, "x", [], THING),
    (plane, "ndim"): (None, True, 0, 3, 1.5, "2", []),
    (plane, "params"): (True, 3, b"x", [None], [], "nothing", THING),
    (plane, "biases"): (None, 1, "yes", []),
    (eigenvalues, "solver"): (None, "arpack", "dense", 3, []),
    (eigenvalues, "k"): (None, True, 0, 1.5, 51, "2"),
    (eigenvalues, "tol"): (None, True, 0, -1, NAN, "x"),
    (eigenvalues, "seed"): (None, -1, 1.5, "x"),
    (plot, "quantity"): (None, "lost", *NO_TEXT),
    (plot, "levels"): (None, True, 1, 201, 5.5, "5", NAN),
    (plot, "clip"): (True, NAN, INF, "1", [], 10**400),
    (plot, "colormap"): ("lost", *NO_TEXT),
    (plot, "camera"): (True, 3, "x", {}),
    (plot, "title"): NO_TEXT,
    (plot, "surfaces"): (True, 3, [None], b"x", THING),
    (plot, "trajectories"): (True, 3, b"x", THING),
    (plot, "file"): (True, 3, "", "x", "x.bmp", b"x.png", [], "a\0.png"),
    (plot, "dpi"): (None, True, 0, -1, NAN, INF, "x"),
}


def cases() -> Iterator[Any]:
    for (call, argument), values in WRONG.items():
        yield pytest.param(call, argument, values, id=f"{call.__name__}-{argument}")


@pytest.mark.parametrize(("call", "argument", "values"), list(cases()))
def test_wrong_arguments_are_named(call: Callable[..., Any], argument: str, values: tuple[Any, ...]) -> None:
    for value in values:
        with pytest.raises(InputError) as refused:
            call(**{argument: value})
        assert argument in refused.value.argument.replace("options", argument) and "expected" in str(refused.value), value


@pytest.mark.parametrize("state", [None, 3, "w", [1], {"0.weight": 3}, {3: torch.ones(1)}])
def test_a_state_is_tensors_by_name(state: Any) -> None:
    with pytest.raises(InputError, match="state"):
        objective().with_state(state)


def test_right_arguments_pass() -> None:
    engine = la.Engine(tile=np.int64(2), retries=0, timeout=np.float32(3), workers=None)  # pyright: ignore[reportArgumentType]
    assert evaluate(engine=engine, name="α (2) @0.5,1").done.all()
    assert objective(dtype=torch.float64, device=torch.device("cpu"), batch_size=np.int32(5)).samples == 12
    assert check_integer("n", np.uint8(3)) == 3 and check_number("x", np.float32(0.5)) == 0.5 and check_name("n", "run 1") == "run 1"
    assert path_of(Path("a")) == Path("a")


@pytest.mark.parametrize("name", ["a/b", "..", "", "__x", "a\0b", "x" * 300])
def test_names_of_an_archive_are_one_folder(name: str) -> None:
    with pytest.raises(InputError, match="name"):
        open_archive(None, "a").write_surface(name, evaluate())


@pytest.mark.parametrize(
    "call",
    [
        lambda: la.Objective(3, F.cross_entropy, (X, Y)),  # pyright: ignore[reportArgumentType]
        lambda: la.Objective(MODEL, (X, Y), F.cross_entropy),  # pyright: ignore[reportArgumentType]
        lambda: la.evaluate(MODEL, la.random_plane(MODEL)),  # pyright: ignore[reportArgumentType]
        lambda: la.evaluate(objective(), MODEL),  # pyright: ignore[reportArgumentType]
        lambda: la.evaluate(la.random_plane(MODEL), objective()),  # pyright: ignore[reportArgumentType]
        lambda: la.Recorder(None, "model"),  # pyright: ignore[reportArgumentType]
        lambda: la.Recorder(None, MODEL, "adam"),  # pyright: ignore[reportArgumentType]
        lambda: la.plot(3),  # pyright: ignore[reportArgumentType]
        lambda: la.project_trajectory(MODEL, la.random_plane(MODEL)),  # pyright: ignore[reportArgumentType]
        lambda: la.evaluate_curve(objective(), MODEL),  # pyright: ignore[reportArgumentType]
        lambda: la.open_archive(3, "a"),  # pyright: ignore[reportArgumentType]
        lambda: evaluate(name=3),
        lambda: la.Engine(workers="2"),  # pyright: ignore[reportArgumentType]
        lambda: check_number("timeout", "10"),
        lambda: path_of(3),
    ],
)
def test_a_wrong_type_is_a_type_error_and_an_input_error(call: Callable[[], object]) -> None:
    with pytest.raises(la.InputTypeError, match=r"got .* expected ") as raised:
        call()
    assert isinstance(raised.value, TypeError) and isinstance(raised.value, la.InputError) and isinstance(raised.value, ValueError)


@pytest.mark.parametrize("call", [lambda: check_integer("tile", 0, least=1), lambda: check_name("name", "a/b"), lambda: path_of(" ")])
def test_a_wrong_value_is_no_type_error(call: Callable[[], object]) -> None:
    with pytest.raises(la.InputError) as raised:
        call()
    assert not isinstance(raised.value, TypeError)
