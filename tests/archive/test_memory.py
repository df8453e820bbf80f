"""An archive in memory is plain arrays; all that is read from it is what a Zarr store gives back."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr
import zarr

import lossatlas as la
from lossatlas import schema
from lossatlas.archive import Archive, open_archive
from lossatlas.archive.arrays import create_array
from lossatlas.archive.memory import MemoryGroup
from lossatlas.errors import ArchiveError, InputError

ATTRS = {"title": "t", "metrics": ("loss",), "grid": {"bounds": ((-1, 1.5), (0, 1)), "resolution": (3, 2)}, "holes": {"4": "stopped"}}


def filled(archive: Archive) -> Archive:
    """A surface of unequal sides with samples, values of every kind and a cell that is not done; and a trajectory."""
    axes: dict[str, Any] = {"alpha": np.linspace(-1, 1.5, 3), "beta": np.linspace(0, 1, 2), "sample": np.arange(4)}
    archive.create_surface("surface", axes, [schema.variable("loss"), schema.variable("sample_loss")], ATTRS)
    cells = np.array([5, 0, 3, 4])
    losses = {"loss": np.array([-1.0, np.nan, 0.0, np.inf]), "sample_loss": np.arange(16.0).reshape(4, 4)}
    archive.write_cells("surface", cells, losses)
    archive.write_variable("surface", schema.variable("loss").filled(), np.arange(6.0).reshape(3, 2))
    archive.update_attrs("surfaces", "surface", {"seconds": np.float64(0.5), "metrics": ("loss", "sample_loss")})
    archive.mark_not_done("surface", np.array([3]))
    run = xr.Dataset({"path_alpha": ("step", np.array([2.0, 1.0]))}, {"step": [0, 7]}, {"label": "run"})
    archive.write_trajectory("run", run)
    return archive


def test_both_kinds_of_memory_give_the_same_back() -> None:
    plain, stored = filled(open_archive(None, "a")), filled(open_archive(zarr.storage.MemoryStore(), "a"))
    assert isinstance(plain.root, MemoryGroup) and isinstance(stored.root, zarr.Group)
    assert (plain.surfaces, plain.trajectories) == (stored.surfaces, stored.trajectories) == (("surface",), ("run",))
    assert plain.attrs.keys() == stored.attrs.keys()
    xr.testing.assert_identical(plain.surface(), stored.surface())
    xr.testing.assert_identical(plain.trajectory(), stored.trajectory())
    assert plain.surface_attrs("surface") == stored.surface_attrs("surface")
    assert {n: a.shape for n, a in plain.samples().items()} == {n: a.shape for n, a in stored.samples().items()}
    np.testing.assert_array_equal(plain.samples()["sample_loss"][1:, 0], stored.samples()["sample_loss"][1:, 0])
    for archive in (plain, stored):
        archive.drop_variable("surface", "loss_filled")
        archive.drop_variable("surface", "loss_filled")
        assert "loss_filled" not in archive.surface()
        with pytest.raises(InputError, match="lossatlas info"):
            archive.surface("other")
        with pytest.raises(ArchiveError, match="missing"):
            archive.update_attrs("surfaces", "other", {})
        with pytest.raises(TypeError):
            archive.update_attrs("surfaces", "surface", {"title": object()})


def test_what_was_read_stays_when_more_is_written() -> None:
    archive = filled(open_archive(None, "a"))
    before = archive.surface()
    values, label = before.loss.values.copy(), archive.surface_attrs("surface")
    archive.write_cells("surface", np.arange(6), {"loss": np.full(6, 9.0), "sample_loss": np.zeros((6, 4))})
    label["title"] = "another"
    np.testing.assert_array_equal(before.loss.values, values)
    assert archive.surface().loss.values.min() == 9.0 and archive.surface().attrs["title"] == "t"


def test_a_pickled_archive_is_a_copy() -> None:
    archive = filled(open_archive(None, "a"))
    copy = pickle.loads(pickle.dumps(archive))
    archive.create_surface("surface", {"alpha": np.arange(2.0)}, [schema.variable("loss")], {})
    assert copy.surface().loss.shape == (3, 2) and copy.root.store is copy.root


def test_arrays_grow_and_shrink() -> None:
    archive = open_archive(None, "a")
    array = create_array(archive.root, "rows", shape=(0, 2), chunks=(4, 2), dtype="float32", dims=("step", "entry"), fill_value=-1)
    array.resize((3, 2))
    array[0:2] = np.arange(4).reshape(2, 2)
    array.resize((2, 2))
    array.resize((3, 2))
    assert array[:].tolist() == [[0, 1], [2, 3], [-1, -1]] and array.dtype == np.float32


def test_an_evaluation_in_memory_is_that_on_a_store() -> None:
    objective = la.Objective(lambda p, batch: (p["w"] ** 2).sum(), params={"w": torch.tensor([3.0, 4.0])})
    plane = la.weight_plane(objective, ("w", 0), ("w", 1))
    results = [la.evaluate(objective, plane, resolution=(3, 5), archive=place) for place in (None, zarr.storage.MemoryStore())]
    for surface in results:
        surface.attrs = {k: v for k, v in surface.attrs.items() if k not in ("seconds", "created", "engine")}
    xr.testing.assert_identical(*results)
