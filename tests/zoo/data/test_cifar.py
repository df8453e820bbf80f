"""CIFAR-10: every published form gives the same pictures, and a pickle that names code runs none of it."""

from __future__ import annotations

import hashlib
import io
import pickle
import struct
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lossatlas.errors import InputError
from lossatlas.zoo.data.datasets import IMAGENET_MEAN, LI_MEAN, LI_STD, load_cifar10, normalize
from lossatlas.zoo.safe_pickle import read_pickled_arrays

BATCH = 3
LABELS = np.arange(6 * BATCH).astype(np.uint8) % 10
PIXELS = np.random.default_rng(0).integers(0, 256, (6 * BATCH, 3072), np.uint8)
NAMES = [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Batches of three pictures in place of 10,000; the download cache is empty."""
    monkeypatch.setattr("lossatlas.zoo.data.cifar_files.BATCH", BATCH)
    monkeypatch.setattr("lossatlas.zoo.data.fetch.cache_root", lambda: tmp_path / "cache")


def python2_batch(pixels: np.ndarray, labels: np.ndarray) -> bytes:
    """The opcodes that Python 2 and NumPy 1 wrote in 2009, spelled out."""
    shape = b"K" + bytes([len(pixels)]) + b"M\x00\x0c\x86"
    array = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
    dtype = b"cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    state = b"(K\x01" + shape + dtype + b"\x89T" + struct.pack("<i", pixels.size) + pixels.tobytes() + b"tb"
    classes = b"](" + b"".join(b"K" + bytes([int(v)]) for v in labels) + b"e"
    return b"\x80\x02}(U\x04data" + array + state + b"U\x06labels" + classes + b"u."


def python3_batch(pixels: np.ndarray, labels: np.ndarray) -> bytes:
    return pickle.dumps({b"data": pixels, b"labels": labels.tolist()}, protocol=2)


def binary_batch(pixels: np.ndarray, labels: np.ndarray) -> bytes:
    return np.concatenate([labels[:, None], pixels], axis=1).tobytes()


def files(form: str) -> dict[str, bytes]:
    write = {"py2": python2_batch, "py3": python3_batch, "bin": binary_batch}[form]
    cuts = [slice(i * BATCH, (i + 1) * BATCH) for i in range(6)]
    return {name + ".bin" * (form == "bin"): write(PIXELS[cut], LABELS[cut]) for name, cut in zip(NAMES, cuts, strict=True)}


def write_tar(path: Path, contents: dict[str, bytes]) -> None:
    with tarfile.open(path, "w:gz") as tar:
        for name, content in contents.items():
            info = tarfile.TarInfo(f"cifar-10-batches/{name}")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))


def write_npz(path: Path, **changes: Any) -> None:
    pictures = PIXELS.reshape(-1, 3, 32, 32)
    arrays = {"train_x": pictures[:-BATCH], "train_y": LABELS[:-BATCH], "test_x": pictures[-BATCH:], "test_y": LABELS[-BATCH:]}
    np.savez(path, **(arrays | changes))


def place(root: Path, form: str) -> None:
    if form == "npz":
        write_npz(root / "cifar10.npz")
    elif form.endswith("tar"):
        write_tar(root / ("cifar-10-binary.tar.gz" if form == "bin tar" else "cifar-10-python.tar.gz"), files(form.removesuffix(" tar")))
    else:
        folder = root / "CIFAR10" / ("cifar-10-batches-bin" if form == "bin" else "cifar-10-batches-py")
        folder.mkdir(parents=True)
        for name, content in files(form).items():
            (folder / name).write_bytes(content)


@pytest.mark.parametrize("form", ["py2", "py3", "bin", "py2 tar", "bin tar", "npz"])
def test_every_form_gives_the_same_pictures(tmp_path: Path, form: str) -> None:
    place(tmp_path, form)
    train, test = load_cifar10(tmp_path, download=False), load_cifar10(tmp_path, "test", download=False)
    assert np.array_equal(train.images.reshape(-1, 3072), PIXELS[:-BATCH])
    assert train.labels.tolist() == LABELS[:-BATCH].tolist()
    assert np.array_equal(test.images.reshape(-1, 3072), PIXELS[-BATCH:])
    head = load_cifar10(tmp_path, count=BATCH + 1, download=False)
    assert np.array_equal(head.images, train.images[: BATCH + 1])


class Hostile:
    """Unpickled in the usual way, this creates a file."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.target,)


def test_a_hostile_pickle_is_refused_and_does_nothing(tmp_path: Path) -> None:
    content = pickle.dumps({b"data": Hostile(tmp_path / "harm"), b"labels": []})
    with pytest.raises(InputError, match="it wants to run"):
        read_pickled_arrays(content, "batch")
    assert not (tmp_path / "harm").exists()
    pickle.loads(content)
    assert (tmp_path / "harm").exists(), "the test's own pickle is harmless and proves nothing"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not a pickle",
        pickle.dumps([1, 2]),
        pickle.dumps({"data": np.array([object()], object)}, protocol=2),
        pickle.dumps({"data": np.arange(3.0)}, protocol=2),
        b"\x80\x02cbuiltins\neval\nU\x031+1\x85R.",
        b"\x80\x02cnumpy\ndtype\n}U\x01aK\x01sb.",  # tries to set an attribute on a stand-in
        python2_batch(PIXELS[:3], LABELS[:3])[:-4],
        python2_batch(PIXELS[:3], LABELS[:3]).replace(b"K\x03M\x00\x0c", b"K\x04M\x00\x0c", 1),  # sizes that do not fit
    ],
)
def test_a_pickle_of_anything_else_is_refused(content: bytes) -> None:
    with pytest.raises(InputError, match="a pickle that cannot be read"):
        read_pickled_arrays(content, "batch")


def test_damaged_batches(tmp_path: Path) -> None:
    place(tmp_path, "bin")
    batch = tmp_path / "CIFAR10" / "cifar-10-batches-bin" / "data_batch_3.bin"
    batch.write_bytes(batch.read_bytes()[:-5])
    with pytest.raises(InputError, match=r"data_batch_3.bin: got \d+ bytes"):
        load_cifar10(tmp_path, download=False)
    assert len(load_cifar10(tmp_path, count=2, download=False)) == 2
    batch.unlink()
    with pytest.raises(InputError, match="no data_batch_3"):
        load_cifar10(tmp_path, download=False)


def test_damaged_tar(tmp_path: Path) -> None:
    target = tmp_path / "cifar-10-binary.tar.gz"
    write_tar(target, files("bin"))
    whole = target.read_bytes()
    target.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match="a broken tar"):
        load_cifar10(tmp_path, download=False)
    write_tar(target, {name: content for name, content in files("bin").items() if "4" not in name})
    with pytest.raises(InputError, match="a tar without data_batch_4"):
        load_cifar10(tmp_path, download=False)


@pytest.mark.parametrize(
    "changes",
    [
        {"train_x": np.zeros((3, 32, 32), np.uint8)},
        {"train_x": np.zeros((3, 3, 32, 32), np.float32)},
        {"train_x": np.array([{}], object)},
        {"train_y": LABELS[:2]},
        {"train_y": LABELS[:-BATCH] + 5},
    ],
)
def test_foreign_npz(tmp_path: Path, changes: dict[str, np.ndarray]) -> None:
    write_npz(tmp_path / "cifar10.npz", **changes)
    with pytest.raises(InputError, match=r"cifar10\.npz"):
        load_cifar10(tmp_path, download=False)


def test_broken_npz(tmp_path: Path) -> None:
    target = tmp_path / "cifar10.npz"
    write_npz(target)
    target.write_bytes(target.read_bytes()[:-100])
    with pytest.raises(InputError, match="a broken or foreign npz"):
        load_cifar10(tmp_path, download=False)
    with zipfile.ZipFile(target, "w") as file:
        file.writestr("train_x.npy", b"\x93NUMPY\x01\x00")
    with pytest.raises(InputError, match="a broken or foreign npz"):
        load_cifar10(tmp_path, download=False)


def test_missing_files_say_where_to_put_them(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cifar-10-python.tar.gz.*Put one there.*LOSSATLAS_DATA"):
        load_cifar10(tmp_path, download=False)


@pytest.mark.slow
def test_real_head_and_normalization() -> None:
    data = _real(count=1000)
    assert data.labels[:10].tolist() == [6, 9, 9, 4, 1, 1, 2, 7, 8, 3]  # data/README.md
    # the head's channel means are near those of the whole set, by which Li et al. normalize
    assert np.abs(normalize(data.images, LI_MEAN, LI_STD).mean(axis=(0, 2, 3))).max() < 0.05
    np.testing.assert_allclose(data.images.mean(axis=(0, 2, 3)) / 255, IMAGENET_MEAN, atol=0.06)


@pytest.mark.slow
def test_real_arrays_have_the_published_checksums() -> None:
    train, test = _real(), _real(split="test")
    sums = [
        hashlib.sha256(array.astype(np.uint8).tobytes()).hexdigest() for array in (train.images, train.labels, test.images, test.labels)
    ]
    assert sums == [  # data/README.md
        "9d5c2eddadb0deff02c14c350c0385aab7b1d5ff1edfeb4997c8dc8644960111",
        "2b7cd2f24487317614016b72ffd53071c3062f592f0eb300c18a770d41ae1253",
        "177777c33ba79825320efa646ad04a94bdc3c80e4ebe3bd21724f8cdfd4b9d56",
        "cec8a24a1e92aa2ecaa0bbd3dbfa86bf6cd8759fbd209a832824c8cf0afca9d5",
    ]


def _real(**arguments: Any) -> Any:
    try:
        return load_cifar10(download=False, **arguments)
    except InputError as error:
        pytest.skip(str(error))
