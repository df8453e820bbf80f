"""The three sizes of a run: minutes, an evening of two processor cores, days of a GPU."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from lossatlas.errors import InputError
from lossatlas.recipes.common import SizeName, parse_size

TRAINING_IMAGES = 50_000
Optimizers = tuple[Literal["sgd", "adam"], ...]


@dataclass(frozen=True)
class RunSize:
    """The numbers in which runs differ; they are written on the figures.

    Attributes:
        samples: training images under planes; `test_samples`: test images behind error rates and dashed lines.
        tol: allowed error of planes and random lines (`lossatlas.evaluate`); None evaluates all `samples` at every point.
        resolution: points along each axis of a plane; `line`: of a line.
        line_samples: images of either split under the lines between solutions.
        rough_samples: images under measures of roughness, which look at every cell of many planes; None takes `fixed_samples`.
        train_samples: images that trainings see; `epochs`: passes over them.
        vgg: network of figures 2, 3, 8 and 9; `vgg_epochs`, `vgg_rate` (None: the paper's), `small_batch`, `large_batch`: its training.
        optimizers: of figure 9.
        record_every: epochs between recorded weights of `vgg`; 0 records about 50 times.
        depths: networks of figure 5, those with shortcuts first; `widths`: of figure 6, which also come without shortcuts.
        ratio_networks, ratio_samples, ratio_resolution: of the Hessian-ratio maps.
        seeds: random planes behind the numbers of figure 1; `directions`: random lines of the repeatability figure.
        trainings: networks that are trained here even where published weights are at hand, with settings that differ.
        imports: draw another's surface where no weights are at hand, instead of training.
    """

    name: SizeName
    samples: int
    test_samples: int
    resolution: int
    line: int
    line_samples: int
    train_samples: int
    epochs: int
    vgg: str
    vgg_epochs: int
    small_batch: int
    large_batch: int
    ratio_networks: tuple[str, ...]
    ratio_samples: int
    ratio_resolution: int
    depths: tuple[str, ...]
    widths: tuple[str, ...]
    seeds: int
    seed_resolution: int
    directions: int
    tol: float | None = None
    rough_samples: int | None = None
    vgg_rate: float | None = None
    optimizers: Optimizers = ("sgd", "adam")
    record_every: int = 0
    trainings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    imports: bool = False

    @property
    def fixed_samples(self) -> int:
        """Images of lines, the same at every point, for noise of sampling would look like curvature."""
        return self.samples if self.tol is None else self.line_samples

    @property
    def channels_last(self) -> bool:
        """Of trainings: what is faster, where bits need not be those of earlier versions."""
        return self.name == "laptop"


DEPTHS = ("resnet20", "resnet56", "resnet110", "resnet20_noshort", "resnet56_noshort", "resnet110_noshort")

FULL = RunSize(
    name="full",
    samples=1000,
    test_samples=10_000,
    resolution=51,
    line=101,
    line_samples=10_000,
    train_samples=50_000,
    epochs=300,
    vgg="vgg9",
    vgg_epochs=300,
    small_batch=128,
    large_batch=8192,
    ratio_networks=("resnet56", "resnet56_noshort", "densenet121"),
    ratio_samples=1000,
    ratio_resolution=21,
    depths=DEPTHS,
    widths=("resnet56", "wrn56_2", "wrn56_4", "wrn56_8"),
    seeds=3,
    seed_resolution=25,
    directions=10,
)
_CYCLE: dict[str, Any] = {"schedule": "one-cycle", "learning_rate": 0.3}
LAPTOP = RunSize(
    name="laptop",
    samples=50_000,
    tol=0.03,
    test_samples=10_000,
    resolution=31,
    line=51,
    line_samples=2000,
    rough_samples=200,
    train_samples=50_000,
    epochs=16,
    vgg="vgg9_quarter",
    vgg_epochs=50,
    vgg_rate=0.2,
    small_batch=128,
    large_batch=2048,
    record_every=1,
    optimizers=("sgd",),
    ratio_networks=("resnet20", "resnet20_noshort"),
    ratio_samples=32,
    ratio_resolution=21,
    depths=("resnet20", "resnet56", "resnet20_noshort", "resnet56_noshort"),
    widths=("wrn8_1", "wrn8_2"),
    seeds=3,
    seed_resolution=17,
    directions=10,
    trainings={
        "resnet20": _CYCLE,
        "resnet20_noshort": _CYCLE,
        "wrn8_1": {**_CYCLE, "epochs": 8},
        "wrn8_1_noshort": {**_CYCLE, "epochs": 8},
        "wrn8_2": {**_CYCLE, "epochs": 8},
        "wrn8_2_noshort": {**_CYCLE, "epochs": 8},
    },
    imports=True,
)
"""All of CIFAR-10 in networks that two processor cores train in an evening.

Planes of 31 x 31 cells on 50,000 images are estimated from some of them: 3 % of the log range is a fifth of a loss between 0.01 and 10
nats. 50 epochs in batches of 2,048 make 1,250 updates; the paper's 300 epochs in batches of 8,192 make 2,100.
"""
QUICK = RunSize(
    name="quick",
    samples=64,
    test_samples=1000,
    resolution=21,
    line=41,
    line_samples=300,
    train_samples=1000,
    epochs=6,
    vgg="vgg9_quarter",
    vgg_epochs=12,
    small_batch=25,
    large_batch=250,
    optimizers=("sgd",),
    ratio_networks=("resnet20", "resnet20_noshort"),
    ratio_samples=16,
    ratio_resolution=7,
    depths=DEPTHS,
    widths=("wrn8_1", "wrn8_2"),
    seeds=3,
    seed_resolution=13,
    directions=10,
    imports=True,
)
SIZES: dict[SizeName, RunSize] = {size.name: size for size in (QUICK, LAPTOP, FULL)}


def size_named(size: str | None, quick: bool) -> RunSize:
    """The size of that name; `quick` is a word for the first, and none at all means the last.

    >>> size_named(None, quick=True).name, size_named("laptop", quick=False).name, size_named(None, quick=False).name
    ('quick', 'laptop', 'full')

    Raises:
        InputError: an unknown size, or `quick` beside another one.
    """
    return SIZES[parse_size(size, quick)]


def with_planes(size: RunSize, images: str | int | None, tol: float | None, resolution: int | None) -> RunSize:
    """The size with other planes: on so many of the first training images or on "all", sampled to within `tol`, of another resolution.

    >>> made = with_planes(size_named("quick", quick=False), "all", 0.02, 101)
    >>> made.samples, made.tol, made.resolution
    (50000, 0.02, 101)

    Raises:
        InputError: numbers that are not positive, or more images than there are.
    """
    text = str(size.samples if images is None else TRAINING_IMAGES if images == "all" else images)
    count = int(text) if text.isdecimal() else 0
    if not 0 < count <= TRAINING_IMAGES:
        raise InputError("--images", str(images), f'a number up to {TRAINING_IMAGES:,}, or "all"')
    if tol is not None and not 0 < tol < 1:
        raise InputError("--tol", tol, "a share of the log range, above 0 and below 1")
    if resolution is not None and resolution < 3:
        raise InputError("--resolution", resolution, "at least 3 points along each axis")
    return replace(size, samples=count, tol=size.tol if tol is None else tol, resolution=resolution or size.resolution)
