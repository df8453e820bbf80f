"""The writer of a surface knows what it wrote: the archive is read to continue a surface and for the result, and at no other time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
import xarray as xr
import zarr

import lossatlas as la
from lossatlas.archive import reading

F64 = torch.float64
ARRAYS = ("done", "loss", "loss_standard_error")


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the plane arrays that are read, in order."""
    names: list[str] = []
    real = reading.read_array

    def counted(array: zarr.Array[Any], *selection: Any) -> Any:
        if (name := array.path.rpartition("/")[2]) not in ("alpha", "beta"):
            names.append(name)
        return real(array, *selection)

    monkeypatch.setattr(reading, "read_array", counted)
    return names


def problem() -> tuple[la.Objective, la.Plane]:
    objective = la.Objective(
        lambda p, x: ((x - p["w"].prod()) ** 2).flatten(), data=torch.arange(6, dtype=F64), params={"w": torch.ones(2, dtype=F64)}
    )
    return objective, la.weight_plane(objective, ("w", 0), ("w", 1))


@pytest.mark.parametrize("tol", [None, 0.05])
def test_a_fresh_surface_is_read_once_for_the_result(tol: float | None, reads: list[str]) -> None:
    before: list[int] = []
    la.evaluate(*problem(), resolution=(17, 19), tol=tol, engine=la.Engine(tile=50), on_tile=lambda *_: before.append(len(reads)))
    assert len(before) > 1 and not any(before), "nothing is read while cells are computed"
    plain = [name for name in reads if not name.endswith("_filled")]
    assert sorted(plain) == sorted(ARRAYS), "and then every array once"


def test_continuing_reads_once_and_the_result_once(reads: list[str], tmp_path: Path) -> None:
    def stop(*_: Any) -> None:
        raise KeyboardInterrupt

    options: dict[str, Any] = {"resolution": (5, 4), "archive": tmp_path / "a.zarr", "engine": la.Engine(tile=6)}
    with pytest.raises(KeyboardInterrupt):
        la.evaluate(*problem(), **options, on_tile=stop)
    assert not reads
    before: list[int] = []
    la.evaluate(*problem(), **options, on_tile=lambda *_: before.append(len(reads)))
    assert before == [len(ARRAYS)] * 3 and len(reads) == 2 * len(ARRAYS)


def test_a_fresh_hessian_map_is_read_once_for_the_result(reads: list[str]) -> None:
    surface = la.hessian_map(*problem(), resolution=(2, 3), biases=True, tol=1e-3)
    assert sorted(reads) == sorted(map(str, surface.data_vars)) and surface.done.all()


@pytest.mark.parametrize("tol", [None, 0.05])
def test_what_is_returned_is_what_a_reader_finds(tol: float | None, tmp_path: Path) -> None:
    surface = la.evaluate(*problem(), resolution=(17, 19), tol=tol, archive=tmp_path / "a.zarr")
    xr.testing.assert_identical(surface, la.open_archive(tmp_path / "a.zarr").surface())
    assert surface.attrs["cells_done"] == int(surface.done.sum())


def test_sample_losses_are_returned_with_their_axis(tmp_path: Path) -> None:
    objective, plane = problem()
    surface = la.evaluate(objective, plane, resolution=(3, 4), metrics=("loss", "sample_loss"), archive=tmp_path / "a.zarr")
    assert surface.sample_loss.dims == ("alpha", "beta", "sample") and surface.sample_loss.sizes["sample"] == 6
    np.testing.assert_allclose(surface.sample_loss.mean("sample"), surface.loss, rtol=1e-14)
    np.testing.assert_array_equal(surface.sample_loss, la.open_archive(tmp_path / "a.zarr").samples()["sample_loss"][...])
    np.testing.assert_array_equal(surface["sample"], np.arange(6))
    copy = la.open_archive(None, "a")
    copy.write_surface("copy", surface)
    np.testing.assert_array_equal(copy.samples("copy")["sample_loss"][...], surface.sample_loss)
    xr.testing.assert_identical(copy.surface("copy"), la.open_archive(tmp_path / "a.zarr").surface())


def test_batch_means_are_returned_with_their_weights() -> None:
    model, x, y = torch.nn.Linear(2, 1).double(), torch.arange(10, dtype=F64).reshape(5, 2), torch.ones(5, 1, dtype=F64)
    objective = la.Objective(model, lambda o, t: ((o - t) ** 2).mean(), (x, y), batch_size=3)
    surface = la.evaluate(objective, la.random_plane(objective), resolution=(2, 3), metrics=("loss", "sample_loss"))
    assert surface.batch_mean_loss.dims == ("alpha", "beta", "batch")
    weighted = (surface.batch_mean_loss * surface.batch_weight).sum("batch") / surface.batch_weight.sum()
    np.testing.assert_allclose(weighted, surface.loss, rtol=1e-12)


def test_arrays_larger_than_memory_allows_stay_in_the_archive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lossatlas.compute.evaluation.evaluate.RETURNED_SAMPLE_BYTES", 100)
    archive = la.open_archive(None, "a")
    surface = la.evaluate(*problem(), resolution=(3, 4), metrics=("loss", "sample_loss"), archive=archive)
    assert "sample_loss" not in surface and la.SampleLossArray.open(archive).samples == 6


@pytest.mark.slow
def test_a_surface_with_sample_losses_is_drawn_and_exported(tmp_path: Path) -> None:
    surface = la.evaluate(*problem(), resolution=(3, 4), metrics=("loss", "sample_loss"))
    figure = la.plot(surface, kind="contour")
    plt.close(figure)
    la.export_surface(surface, tmp_path / "a.csv")
    np.testing.assert_allclose(la.import_surface(tmp_path / "a.csv").loss, surface.loss)
