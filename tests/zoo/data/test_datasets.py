"""MNIST and digits: published numbers, and every way a file can be damaged."""

from __future__ import annotations

import gzip
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from lossatlas.errors import InputError
from lossatlas.zoo.data.datasets import data_root, load_digits, load_mnist, normalize


@pytest.fixture
def mnist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three tiny pictures in standard files, plain; the download cache is empty."""
    monkeypatch.setattr("lossatlas.zoo.data.fetch.cache_root", lambda: tmp_path / "cache")
    folder = tmp_path / "data" / "mnist"
    folder.mkdir(parents=True)
    pixels = np.arange(3 * 28 * 28).astype(np.uint8)
    (folder / "train-images-idx3-ubyte").write_bytes(struct.pack(">BBBBIII", 0, 0, 8, 3, 3, 28, 28) + pixels.tobytes())
    (folder / "train-labels-idx1-ubyte").write_bytes(struct.pack(">BBBBI", 0, 0, 8, 1, 3) + bytes([7, 0, 9]))
    return folder


@pytest.mark.slow
def test_real_mnist_has_the_published_class_counts() -> None:
    # data/README.md, counted there with another program
    counts = {
        "train": [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949],
        "test": [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009],
    }
    _require_mnist()
    for split, expected in counts.items():
        data = load_mnist(split=split)
        assert np.bincount(data.labels).tolist() == expected
        assert data.images.shape == (sum(expected), 28, 28)
        assert data.images.dtype == np.uint8


@pytest.mark.slow
def test_real_mnist_count_is_the_head() -> None:
    _require_mnist()
    head = load_mnist(count=100)
    assert len(head) == 100
    assert np.array_equal(head.images, load_mnist().images[:100])
    assert head.labels[:5].tolist() == [5, 0, 4, 1, 9]


@pytest.mark.parametrize("place", ["", "mnist", "MNIST/raw"])
@pytest.mark.parametrize("zipped", [True, False])
def test_plain_and_gzipped_in_every_usual_folder(mnist: Path, tmp_path: Path, place: str, zipped: bool) -> None:
    root = tmp_path / "elsewhere"
    (root / place).mkdir(parents=True)
    for file in mnist.iterdir():
        target = root / place / (file.name + ".gz" * zipped)
        target.write_bytes(gzip.compress(file.read_bytes()) if zipped else file.read_bytes())
    data = load_mnist(root, download=False)
    assert data.labels.tolist() == [7, 0, 9]
    assert data.labels.dtype == np.int64
    assert np.array_equal(data.images.ravel(), np.arange(3 * 28 * 28).astype(np.uint8))


def _edit(change: str, content: bytes) -> bytes:
    return {
        "cut": content[:-1],
        "long": content + b"x",
        "magic": b"\x00\x00\x0d" + content[3:],
        "header": content[:9],
        "empty": b"",
        "gzip cut": gzip.compress(content)[:-20],
        "gzip flipped": gzip.compress(content)[:-6] + b"\xff" * 6,
        "count lies": content[:4] + b"\xff\xff\xff\xff" + content[8:],
    }[change]


@pytest.mark.parametrize("change", ["cut", "long", "magic", "header", "empty", "gzip cut", "gzip flipped", "count lies"])
def test_a_damaged_file_is_named_and_not_replaced(mnist: Path, change: str) -> None:
    file = mnist / "train-images-idx3-ubyte"
    file.write_bytes(_edit(change, file.read_bytes()))
    with pytest.raises(InputError, match=r"train-images-idx3-ubyte: got .* expected .* intact copy"):
        load_mnist(mnist.parent)


def test_labels_that_do_not_fit(mnist: Path) -> None:
    labels = mnist / "train-labels-idx1-ubyte"
    labels.write_bytes(struct.pack(">BBBBI", 0, 0, 8, 1, 2) + bytes([7, 0]))
    with pytest.raises(InputError, match="2 labels; expected 3"):
        load_mnist(mnist)
    labels.write_bytes(struct.pack(">BBBBI", 0, 0, 8, 1, 3) + bytes([7, 0, 10]))
    with pytest.raises(InputError, match="label 10"):
        load_mnist(mnist)


def test_missing_files_say_where_to_put_them(mnist: Path) -> None:
    with pytest.raises(InputError, match=r"t10k-images-idx3-ubyte.gz.*Put it there.*LOSSATLAS_DATA"):
        load_mnist(mnist.parent, split="test", download=False)


@pytest.mark.parametrize("arguments", [{"split": "val"}, {"count": 0}, {"count": 4}, {"count": -1}])
def test_wrong_arguments(mnist: Path, arguments: dict[str, object]) -> None:
    with pytest.raises(InputError):
        load_mnist(mnist.parent, **arguments)  # type: ignore[arg-type]


def test_data_root_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("lossatlas.zoo.data.fetch.cache_root", lambda: tmp_path / "cache")
    monkeypatch.setenv("LOSSATLAS_DATA", str(tmp_path))
    given = tmp_path / "given"
    given.mkdir()
    assert data_root(given) == given
    assert data_root() == tmp_path
    monkeypatch.delenv("LOSSATLAS_DATA")
    assert data_root() == tmp_path / "cache"
    with pytest.raises(InputError, match="a folder that exists"):
        data_root(tmp_path / "nowhere")


def test_digits() -> None:
    train, test = load_digits("train"), load_digits("test")
    assert (len(train), len(test), train.images.max()) == (1500, 297, 16)
    assert load_digits(count=5).labels.tolist() == [0, 1, 2, 3, 4]


def test_normalize_by_hand() -> None:
    images = np.array([[[[0, 51]], [[255, 102]]]], np.uint8)
    expected = np.array([[[[(0 - 0.1) / 0.2, (0.2 - 0.1) / 0.2]], [[(1 - 0.5) / 0.4, (0.4 - 0.5) / 0.4]]]])
    np.testing.assert_allclose(normalize(images, (0.1, 0.5), (0.2, 0.4), np.float64), expected, rtol=1e-15)
    with pytest.raises(InputError, match="2 numbers each"):
        normalize(images, (0.1,), (0.2,))


@pytest.mark.slow
def test_loading_imports_no_torch() -> None:
    code = "import sys; from lossatlas.zoo.data.datasets import load_digits; load_digits(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def _require_mnist() -> None:
    try:
        load_mnist(count=1, download=False)
    except InputError as error:
        pytest.skip(str(error))
