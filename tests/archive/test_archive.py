"""The archive: writing then reading is the identity, and strangers' folders are left alone."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr
import zarr
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from zarr.errors import ContainsGroupError

import lossatlas as la
from lossatlas import schema

FIXTURE = Path(__file__).parents[1] / "fixtures" / "small.zarr"


@given(values=hnp.arrays(np.float64, (3, 5)), chosen=st.sets(st.integers(0, 14), min_size=1))
def test_cells_come_back_as_written_and_the_rest_is_not_done(values: np.ndarray, chosen: set[int]) -> None:
    archive = la.open_archive(None, "a")
    axes = {"alpha": np.arange(3.0), "beta": np.linspace(-1, 1, 5)}
    archive.create_surface("s", axes, [schema.variable("loss")], {"note": {"nested": [1, 2.5, None, "x"]}})
    cells = np.array(sorted(chosen))
    archive.write_cells("s", cells, {"loss": values.ravel()[cells]})
    back = archive.surface("s")
    np.testing.assert_array_equal(back.loss.values.ravel()[cells], values.ravel()[cells])
    assert np.flatnonzero(back.done.values).tolist() == sorted(chosen)
    np.testing.assert_array_equal(back.beta, axes["beta"])
    assert back.attrs["note"] == {"nested": [1, 2.5, None, "x"]}


def test_large_surfaces_are_cut_into_chunks(tmp_path: Path) -> None:
    archive = la.open_archive(tmp_path / "big.zarr", "a")
    archive.create_surface("s", {"alpha": np.arange(130.0), "beta": np.arange(70.0)}, [schema.variable("loss")], {})
    cells = np.array([0, 64 * 70 + 65, 129 * 70 + 69])
    archive.write_cells("s", cells, {"loss": np.array([1.0, 2.0, 3.0])})
    assert archive.surface("s").loss.values.ravel()[cells].tolist() == [1, 2, 3]
    assert int(archive.surface("s").done.sum()) == 3


def test_a_stranger_reads_it_with_zarr_alone(tmp_path: Path) -> None:
    archive = la.open_archive(tmp_path / "a.zarr", "a")
    archive.create_surface("s", {"alpha": np.arange(2.0), "beta": np.arange(3.0)}, [schema.variable("loss")], {})
    meta = json.loads((tmp_path / "a.zarr/surfaces/s/loss/zarr.json").read_text())
    assert meta["zarr_format"] == 3
    assert meta["dimension_names"] == ["alpha", "beta"]
    assert meta["attributes"] == {"units": "nats", "long_name": "loss"}
    assert zarr.open_group(tmp_path / "a.zarr", mode="r").attrs["format"] == "lossatlas"


def test_trajectories_come_back(tmp_path: Path) -> None:
    steps = np.arange(4)
    path = xr.Dataset({"step": ("step", steps), "path_loss": ("step", [1.0, np.nan, -2.0, 0.0])}, attrs={"optimizer": "sgd"})
    archive = la.open_archive(tmp_path / "a.zarr", "a")
    archive.write_trajectory("t", path)
    back = la.open_archive(tmp_path / "a.zarr").trajectory()
    np.testing.assert_array_equal(back.path_loss, path.path_loss)
    assert back.attrs == {"optimizer": "sgd"}


def test_a_newer_format_is_refused(tmp_path: Path) -> None:
    la.open_archive(tmp_path / "a.zarr", "a").root.attrs["format_version"] = schema.FORMAT_VERSION + 1
    for mode in ("r", "a", "w"):
        with pytest.raises(la.ArchiveError, match="format version 2"):
            la.open_archive(tmp_path / "a.zarr", mode)


def test_what_is_not_an_archive_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.jpg").write_text("meow")
    (tmp_path / "file.zarr").write_text("not a folder")
    for place in (tmp_path / "photos", tmp_path / "file.zarr"):
        with pytest.raises(la.ArchiveError):
            la.open_archive(place, "a")
        with pytest.raises(la.ArchiveError):
            la.open_archive(place)
    with pytest.raises(la.ArchiveError, match="No archive"):
        la.open_archive(tmp_path / "nothing")
    zarr.open_group(tmp_path / "other.zarr", mode="w", zarr_format=3)
    with pytest.raises(la.ArchiveError, match="not a Lossatlas archive"):
        la.open_archive(tmp_path / "other.zarr")


def listing(place: Path) -> dict[str, bytes]:
    return {str(path.relative_to(place)): path.read_bytes() for path in place.rglob("*") if path.is_file()}


@pytest.mark.parametrize("holds", ["an array", "a group", "words", "itself an array"])
def test_a_strangers_zarr_is_not_taken_over(tmp_path: Path, holds: str) -> None:
    place = tmp_path / "theirs.zarr"
    if holds == "itself an array":
        zarr.create_array(place, shape=(2,), dtype="f8")
    else:
        theirs = zarr.open_group(place, mode="w", zarr_format=3, attributes={"owner": "someone"} if holds == "words" else {})
        if holds == "an array":
            theirs.create_array("temperature", shape=(2,), dtype="f8")[:] = 1.0
        elif holds == "a group":
            theirs.create_group("run")
    before = listing(place)
    with pytest.raises(la.ArchiveError, match="not a Lossatlas archive"):
        la.open_archive(place, "a")
    assert listing(place) == before


def test_an_empty_group_becomes_an_archive(tmp_path: Path) -> None:
    """As one whose maker was killed before it had said what it is, or one that was made for us."""
    zarr.open_group(tmp_path / "a.zarr", mode="w", zarr_format=3)
    assert la.open_archive(tmp_path / "a.zarr", "a").attrs["format"] == "lossatlas"
    assert la.open_archive(tmp_path / "a.zarr").surfaces == ()


def test_a_group_that_another_process_makes_meanwhile_is_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    honest, first = zarr.open_group, []

    def late(*args, **options) -> zarr.Group:
        if first:
            return honest(*args, **options)
        first.append(True)
        honest(*args, **options)
        raise ContainsGroupError("a group is there")

    monkeypatch.setattr(zarr, "open_group", late)
    assert la.open_archive(tmp_path / "a.zarr", "a").attrs["format"] == "lossatlas"


def test_a_path_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(la.ArchiveError, match="Cannot write"):
        la.open_archive(tmp_path / "file" / "a.zarr", "a")


def test_the_fixture_of_format_1_is_read_as_it_was_written() -> None:
    """docs/format.md describes these bytes; a change that breaks this test needs a new format version."""
    archive = la.open_archive(FIXTURE)
    surface = archive.surface("plane")
    assert surface.loss.dims == ("alpha", "beta")
    np.testing.assert_array_equal(surface.alpha, [-1.0, 0.0, 1.0])
    np.testing.assert_array_equal(surface.beta, [0.0, 0.5])
    np.testing.assert_array_equal(surface.loss, [[-1.0, 0.0], [np.nan, np.inf], [2.5, np.nan]])
    np.testing.assert_array_equal(surface.done, [[True, True], [True, True], [True, False]])
    assert surface.loss.attrs["units"] == "nats"
    path = archive.trajectory("path")
    np.testing.assert_array_equal(path.path_alpha, [1.0, 0.5])
    assert path.attrs["optimizer"] == "sgd"


def test_labels_carry_units() -> None:
    assert schema.label("loss") == "loss [nats]"
    assert schema.label("loss", "1") == "loss"
    assert schema.variable("loss_standard_error").long_name == "standard error of loss"


@pytest.mark.parametrize("damage", ["chunk", "metadata"])
def test_damaged_files_are_named_and_can_be_replaced(tmp_path: Path, damage: str) -> None:
    place = tmp_path / "a.zarr"
    square = la.Objective(lambda p, _: (p["w"] ** 2).sum(), params={"w": torch.tensor([3.0])})
    line = la.Plane.from_directions(square, {"w": torch.ones(1)})
    whole = la.evaluate(square, line, resolution=5, archive=place)
    (place / "surfaces/surface/loss" / ("c/0" if damage == "chunk" else "zarr.json")).write_bytes(b"{ nothing")
    with pytest.raises(la.ArchiveError, match=r"damaged.*overwrite=True"):
        la.open_archive(place).surface()
    if damage == "chunk":
        with pytest.warns(UserWarning, match="5 cells are measured anew"):
            anew = la.evaluate(square, line, resolution=5, archive=place)
    else:
        with pytest.raises(la.ArchiveError, match=r"loss/zarr\.json .*damaged"):
            la.evaluate(square, line, resolution=5, archive=place)
        anew = la.evaluate(square, line, resolution=5, archive=place, overwrite=True)
    np.testing.assert_array_equal(anew.loss, whole.loss)


def test_the_modes_read_append_and_replace(tmp_path: Path) -> None:
    """As in h5py and Zarr: "r" makes nothing, "a" keeps what is there, "w" begins anew."""
    place = tmp_path / "a.zarr"
    with pytest.raises(la.ArchiveError, match="No archive"):
        la.open_archive(place)
    assert not place.exists()
    archive = la.open_archive(place, "a")
    archive.create_surface("s", {"alpha": np.arange(2.0), "beta": np.arange(3.0)}, [schema.variable("loss")], {})
    archive.write_trajectory("t", xr.Dataset({"step": ("step", np.arange(2))}))
    assert la.open_archive(place, "a").surfaces == ("s",)
    with pytest.raises(Exception, match="read"):
        la.open_archive(place).write_trajectory("t", xr.Dataset({"step": ("step", np.arange(2))}))
    emptied = la.open_archive(place, "w")
    assert (emptied.surfaces, emptied.trajectories) == ((), ())
    assert sorted(path.name for path in place.iterdir()) == ["zarr.json"]
    emptied.create_surface("s", {"alpha": np.arange(4.0)}, [schema.variable("loss")], {})
    assert la.open_archive(place).surface().sizes == {"alpha": 4}


def test_an_archive_in_memory_is_opened_for_writing(tmp_path: Path) -> None:
    for mode in ("a", "w"):
        archive = la.open_archive(None, mode)
        archive.create_surface("s", {"alpha": np.arange(2.0)}, [schema.variable("loss")], {})
        assert archive.surfaces == ("s",)
    with pytest.raises(la.InputError, match=r'archive: got None.*mode="a"'):
        la.open_archive(None)
    with pytest.raises(la.InputError, match="mode: got x; expected 'r' or 'a' or 'w'"):
        la.open_archive(tmp_path / "a.zarr", "x")  # pyright: ignore[reportArgumentType]


def test_beginning_anew_takes_over_no_folder_of_others_and_no_surface_being_written(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.jpg").write_text("meow")
    zarr.create_array(tmp_path / "theirs.zarr", shape=(2,), dtype="f8")
    for place in (tmp_path / "photos", tmp_path / "theirs.zarr"):
        before = listing(place)
        with pytest.raises(la.ArchiveError):
            la.open_archive(place, "w")
        assert listing(place) == before
    archive = la.open_archive(tmp_path / "a.zarr", "a")
    archive.create_surface("s", {"alpha": np.arange(2.0)}, [schema.variable("loss")], {})
    lock = archive.lock("s")
    assert lock is not None
    try:
        with pytest.raises(la.ArchiveError, match="is writing 's'"):
            la.open_archive(tmp_path / "a.zarr", "w")
    finally:
        lock.release()
    assert la.open_archive(tmp_path / "a.zarr").surfaces == ("s",)


@pytest.mark.parametrize("slots", [None, [4, 2, 9, 0, 7]])
def test_part_of_a_recording_is_written_whole_elsewhere(slots: list[int] | None) -> None:
    rows = xr.Dataset({"epoch": ("step", np.arange(5.0))}, coords={"step": np.arange(5)}, attrs={"rows": 5, "slots": slots})
    archive = la.open_archive(None, "a")
    archive.write_trajectory("part", rows.isel(step=[0, 3, 4]))
    assert archive.trajectory("part").epoch.values.tolist() == [0.0, 3.0, 4.0]
