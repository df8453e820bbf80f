"""CIFAR-10 loader, and the two normalizations under which networks are published."""

from __future__ import annotations

import os
from pathlib import Path

from lossatlas.errors import InputError
from lossatlas.zoo.data import cifar_files, fetch
from lossatlas.zoo.data.checks import check_choice, check_labels
from lossatlas.zoo.data.images import Images, check_count

CIFAR10_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")

LI_MEAN = (125.3 / 255, 123.0 / 255, 113.9 / 255)
LI_STD = (63.0 / 255, 62.1 / 255, 66.7 / 255)
"""Li et al. 2018, `cifar10/dataloader.py`: the channel means and deviations of CIFAR-10's train set."""

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
"""ImageNet's constants, which akamaster/pytorch_resnet_cifar10 uses on CIFAR-10 as well."""

FOLDERS = ("", "cifar10", "CIFAR10", "cifar-10")
PACKED = ("cifar10.npz", "cifar-10-python.tar.gz", "cifar-10-binary.tar.gz", "cifar-10-python.tar", "cifar-10-binary.tar")
UNPACKED = ("", "cifar-10-batches-py", "cifar-10-batches-bin")
TAR = "cifar-10-python.tar.gz"
TAR_SHA256 = "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce"
MIRRORS = ("https://www.cs.toronto.edu/~kriz/",)
SIZES = {"train": 50_000, "test": 10_000}


def load_cifar10(
    root: str | os.PathLike[str] | None = None, split: str = "train", count: int | None = None, *, download: bool = True
) -> Images:
    """CIFAR-10 from Python batches, binary batches, a tar of either, or one compact ``cifar10.npz``.

    The Python batches are pickles; they are read without executing them.

    Args:
        root: folder of the files or one that holds ``cifar10/``; None is `data_root()`.
        split: "train" (50,000 pictures) or "test" (10,000).
        count: only the first so many, in published order; only what they need is read.
        download: fetch missing files (170 MB, checked) where there is a network.

    Returns:
        images uint8 ``(n, 3, 32, 32)``, red plane first; labels int64 ``(n,)``, see `CIFAR10_CLASSES`.

    Raises:
        InputError: files missing and not to be fetched, or damaged.
    """
    check_choice("split", split, SIZES)
    if count is not None:
        check_count(count, SIZES[split], "CIFAR-10")
    path = _locate(fetch.data_root(root), download)
    images, labels = cifar_files.read_images(path, split, count)
    return Images(images, check_labels(labels, len(images), 10, path), "cifar10", split, CIFAR10_CLASSES).first(count)


def _locate(root: Path, download: bool) -> Path:
    folders = [*(root / name for name in FOLDERS), fetch.cache_root() / "cifar10"]
    batches = [folder / name for folder in folders for name in UNPACKED]
    if file := fetch.find(PACKED, folders):
        return file
    if file := fetch.find(("data_batch_1", "data_batch_1.bin", "test_batch", "test_batch.bin"), batches):
        return file.parent
    if download and (fetched := fetch.fetch(TAR, TAR_SHA256, MIRRORS, "cifar10")):
        return fetched
    raise InputError(
        "CIFAR-10",
        f"none of its files under {root}" + (" and no mirror that answers" if download else ""),
        f"{TAR}, cifar-10-binary.tar.gz, their unpacked folders or cifar10.npz in {root / 'cifar10'}",
        "Put one there, name its folder with --data DIR (root=), or set LOSSATLAS_DATA",
    )
