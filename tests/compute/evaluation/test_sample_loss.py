"""The tensor of every sample's loss: the same numbers however it is computed, resumed or stored, and never too large unsaid."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

import lossatlas as la
from lossatlas._util.text import format_bytes
from lossatlas.viz.summary import describe_archive
from oracles import classifier, numpy_cross_entropy, numpy_forward

GRID: dict[str, Any] = {"bounds": (-1.0, 1.0), "resolution": (5, 4)}
METRICS = ("loss", "sample_loss")


@pytest.fixture
def objective() -> la.Objective:
    model, x, y = classifier()
    return la.Objective(model, torch.nn.functional.cross_entropy, (x, y), batch_size=7)


def tensor(objective: la.Objective, **options: Any) -> NDArray[np.float64]:
    archive = la.open_archive(None, "a")
    la.evaluate(objective, la.random_plane(objective), **GRID, metrics=METRICS, archive=archive, **options)
    return np.asarray(archive.samples()["sample_loss"][...])


def test_every_entry_is_the_samples_own_loss(objective: la.Objective) -> None:
    """NumPy's own forward pass, at every cell."""
    plane, (_, x, y) = la.random_plane(objective), classifier()
    found = tensor(objective)
    for i, a in enumerate(np.linspace(-1, 1, 5)):
        for j, b in enumerate(np.linspace(-1, 1, 4)):
            expected = numpy_cross_entropy(numpy_forward(plane.point(a, b), x), y)
            np.testing.assert_allclose(found[i, j], expected, atol=1e-12)


def test_the_mean_of_the_samples_is_the_surface(objective: la.Objective) -> None:
    archive = la.open_archive(None, "a")
    surface = la.evaluate(objective, la.random_plane(objective), **GRID, metrics=METRICS, archive=archive)
    assert set(archive.surface().dims) == {"alpha", "beta"} and set(surface.dims) == {"alpha", "beta", "sample"}
    np.testing.assert_allclose(archive.samples()["sample_loss"][...].mean(-1), surface.loss, rtol=1e-14)


@pytest.mark.parametrize(
    "options", [{"evaluator": "loop", "tile": 1}, {"evaluator": "vmap", "chunk": 3, "tile": 7}, {"evaluator": "affine"}]
)
def test_tile_chunk_and_evaluator_change_nothing(objective: la.Objective, options: dict[str, Any]) -> None:
    np.testing.assert_allclose(
        tensor(objective, engine=la.Engine(**options)), tensor(objective, engine=la.Engine(evaluator="loop")), atol=1e-13
    )


def test_batch_size_changes_nothing(objective: la.Objective) -> None:
    model, x, y = classifier()
    other = la.Objective(model, torch.nn.functional.cross_entropy, (x, y), batch_size=60)
    np.testing.assert_allclose(tensor(other), tensor(objective), atol=1e-13)


@pytest.mark.slow
def test_a_stopped_run_goes_on(objective: la.Objective, tmp_path: Path) -> None:
    class Stopped(Exception):
        pass

    def stop(cells: Any, values: Any) -> None:
        raise Stopped

    plane, settings = (
        la.random_plane(objective),
        {**GRID, "metrics": METRICS, "archive": tmp_path / "a.zarr", "engine": la.Engine(tile=6, evaluator="loop")},
    )
    with pytest.raises(Stopped):
        la.evaluate(objective, plane, **settings, on_tile=stop)
    assert int(la.open_archive(tmp_path / "a.zarr").surface().done.sum()) == 6
    la.evaluate(objective, plane, **settings)
    np.testing.assert_array_equal(
        la.open_archive(tmp_path / "a.zarr").samples()["sample_loss"][...], tensor(objective, engine=la.Engine(evaluator="loop"))
    )


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-7), ("float16", 1e-3)])
def test_fewer_digits(objective: la.Objective, dtype: Any, tolerance: float) -> None:
    archive = la.open_archive(None, "a")
    la.evaluate(objective, la.random_plane(objective), **GRID, metrics=("loss", la.sample_losses(dtype)), archive=archive)
    stored = archive.samples()["sample_loss"]
    assert stored.dtype == dtype
    np.testing.assert_allclose(stored[...], tensor(objective), rtol=tolerance)


def test_half_precision_never_turns_a_loss_into_infinity() -> None:
    objective = la.Objective(lambda p, x: 1e5 * x * (1 + p["w"]) ** 2, data=torch.ones(3), params={"w": torch.zeros(1)})
    line = la.weight_plane(objective, ("w", 0))
    with pytest.raises(la.InputError, match="float16"):
        la.evaluate(objective, line, (0, 1), 3, metrics=("loss", la.sample_losses("float16")), archive=la.open_archive(None, "a"))
    with pytest.raises(la.InputError, match="float32"):
        la.sample_losses("int8")  # pyright: ignore[reportArgumentType]


def test_an_infinite_sample_spoils_only_its_own_batches() -> None:
    data = torch.tensor([1.0, 2.0, torch.inf, 3.0], dtype=torch.float64)
    objective = la.Objective(lambda p, x: x * (1 + p["w"] ** 2), data=data, params={"w": torch.zeros(1, dtype=torch.float64)})
    archive = la.open_archive(None, "a")
    surface = la.evaluate(objective, la.weight_plane(objective, ("w", 0)), (0, 1), 3, METRICS, archive)
    losses = la.SampleLossArray.open(archive)
    assert np.isinf(surface.loss).all() and losses.count_infinite == 1
    np.testing.assert_array_equal(losses.surfaces([[0, 1], [1, 2]])[0], [1.5, 1.875, 3.0])
    assert np.isinf(losses.surfaces([[1, 2]])).all()
    assert np.isinf(losses.statistics().loss).all()


def test_a_loss_without_a_form_per_sample_is_kept_per_batch() -> None:
    model, x, y = classifier()

    def mean_only(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        return torch.logsumexp(output, 1).mean() - output[torch.arange(len(target)), target].mean()

    objective = la.Objective(model, mean_only, (x, y), batch_size=25)
    archive = la.open_archive(None, "a")
    surface = la.evaluate(objective, la.random_plane(objective), **GRID, metrics=METRICS, archive=archive)
    losses = la.SampleLossArray.open(archive)
    assert not losses.per_sample and losses.weights.tolist() == [25, 25, 10] and surface.attrs["metrics"] == ["loss", "batch_mean_loss"]
    np.testing.assert_allclose(losses.surfaces([[0, 1, 2]])[0], surface.loss, rtol=1e-12)
    with pytest.raises(la.InputError, match="per sample"):
        losses.batch_loss_std(1)
    with pytest.raises(la.InputError, match="per sample"):
        la.per_sample_gradients(objective, la.random_plane(objective), (0, 0))


def test_a_tensor_that_does_not_fit_is_refused_before_the_run(
    objective: la.Objective, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10**6, 10**6, 5000))  # type: ignore[attr-defined]
    with pytest.raises(la.InputError, match=r"5 x 4 x 60 that takes .* KiB; .*4.88 KiB that are free"):
        la.evaluate(objective, la.random_plane(objective), **GRID, metrics=METRICS, archive=tmp_path / "a.zarr")
    assert la.open_archive(tmp_path / "a.zarr").surfaces == ()


def test_info_names_type_shape_and_room_of_the_tensor(objective: la.Objective, tmp_path: Path) -> None:
    location = tmp_path / "a.zarr"
    metrics = ("loss", la.sample_losses("float32"))
    la.evaluate(objective, la.random_plane(objective), **GRID, metrics=metrics, archive=location)
    (line,) = (line for line in describe_archive(la.open_archive(location)).splitlines() if "sample_loss:" in line)
    stored = sum(f.stat().st_size for f in (location / "surfaces" / "surface" / "sample_loss").rglob("*") if f.is_file())
    assert "float32 5 x 4 x 60" in line and "(4.69 KiB unpacked)" in line
    assert f"{format_bytes(stored)} on disk" in line


def test_samples_that_see_each_other_are_refused() -> None:
    model = torch.nn.Sequential(torch.nn.Linear(5, 4), torch.nn.BatchNorm1d(4), torch.nn.Linear(4, 3)).double()
    _, x, y = classifier()
    objective = la.Objective(model, torch.nn.functional.cross_entropy, (x, y), mode="batch")
    with pytest.raises(la.InputError, match="mode batch"):
        la.evaluate(objective, la.random_plane(objective), **GRID, metrics=METRICS)


def test_surfaces_without_samples_say_what_to_do(objective: la.Objective) -> None:
    archive = la.open_archive(None, "a")
    la.evaluate(objective, la.random_plane(objective), **GRID, archive=archive)
    with pytest.raises(la.InputError, match="sample_loss"):
        la.SampleLossArray.open(archive)


def test_refinement_stops_early_with_samples_too(objective: la.Objective) -> None:
    archive = la.open_archive(None, "a")
    surface = la.evaluate(objective, la.random_plane(objective), (-0.2, 0.2), 33, METRICS, archive, tol=0.05)
    done = surface.done.values
    assert not done.all() and "loss_filled" in surface
    kept = np.asarray(archive.samples()["sample_loss"][...])
    np.testing.assert_allclose(kept[done].mean(-1), surface.loss.values[done], rtol=1e-12)
    assert np.isnan(kept[~done]).all()


def test_cells_that_fail_are_holes_in_every_sample(objective: la.Objective) -> None:
    def fails(params: Any, x: torch.Tensor) -> torch.Tensor:
        if float(params["w"][0]) > 0.5:
            raise RuntimeError("no value here")
        return x * params["w"][0]

    small = la.Objective(fails, data=torch.ones(4), params={"w": torch.zeros(1)}, batch_size=2)
    archive = la.open_archive(None, "a")
    la.evaluate(small, la.weight_plane(small, ("w", 0)), (0, 1), 3, METRICS, archive)
    np.testing.assert_array_equal(np.isnan(archive.samples()["sample_loss"][...]).all(-1), [False, False, True])


@pytest.mark.slow
def test_a_large_tensor_takes_less_than_a_gigabyte(tmp_path: Path) -> None:
    """51 x 51 x 10,000, made and read in a process of its own. `ru_maxrss` would begin at what the parent held when it forked."""
    program = f"""
import re, numpy as np, torch, lossatlas as la
torch.set_num_threads(1)
x = torch.linspace(-1, 1, 10_000, dtype=torch.float64)
objective = la.Objective(lambda p, x: (x - p["w"].sum()) ** 2, data=x, params={{"w": torch.zeros(2, dtype=torch.float64)}})
plane = la.weight_plane(objective, ("w", 0), ("w", 1))
surface = la.evaluate(objective, plane, (-1, 1), 51, ("loss", "sample_loss"), {str(tmp_path / "a.zarr")!r}, progress=False)
losses = la.SampleLossArray.open({str(tmp_path / "a.zarr")!r})
batches = la.shuffled_batches(10_000, 100)
mean = losses.surfaces(batches).mean("batch")
np.testing.assert_allclose(mean, surface.loss, rtol=1e-12)
losses.statistics()
print(int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]) // 1024)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 1000
