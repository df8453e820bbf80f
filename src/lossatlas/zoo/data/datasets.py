"""Loaders of MNIST, CIFAR-10 and scikit-learn's digits from their standard files.

Nothing here imports torch. Files are looked for under the data root (`data_root`), then fetched where there is a
network; a file that is there but damaged is an error, never silently replaced.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from lossatlas.errors import InputError
from lossatlas.zoo.data import fetch
from lossatlas.zoo.data.checks import check_choice, check_labels
from lossatlas.zoo.data.cifar import IMAGENET_MEAN, IMAGENET_STD, LI_MEAN, LI_STD, load_cifar10
from lossatlas.zoo.data.fetch import data_root
from lossatlas.zoo.data.idx import read_idx
from lossatlas.zoo.data.images import Images, normalize

__all__ = [
    "IMAGENET_MEAN",
    "IMAGENET_STD",
    "LI_MEAN",
    "LI_STD",
    "Images",
    "data_root",
    "load_cifar10",
    "load_digits",
    "load_mnist",
    "normalize",
]

Root = str | os.PathLike[str] | None

MNIST_FOLDERS = ("", "mnist", "MNIST", "MNIST/raw", "mnist/raw")
MNIST_MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
    "https://raw.githubusercontent.com/fgnt/mnist/master/",
)
MNIST_FILES = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}
MNIST_SHA256 = {
    "train-images-idx3-ubyte": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
    "train-labels-idx1-ubyte": "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
    "t10k-images-idx3-ubyte": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
    "t10k-labels-idx1-ubyte": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
}


def load_mnist(root: Root = None, split: str = "train", count: int | None = None, *, download: bool = True) -> Images:
    """MNIST from its four idx files, gzipped or plain.

    Args:
        root: folder of the files, or one that holds ``mnist/`` or ``MNIST/raw/``; None is `data_root()`.
        split: "train" (60,000 pictures) or "test" (10,000).
        count: only the first so many, in published order.
        download: fetch missing files (11 MB, checked) where there is a network.

    Returns:
        images uint8 ``(n, 28, 28)``, 0 is background; labels int64 ``(n,)``, 0..9.

    Raises:
        InputError: files missing and not to be fetched, damaged, or not fitting each other.
    """
    image_name, label_name = MNIST_FILES[check_choice("split", split, MNIST_FILES)]
    folders = _folders(root, MNIST_FOLDERS, "mnist")
    image_path, label_path = (_mnist_file(name, folders, download) for name in (image_name, label_name))
    images, labels = read_idx(image_path, ndim=3), read_idx(label_path, ndim=1)
    if images.shape[1:] != (28, 28):
        raise InputError(str(image_path), images.shape, "pictures of 28x28", "Replace the file with MNIST's own")
    return Images(images, check_labels(labels, len(images), 10, label_path), "mnist", split, tuple("0123456789")).first(count)


def load_digits(split: str = "all", count: int | None = None) -> Images:
    """The 1,797 handwritten digits that ship with scikit-learn; nothing is downloaded.

    Args:
        split: "all", or "train" (the first 1,500) or "test" (the other 297).
        count: only the first so many.

    Returns:
        images uint8 ``(n, 8, 8)`` with values **0..16** (not 255): divide by 16; labels int64 ``(n,)``, 0..9.

    >>> digits = load_digits()
    >>> digits.images.shape, int(digits.images.max()), digits.labels[:3]
    ((1797, 8, 8), 16, array([0, 1, 2]))
    """
    from sklearn.datasets import load_digits as bundled

    where = {"all": slice(None), "train": slice(1500), "test": slice(1500, None)}[check_choice("split", split, ("all", "train", "test"))]
    pixels, labels = bundled(return_X_y=True)
    images = np.asarray(pixels, np.uint8).reshape(-1, 8, 8)
    return Images(images[where], np.asarray(labels, np.int64)[where], "digits", split, tuple("0123456789")).first(count)


def _folders(root: Root, below: tuple[str, ...], cache: str) -> list[Path]:
    start = data_root(root)
    return [*(start / name for name in below), fetch.cache_root() / cache]


def _mnist_file(name: str, folders: list[Path], download: bool) -> Path:
    file = fetch.find((f"{name}.gz", name), folders)
    if file is None and download:
        file = fetch.fetch(f"{name}.gz", MNIST_SHA256[name], MNIST_MIRRORS, "mnist")
    if file is None:
        raise InputError(
            "MNIST",
            f"no {name}.gz under {folders[0]}" + (" and no mirror that answers" if download else ""),
            f"the standard idx file, gzipped or plain, as {folders[0] / 'mnist' / name}.gz",
            "Put it there, name its folder with --data DIR (root=), or set LOSSATLAS_DATA",
        )
    return file
