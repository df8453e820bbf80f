"""Data that do not fit in memory: the same surfaces, read in order once a block of samples, in flat memory, or refused with the reason."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset

import lossatlas as la
from lossatlas.archive.sample_draws import SampleDraws
from lossatlas.compute.objective.data import beyond_memory as data_beyond_memory
from lossatlas.compute.objective.data import fixed_data as data_module
from lossatlas.compute.objective.data.beyond_memory import SourceBatches
from lossatlas.compute.objective.data.fixed_data import freeze_data
from lossatlas.compute.objective.data.sample_selection import take_samples
from lossatlas.errors import InputError

SAMPLES, WIDTH = 1500, 4


def tensors(samples: int = SAMPLES) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(samples, WIDTH, generator=generator, dtype=torch.float64)
    return x, (x[:, :3] + torch.randn(samples, 3, generator=generator, dtype=torch.float64)).argmax(1)


class Logged(Dataset[tuple[Tensor, Tensor]]):
    """Notes which samples are read."""

    def __init__(self, noise: float = 0.0) -> None:
        self.x, self.y = tensors()
        self.reads, self.noise = list[int](), noise

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        self.reads.append(index)
        return self.x[index] + self.noise * torch.randn(WIDTH, dtype=torch.float64), self.y[index]


@pytest.fixture(autouse=True)
def small_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """20 kB instead of 8 GiB, of which 8 kB at once: 200 samples."""
    monkeypatch.setattr(data_module, "MAX_BYTES", 20_000)
    monkeypatch.setattr(data_beyond_memory, "PIECE_BYTES", 8_000)


def memory_maps(folder: Path) -> tuple[np.memmap, np.ndarray]:
    x, y = tensors()
    held = np.memmap(folder / "x.bin", np.float64, "w+", shape=tuple(x.shape))
    held[:] = x.numpy()
    held.flush()
    return np.memmap(folder / "x.bin", np.float64, "r", shape=tuple(x.shape)), y.numpy()


def source(kind: str, folder: Path) -> Any:
    if kind == "memory map":
        return memory_maps(folder)
    return DataLoader(Logged(), batch_size=64) if kind == "loader" else Logged()


def objective_of(data: Any) -> la.Objective:
    torch.manual_seed(0)
    return la.Objective(nn.Linear(WIDTH, 3).double(), F.cross_entropy, data, batch_size=None if isinstance(data, DataLoader) else 64)


def run(objective: la.Objective, tol: float | None = 0.1, **options: Any) -> xr.Dataset:
    engine = la.Engine(sampling="multilevel" if tol else "auto", executor="serial", evaluator="loop")
    return la.evaluate(objective, la.random_plane(objective, seed=1), (-1, 1), (9, 5), tol=tol, engine=engine, **options)


@pytest.fixture(scope="module")
def in_memory() -> la.Objective:
    return objective_of(tensors())


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["dataset", pytest.param("loader", marks=pytest.mark.slow), "memory map"])
def test_surfaces_are_those_of_the_same_data_in_memory(kind: str, in_memory: la.Objective, tmp_path: Path) -> None:
    """All samples and some of them; sums of another grouping agree to 1e-12."""
    objective = objective_of(source(kind, tmp_path))
    assert isinstance(objective.data.batches, SourceBatches) and objective.samples == SAMPLES
    np.testing.assert_allclose(run(objective, None).loss, run(in_memory, None).loss, rtol=1e-12)
    some, other = run(objective), run(in_memory)
    np.testing.assert_array_equal(some.samples_drawn, other.samples_drawn)
    np.testing.assert_allclose(some.loss_filled, other.loss_filled, rtol=1e-12)


def test_drawn_samples_are_read_in_order_once_a_block() -> None:
    data = Logged()
    objective = objective_of(data)
    data.reads.clear()
    surface = run(objective, tol=0.02)
    ends = [0, *(i + 1 for i, (a, b) in enumerate(pairwise(data.reads)) if b <= a), len(data.reads)]
    blocks = [data.reads[a:b] for a, b in pairwise(ends)]
    assert len(data.reads) == len(set(data.reads)) == int(surface.samples_drawn.max()), "no sample is in two blocks"
    assert len(blocks) >= 5 and max(map(len, blocks)) <= 8_000 // (8 * (WIDTH + 1)), "ascending, no more at once than memory holds"


@pytest.mark.slow
def test_a_stopped_run_continues(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, real, written = run(objective_of(Logged()), 0.02), SampleDraws.write, list[int]()

    def stop(self: SampleDraws, block: int, *arguments: Any) -> None:
        if block == 4:
            raise KeyboardInterrupt
        written.append(block)
        real(self, block, *arguments)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(SampleDraws, "write", stop)
        run(objective_of(Logged()), 0.02, archive=tmp_path / "a.zarr")
    data = Logged()
    objective = objective_of(data)
    data.reads.clear()
    rest = run(objective, 0.02, archive=tmp_path / "a.zarr")
    assert written and len(data.reads) < SAMPLES
    np.testing.assert_array_equal(rest.loss_filled, whole.loss_filled)


class Stream(IterableDataset[Any]):
    def __iter__(self) -> Any:
        return zip(*tensors(), strict=True)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (lambda: DataLoader(Logged(), batch_size=64, shuffle=True), "a DataLoader that shuffles"),
        (lambda: DataLoader(Logged(), batch_sampler=[[0, 1], [2, 3]]), "batches of its own"),
        (lambda: Logged(noise=0.1), "augments at random"),
        (lambda: DataLoader(Stream(), batch_size=64), "more than 8 GiB"),
        (lambda: iter([tensors()]), "more than 8 GiB"),
    ],
)
def test_what_is_not_the_same_when_read_again_is_refused(data: Any, reason: str) -> None:
    with pytest.raises(InputError, match=rf"(?s){reason}.*samples=N"):
        objective_of(data())


def test_what_fits_is_read_once_and_kept() -> None:
    few = TensorDataset(*tensors(50))
    assert not isinstance(freeze_data(few).batches, SourceBatches)
    assert not isinstance(freeze_data(Logged(), samples=50).batches, SourceBatches)


def test_batches_are_those_of_the_data_in_memory(tmp_path: Path) -> None:
    """Indices, slices, splits, changes and selections; the hash knows every byte and no batch size."""
    x, y = tensors()
    frozen = freeze_data(memory_maps(tmp_path), batch_size=64)
    batches = frozen.batches
    assert isinstance(batches, SourceBatches) and frozen.counts == (64,) * 23 + (28,)
    assert torch.equal(batches[-1][0], x[-28:]) and torch.equal(batches[1][1], y[64:128]) and len(batches[2:5]) == 3
    assert torch.equal(torch.cat([b[0] for b in frozen.split(50).map(lambda t: t * 2).batches]), 2 * x)
    chosen = np.array([0, 5, 63, 64, 1499])
    assert torch.equal(take_samples(frozen, chosen).batches[0][0], x[torch.from_numpy(chosen)])
    assert freeze_data(memory_maps(tmp_path), batch_size=7).hash == frozen.hash
    changed = np.memmap(tmp_path / "x.bin", np.float64, "r+", shape=tuple(x.shape))
    changed[700, 2] += 1e-9
    changed.flush()
    assert freeze_data(memory_maps_of(tmp_path), batch_size=64).hash != frozen.hash


def memory_maps_of(folder: Path) -> tuple[np.memmap, np.ndarray]:
    return np.memmap(folder / "x.bin", np.float64, "r", shape=(SAMPLES, WIDTH)), tensors()[1].numpy()


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads the memory of the process from Linux")
def test_memory_does_not_grow_with_the_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Four times the data, some cells with all of them: less than 100 MB more. A sparse file of 2 GB takes no disk.

    The values that were drawn are 8 MB, and the allocator gives back late what it has.
    """
    monkeypatch.setattr(data_module, "MAX_BYTES", 2**26)
    monkeypatch.setattr(data_beyond_memory, "PIECE_BYTES", 2**24)
    real, megabytes = SampleDraws.write, [0.0]
    monkeypatch.setattr(SampleDraws, "write", lambda *arguments: (megabytes.append(anonymous_megabytes()), real(*arguments))[1])
    for rows in (62_500, 250_000):
        before = max(megabytes)
        with (tmp_path / "x.bin").open("wb") as file:
            file.truncate(rows * 8000)
        x, y = np.memmap(tmp_path / "x.bin", np.float32, "r", shape=(rows, 2000)), np.arange(rows) % 3
        objective = la.Objective(nn.Linear(2000, 3), F.cross_entropy, (x, y))
        engine = la.Engine(sampling="multilevel", executor="serial", evaluator="loop")
        surface = la.evaluate(objective, la.random_plane(objective, seed=1), (-1, 1), 5, tol=0.5, engine=engine)
        assert int(surface.samples_drawn.max()) == rows and (tmp_path / "x.bin").stat().st_blocks < 100
    assert max(megabytes) - before < 100


def anonymous_megabytes() -> float:
    """Of the process, without the pages of files, which the system takes back when it likes."""
    match = re.search(r"RssAnon:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert match is not None
    return int(match[1]) / 1024
