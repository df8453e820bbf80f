"""Damage is noticed: flipped bits, lost files, and archives that are moved away while they are written."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr

import lossatlas as la
from lossatlas.viz.summary import describe_archive

SQUARE = la.Objective(lambda p, _: (p["w"] ** 2).sum(), params={"w": torch.tensor([3.0, 4.0])})
PLANE = la.weight_plane(SQUARE, ("w", 0), ("w", 1))
SURFACE = Path("surfaces/surface")
POWER_CUT = {"lost": None, "empty": b"", "zeros": bytes(40), "half": b'{"zarr_format": 3, "node_'}


def evaluate(place: Path, **options) -> xr.Dataset:
    return la.evaluate(SQUARE, PLANE, bounds=((-1, 1), (0, 2)), resolution=(4, 3), archive=place, **options)


def record(place: Path, **options) -> None:
    torch.manual_seed(0)
    model = torch.nn.Linear(2, 1)
    with la.Recorder(place, model, every=1, **options) as recorder:
        for _ in range(3):
            with torch.no_grad():
                model.weight.add_(1.0)
            recorder.step()


def damage(file: Path, content: bytes | None) -> None:
    file.unlink() if content is None else file.write_bytes(content)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("whole") / "a.zarr"
    evaluate(place)
    record(place)
    return place


@pytest.fixture
def place(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "a.zarr"))


@pytest.mark.parametrize("array", ["surfaces/surface/loss/c/0/0", "surfaces/surface/done/c/0/0", "trajectories/run/step/c/0"])
def test_every_flipped_bit_of_a_chunk_is_noticed(place: Path, array: str) -> None:
    honest, archive = (place / array).read_bytes(), la.open_archive(place)
    for bit in np.random.default_rng(0).choice(8 * len(honest), 5, replace=False):
        flipped = bytearray(honest)
        flipped[bit // 8] ^= 1 << bit % 8
        (place / array).write_bytes(bytes(flipped))
        with pytest.raises(la.ArchiveError, match=rf"The chunk {array} of .*a\.zarr is damaged.*Restore.*overwrite=True"):
            archive.surface() if "surfaces" in array else archive.trajectory()


def test_a_deleted_chunk_of_values_is_noticed(place: Path) -> None:
    before = la.open_archive(place).surface()
    (place / "surfaces/surface/loss/c/0/0").unlink()
    with pytest.warns(UserWarning, match=r"surfaces/surface/loss/c/0/0 of .*a\.zarr is missing.*NaN.*Restore"):
        assert la.open_archive(place).surface().loss.isnull().any()
    with pytest.warns(UserWarning, match="is missing"):
        evaluate(place)
    np.testing.assert_array_equal(la.open_archive(place).surface().loss, before.loss)


def test_a_chunk_of_nothing_but_nan_is_not_missing(tmp_path: Path) -> None:
    """Zarr does not store it; how many cells are NaN is on record."""
    objective = la.Objective(lambda p, _: p["w"].sum() * float("nan"), params={"w": torch.ones(2)})
    plane = la.weight_plane(objective, ("w", 0), ("w", 1))
    surface = la.evaluate(objective, plane, bounds=(-1, 1), resolution=(3, 2), archive=tmp_path / "a.zarr")
    assert surface.loss.isnull().all() and not (tmp_path / "a.zarr/surfaces/surface/loss/c").exists()


@pytest.mark.parametrize("array", ["theta", "buffers"])
def test_recorded_weights_carry_checksums(tmp_path: Path, array: str) -> None:
    model = torch.nn.BatchNorm1d(3)
    with la.Recorder(tmp_path / "a.zarr", model):
        pass
    chunk = tmp_path / f"a.zarr/trajectories/run/weights/{array}/c/0/0"
    content = bytearray(chunk.read_bytes())
    content[5] ^= 1
    chunk.write_bytes(bytes(content))
    with pytest.raises(la.ArchiveError, match=rf"{array}/c/0/0 .*is damaged"):
        la.Trajectory.open(tmp_path / "a.zarr").state(0)


@pytest.mark.parametrize("array", ["loss", "done"])
def test_cells_of_a_damaged_chunk_are_measured_again(place: Path, array: str) -> None:
    before, chunk = la.open_archive(place).surface(), place / SURFACE / array / "c/0/0"
    chunk.write_bytes(chunk.read_bytes()[:-5] + b"\0\1\2\3\4")
    with pytest.warns(UserWarning, match="12 cells are measured anew"):
        again = evaluate(place)
    np.testing.assert_array_equal(again.loss, before.loss)
    assert la.open_archive(place).surface().done.all()


def test_damaged_sample_losses_are_named(tmp_path: Path) -> None:
    objective = la.Objective(lambda p, x: (x - p["w"][0]) ** 2, data=torch.tensor([0.0, 2.0]), params={"w": torch.zeros(1)})
    la.evaluate(objective, la.weight_plane(objective, ("w", 0)), (0, 2), 3, ("loss", "sample_loss"), tmp_path / "a.zarr")
    chunk = next(file for file in (tmp_path / "a.zarr/surfaces/surface/sample_loss/c").rglob("*") if file.is_file())
    chunk.write_bytes(chunk.read_bytes()[:-1] + b"?")
    with pytest.raises(la.ArchiveError, match=r"sample_loss/c/.* is damaged"):
        la.SampleLossArray.open(tmp_path / "a.zarr").statistics()


@pytest.mark.parametrize("lost", ["c/0", "zarr.json", ""])
@pytest.mark.parametrize("axis", ["alpha", "beta"])
def test_lost_coordinates_are_rebuilt(place: Path, axis: str, lost: str) -> None:
    before, file = la.open_archive(place).surface(), place / SURFACE / axis / lost
    file.unlink() if lost else shutil.rmtree(file)
    with pytest.warns(UserWarning, match=f"surfaces/surface/{axis} are lost.*bounds and the resolution"):
        read = la.open_archive(place).surface()
    np.testing.assert_allclose(read[axis], before[axis], atol=1e-15)  # equal up to how the ends' rounding is shared out
    evaluate(place)
    np.testing.assert_array_equal(la.open_archive(place).surface()[axis], before[axis])


def test_lost_coordinates_that_nothing_tells_are_an_error(place: Path) -> None:
    del la.open_archive(place, "a").root[str(SURFACE)].attrs["grid"]
    (place / SURFACE / "beta/c/0").unlink()
    with pytest.raises(la.ArchiveError, match="beta are lost"):
        la.open_archive(place).surface()


@pytest.mark.parametrize("content", POWER_CUT.values(), ids=POWER_CUT)
@pytest.mark.parametrize(
    "file", ["zarr.json", "surfaces/surface/zarr.json", "surfaces/surface/loss/zarr.json", "surfaces/surface/done/zarr.json"]
)
def test_lost_metadata_of_a_surface_are_told_and_replaced(place: Path, file: str, content: bytes | None) -> None:
    before = la.open_archive(place).surface()
    damage(place / file, content)
    for use in (lambda: describe_archive(la.open_archive(place)), lambda: evaluate(place)):
        with pytest.raises(la.ArchiveError, match=r"zarr\.json .*(damaged|missing).*overwrite=True"):
            use()
    np.testing.assert_array_equal(evaluate(place, overwrite=True).loss, before.loss)
    assert la.open_archive(place).trajectories == ("run",), "what lay beside it is still there"


@pytest.mark.parametrize("content", POWER_CUT.values(), ids=POWER_CUT)
def test_metadata_between_archive_and_surface_are_not_needed(place: Path, content: bytes | None) -> None:
    damage(place / "surfaces/zarr.json", content)
    assert la.open_archive(place).surfaces == ("surface",)
    evaluate(place, name="other")
    assert la.open_archive(place).surfaces == ("other", "surface")
    assert la.open_archive(place).root["surfaces"].attrs.asdict() == {}


@pytest.mark.parametrize("content", POWER_CUT.values(), ids=POWER_CUT)
@pytest.mark.parametrize("file", ["zarr.json", "weight_norm/zarr.json", "weights/zarr.json", "weights/theta/zarr.json"])
def test_lost_metadata_of_a_recording_are_told_and_replaced(place: Path, file: str, content: bytes | None) -> None:
    damage(place / "trajectories/run" / file, content)
    with pytest.raises(la.ArchiveError, match=r"zarr\.json .*(damaged|missing).*overwrite=True"):
        trajectory = la.Trajectory.open(place)
        trajectory.vector(-1), trajectory.dataset
    record(place, overwrite=True)
    assert len(la.Trajectory.open(place)) == 4


def test_a_lost_step_coordinate_is_an_error(place: Path) -> None:
    (place / "trajectories/run/step/c/0").unlink()
    for read in (lambda: la.open_archive(place).trajectory(), lambda: la.Trajectory.open(place).steps):
        with pytest.raises(la.ArchiveError, match=r"(coordinates|steps) .*lost.*overwrite=True"):
            read()


@pytest.mark.parametrize("fate", ["moved", "deleted", "replaced"])
def test_an_archive_that_goes_away_under_an_evaluation_is_told(tmp_path: Path, fate: str) -> None:
    place = tmp_path / "a.zarr"

    def lose(*_: object) -> None:
        if not (tmp_path / "moved.zarr").exists():
            place.rename(tmp_path / "moved.zarr")
            if fate == "replaced":
                shutil.copytree(tmp_path / "moved.zarr", place, ignore=shutil.ignore_patterns(".lock-*"))

    with pytest.raises(la.ArchiveError, match=r"a\.zarr is no longer there: it was moved, deleted or replaced.*put it back"):
        evaluate(place, engine=la.Engine(tile=4), on_tile=lose)
    assert place.exists() == (fate == "replaced")
    for copy in (tmp_path / "moved.zarr", place) if fate == "replaced" else (tmp_path / "moved.zarr",):
        assert int(la.open_archive(copy).surface().done.sum()) == 4
    shutil.rmtree(place, ignore_errors=True)
    if fate == "moved":
        (tmp_path / "moved.zarr").rename(place)
    assert evaluate(place).done.all()


def test_an_archive_that_goes_away_under_a_recorder_is_told(tmp_path: Path) -> None:
    place, model = tmp_path / "a.zarr", torch.nn.Linear(2, 1)
    recorder = la.Recorder(place, model, every=1, flush_seconds=0)
    place.rename(tmp_path / "moved.zarr")
    with pytest.raises(la.ArchiveError, match=r"no longer there.*put it back"):
        recorder.step()
    assert not place.exists()
    (tmp_path / "moved.zarr").rename(place)
    recorder.close()
    assert la.Trajectory.open(place).steps.tolist() == [0, 1]


def test_archives_without_checksums_are_read_and_continued(place: Path) -> None:
    import zarr

    before = la.open_archive(place).surface()
    group = zarr.open_group(place / SURFACE, mode="r+")
    for name, array in list(group.arrays()):
        values, dims = array[...], array.metadata.dimension_names
        group.create_array(name, data=values, dimension_names=dims, attributes=dict(array.attrs), overwrite=True)
    assert "crc32c" not in (place / SURFACE / "loss/zarr.json").read_text()
    xr.testing.assert_equal(la.open_archive(place).surface(), before)
    la.open_archive(place, "a").mark_not_done("surface", np.array([5]))
    xr.testing.assert_equal(evaluate(place), before)
