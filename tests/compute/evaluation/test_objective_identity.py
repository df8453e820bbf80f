"""A stored surface is continued by the objective that began it, and by no other."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import lossatlas as la
from lossatlas.compute.evaluation.storage.objective_identity import identity

X = torch.randn(30, 4, generator=torch.Generator().manual_seed(0))
Y = torch.arange(30) % 3
SMOOTHING = 0.1


class Net(nn.Module):
    def __init__(self, power: float = 1.0, norm: bool = True) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.first, self.norm, self.last = nn.Linear(4, 6), nn.BatchNorm1d(6) if norm else nn.Identity(), nn.Linear(6, 3)
        self.power, self.calls = power, 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        return self.last(self.bend(self.norm(self.first(x))))

    def bend(self, x: Tensor) -> Tensor:
        return torch.tanh(x) * self.power


class Other(Net):
    def bend(self, x: Tensor) -> Tensor:
        return torch.relu(x) * self.power


def objective(model: nn.Module | None = None, loss: Any = F.cross_entropy, **options: Any) -> la.Objective:
    return la.Objective(model or Net(), loss, (X, Y), **options)


def moved(model: Net) -> Net:
    assert isinstance(model.norm, nn.BatchNorm1d) and model.norm.running_mean is not None
    model.norm.running_mean += 0.5
    return model


def scaled(factor: float) -> Callable[..., Tensor]:
    return lambda o, t: factor * F.cross_entropy(o, t)


def same_lambda() -> Callable[..., Tensor]:
    return lambda o, t: F.cross_entropy(o, t, label_smoothing=SMOOTHING)


AGAIN = r"its loss at \(alpha\) = "
"""What measuring cells again says."""

CHANGES: dict[str, tuple[Callable[[], la.Objective], Callable[[], la.Objective], str]] = {
    "label smoothing": (
        lambda: objective(loss=nn.CrossEntropyLoss()),
        lambda: objective(loss=nn.CrossEntropyLoss(label_smoothing=0.3)),
        AGAIN,
    ),
    "class weights": (
        lambda: objective(loss=nn.CrossEntropyLoss(weight=torch.ones(3))),
        lambda: objective(loss=nn.CrossEntropyLoss(weight=torch.tensor([1.0, 2.0, 3.0]))),
        AGAIN,
    ),
    "another lambda": (
        lambda: objective(loss=lambda o, t: F.cross_entropy(o, t)),
        lambda: objective(loss=lambda o, t: F.multi_margin_loss(o, t)),
        AGAIN,
    ),
    "a closure": (lambda: objective(loss=scaled(1.0)), lambda: objective(loss=scaled(2.0)), AGAIN),
    "another forward": (lambda: objective(Net()), lambda: objective(Other()), AGAIN),
    "a setting": (lambda: objective(Net()), lambda: objective(Net(power=2.0)), AGAIN),
    "buffers": (lambda: objective(Net()), lambda: objective(moved(Net())), "BatchNorm statistics"),
    "batches that count": (
        lambda: objective(mode="batch", batch_size=10),
        lambda: objective(mode="batch", batch_size=15),
        "other batches",
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_another_objective_does_not_continue(tmp_path: Path, change: str) -> None:
    first, second, words = CHANGES[change]
    begun = first()
    line = la.random_plane(begun, ndim=1)
    stored = la.evaluate(begun, line, resolution=3, archive=tmp_path / "a.zarr")
    with pytest.raises(la.ArchiveError, match=words):
        la.evaluate(second(), line, resolution=3, archive=tmp_path / "a.zarr")
    again = la.evaluate(first(), line, resolution=3, archive=tmp_path / "a.zarr")
    np.testing.assert_array_equal(again.loss, stored.loss)


def test_buffers_between_models_count_where_they_are_interpolated(tmp_path: Path) -> None:
    target, start, end = objective(mode="interpolated"), Net(), Net()
    nn.init.ones_(end.last.bias)
    la.evaluate(target, la.plane_through(start, end), resolution=3, archive=tmp_path / "a.zarr")
    with pytest.raises(la.ArchiveError, match="buffers"):
        la.evaluate(target, la.plane_through(start, moved(end)), resolution=3, archive=tmp_path / "a.zarr")


def test_another_batch_size_continues(tmp_path: Path) -> None:
    plane = la.random_plane(objective(), seed=3)

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        la.evaluate(objective(batch_size=30), plane, resolution=(4, 3), archive=tmp_path / "a.zarr", engine=la.Engine(tile=5), on_tile=stop)
    rest = la.evaluate(objective(batch_size=7), plane, resolution=(4, 3), archive=tmp_path / "a.zarr")
    np.testing.assert_allclose(rest.loss, la.evaluate(objective(), plane, resolution=(4, 3)).loss, rtol=1e-5)


def test_other_data_do_not_continue(tmp_path: Path) -> None:
    plane = la.random_plane(objective(), seed=3)
    la.evaluate(objective(), plane, resolution=2, archive=tmp_path / "a.zarr")
    with pytest.raises(la.ArchiveError, match="the data are others"):
        la.evaluate(la.Objective(Net(), F.cross_entropy, (X.flip(0), Y.flip(0))), plane, resolution=2, archive=tmp_path / "a.zarr")


@pytest.mark.slow
def test_an_archive_without_identity_is_continued(tmp_path: Path) -> None:
    """As those written before there was one; its data hash is compared then."""
    plane, place = la.random_plane(objective(), seed=3), tmp_path / "a.zarr"
    la.evaluate(objective(), plane, resolution=2, archive=place)
    group = la.open_archive(place, "a").root["surfaces/surface"]
    del group.attrs["identity"]
    assert la.evaluate(objective(), plane, resolution=2, archive=place).done.all()
    with pytest.raises(la.ArchiveError, match="its loss at"):
        la.evaluate(objective(Other()), plane, resolution=2, archive=place)
    with pytest.raises(la.ArchiveError, match="data"):
        la.evaluate(objective(batch_size=7), plane, resolution=2, archive=place)


def test_counting_calls_and_being_used_change_nothing() -> None:
    calls, seen = [], 0

    def loss(o: Tensor, t: Tensor) -> Tensor:
        nonlocal seen
        seen += 1
        calls.append(1)
        return F.cross_entropy(o, t)

    target = objective(loss=loss)
    plane = la.random_plane(target)
    before = identity(target, plane)
    la.evaluate(target, plane, resolution=2)
    assert identity(target, plane) == before
    assert identity(objective(loss=loss), plane) == before


def test_keys_of_older_versions_are_not_compared(tmp_path: Path) -> None:
    """They hashed bytecode as well."""
    plane, place = la.random_plane(objective(), seed=3), tmp_path / "a.zarr"
    la.evaluate(objective(), plane, resolution=2, archive=place)
    group = la.open_archive(place, "a").root["surfaces/surface"]
    group.attrs["identity"] = {**group.attrs["identity"], "code": "Python 3.99, torch 9.9", "model": "x", "loss": "y"}
    assert la.evaluate(objective(), plane, resolution=2, archive=place).done.all()


@pytest.mark.slow
def test_another_process_finds_the_same_hashes() -> None:
    """Whatever its hash seed and addresses."""
    words = f"""
import sys
sys.path[:0] = [{str(Path(__file__).parent)!r}, {str(Path(__file__).parents[2])!r}]
import runpy
names = runpy.run_path({__file__!r}, run_name="__main__")
target = names["objective"](names["Net"](), names["same_lambda"]())
print(sorted(names["identity"](target, names["la"].random_plane(target)).items()))
"""
    target = objective(Net(), same_lambda())
    told = f"{sorted(identity(target, la.random_plane(target)).items())}\n"
    for seed in ("1", "2"):
        around = {**os.environ, "PYTHONHASHSEED": seed}
        done = subprocess.run([sys.executable, "-c", words], capture_output=True, text=True, check=False, env=around)
        assert done.stdout == told, done.stderr
