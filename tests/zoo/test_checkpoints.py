"""Checkpoints: forms that are read, forms that are refused, and the trained networks' published accuracies."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import nn

from lossatlas.compute.params.checkpoint import read_checkpoint
from lossatlas.errors import InputError
from lossatlas.zoo.checkpoints import load_checkpoint
from lossatlas.zoo.data.datasets import IMAGENET_MEAN, IMAGENET_STD, LI_MEAN, LI_STD, data_root, load_cifar10, normalize
from lossatlas.zoo.networks import network


def small(seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))


def without_counters(state: dict[str, Any]) -> dict[str, Any]:
    return {name: tensor for name, tensor in state.items() if "num_batches" not in name}


WRAPPINGS = {
    "plain": lambda state: state,
    "state_dict": lambda state: {"epoch": 300, "acc": 93.6, "state_dict": state},
    "model": lambda state: {"model": state, "optimizer": {"state": {}}},
    "twice": lambda state: {"model": {"state_dict": state}},
    "data parallel": lambda state: {"state_dict": {f"module.{name}": tensor for name, tensor in state.items()}},
    "compiled data parallel": lambda state: {f"_orig_mod.module.{name}": tensor for name, tensor in state.items()},
    "old torch": without_counters,
}


@pytest.mark.parametrize("wrapping", WRAPPINGS)
@pytest.mark.parametrize("zipped", [True, False])
def test_every_wrapping_gives_back_the_weights(tmp_path: Path, wrapping: str, zipped: bool) -> None:
    saved, model = small(1), small(2)
    torch.save(WRAPPINGS[wrapping](dict(saved.state_dict())), tmp_path / "net.t7", _use_new_zipfile_serialization=zipped)
    assert load_checkpoint(tmp_path / "net.t7", model) is model
    assert all(torch.equal(model.state_dict()[name], tensor) for name, tensor in saved.state_dict().items())


def test_safetensors(tmp_path: Path) -> None:
    saved, model = small(1), small(2)
    save_file(saved.state_dict(), tmp_path / "net.safetensors")
    load_checkpoint(tmp_path / "net.safetensors", model)
    assert torch.equal(model[0].weight, saved[0].weight)
    (tmp_path / "net.safetensors").write_bytes(b"\xff" * 40)
    with pytest.raises(InputError, match="cannot be read"):
        load_checkpoint(tmp_path / "net.safetensors", model)


def test_dtype_of_the_model_is_kept(tmp_path: Path) -> None:
    torch.save(small(1).state_dict(), tmp_path / "net.pt")
    model = load_checkpoint(tmp_path / "net.pt", small(2).double())
    assert model[0].weight.dtype == torch.float64


@pytest.mark.parametrize("zipped", [True, False])
def test_a_pickled_model_is_refused_with_the_safe_way(tmp_path: Path, zipped: bool) -> None:
    torch.save(small(), tmp_path / "net.pt", _use_new_zipfile_serialization=zipped)
    with pytest.raises(InputError, match=r"Sequential\); loading those can run any code.*torch\.save\(model\.state_dict\(\), NEW\)"):
        load_checkpoint(tmp_path / "net.pt", small())


class Hostile:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.target,)


def test_nothing_in_the_file_runs(tmp_path: Path) -> None:
    torch.save({"state_dict": {"a": torch.zeros(1)}, "extra": Hostile(tmp_path / "harm")}, tmp_path / "net.pt")
    with pytest.raises(InputError, match="Python objects"):
        read_checkpoint(tmp_path / "net.pt")
    assert not (tmp_path / "harm").exists()


@pytest.mark.parametrize("keep", [0, 20, 0.5, 0.9])
@pytest.mark.parametrize("zipped", [True, False])
def test_a_cut_file(tmp_path: Path, keep: float, zipped: bool) -> None:
    file = tmp_path / "net.pt"
    torch.save(small().state_dict(), file, _use_new_zipfile_serialization=zipped)
    content = file.read_bytes()
    file.write_bytes(content[: int(keep if keep >= 1 else keep * len(content))])
    with pytest.raises(InputError, match=r"net\.pt: got a (file that cannot be read|checkpoint with Python objects)"):
        load_checkpoint(file, small())  # a name cut in half is one that torch does not know


@pytest.mark.parametrize("text", ["hello", "import os", "{'a': 1}", "\x00\x01", "PK\x03\x04"])
def test_a_file_of_another_kind(tmp_path: Path, text: str) -> None:
    (tmp_path / "net.pt").write_text(text)
    with pytest.raises(InputError, match=r"net\.pt: got a"):
        load_checkpoint(tmp_path / "net.pt", small())


def test_a_file_that_wraps_itself(tmp_path: Path) -> None:
    content: dict[str, Any] = {}
    content["state_dict"] = content
    torch.save(content, tmp_path / "net.pt")
    with pytest.raises(InputError, match="no named tensors"):
        read_checkpoint(tmp_path / "net.pt")


def test_no_tensors_and_no_file(tmp_path: Path) -> None:
    torch.save([1, 2], tmp_path / "net.pt")
    with pytest.raises(InputError, match="no named tensors"):
        read_checkpoint(tmp_path / "net.pt")
    with pytest.raises(InputError, match="a file that exists"):
        read_checkpoint(tmp_path / "absent.pt")


def test_another_architecture_lists_what_differs_and_changes_nothing(tmp_path: Path) -> None:
    torch.save(network("resnet20", seed=0).state_dict(), tmp_path / "net.pt")
    model = network("resnet20_noshort", seed=1)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(InputError, match=r"has besides layer2\.0\.shortcut\.0\.weight"):
        load_checkpoint(tmp_path / "net.pt", model)
    assert all(torch.equal(model.state_dict()[name], tensor) for name, tensor in before.items())
    with pytest.raises(InputError, match=r"lacks .*layer1\.3\.conv1\.weight.* and \d+ more"):
        load_checkpoint(tmp_path / "net.pt", network("resnet56", seed=0))
    with pytest.raises(InputError, match=r"of other shape: conv1\.weight \(16, 3, 3, 3\) instead of \(32, 3, 3, 3\)"):
        load_checkpoint(tmp_path / "net.pt", network("wrn56_2", seed=0))


# -- the published networks, data/README.md ----------------------------------------------------------------------

LI, AKAMASTER = (LI_MEAN, LI_STD), (IMAGENET_MEAN, IMAGENET_STD)
PUBLISHED = [
    # file, network, normalization, right of the first 1,000 train images, loss there, right of 10,000 test images, loss there
    ("nets_cifar10_li2018/resnet56_model_300.t7", "resnet56", LI, 1000, 0.000607, 9366, 0.288304),
    ("nets_cifar10_li2018/resnet56_noshort_model_300.t7", "resnet56_noshort", LI, 955, 0.135748, 8669, 0.432743),
    ("nets_cifar10_akamaster/resnet20-12fca82f.th", "resnet20_a", AKAMASTER, 999, 0.005792, 9173, 0.372661),
    ("nets_cifar10_akamaster/resnet56-4bfd9763.th", "resnet56_a", AKAMASTER, 1000, 0.000738, 9339, 0.345829),
]


QUICK = ("resnet20_a", "resnet56_noshort")
"""One of each origin in the fast tests; each takes some seconds on one thread."""


def published(file: str, name: str) -> nn.Module:
    path = data_root() / file
    if not path.is_file():
        pytest.skip(f"{path} is not there")
    return load_checkpoint(path, network(name, seed=0)).eval()


def score(model: nn.Module, split: str, count: int | None, constants: tuple[Any, Any]) -> tuple[int, float]:
    """Right answers and mean cross entropy, summed in float64."""
    data = load_cifar10(split=split, count=count, download=False)
    right, loss = 0, 0.0
    with torch.inference_mode():
        for start in range(0, len(data), 250):
            images = torch.from_numpy(normalize(data.images[start : start + 250], *constants))
            labels = torch.from_numpy(data.labels[start : start + 250])
            logits = model(images)
            right += int((logits.argmax(1) == labels).sum())
            loss += F.cross_entropy(logits.double(), labels, reduction="sum").item()
    return right, loss / len(data)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("file", "name", "constants", "right", "loss"),
    [pytest.param(*row[:5], marks=() if row[1] in QUICK else pytest.mark.slow) for row in PUBLISHED],
)
def test_first_thousand_train_images(file: str, name: str, constants: Any, right: int, loss: float) -> None:
    assert score(published(file, name), "train", 1000, constants) == (right, pytest.approx(loss, abs=1e-6))


@pytest.mark.slow
@pytest.mark.parametrize(("file", "name", "constants", "right", "loss"), [(*row[:3], *row[5:]) for row in PUBLISHED])
def test_whole_test_set(file: str, name: str, constants: Any, right: int, loss: float) -> None:
    assert score(published(file, name), "test", None, constants) == (right, pytest.approx(loss, abs=1e-6))
