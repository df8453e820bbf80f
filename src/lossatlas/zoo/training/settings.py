"""Training settings: the paper's schedule unless told otherwise."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, get_args

import torch

from lossatlas.errors import InputError
from lossatlas.zoo.data.checks import check_choice
from lossatlas.zoo.networks import NETWORKS

Optimizer = Literal["sgd", "adam"]
Schedule = Literal["steps", "one-cycle"]
Precision = Literal["float32", "bfloat16"]

EPOCHS = 300
DROPS = (150, 225, 275)
"""Epochs, of 300, after which the learning rate falls to a tenth (Li et al. 2018, ``cifar10/main.py``)."""
LEARNING_RATES = {"sgd": 0.1, "adam": 1e-3}
HARD_TO_START = {"resnet110_noshort": 0.01}
"""Networks that the paper trains at a lower rate."""
WARM_UP = 0.2
"""Share of a one-cycle schedule in which the learning rate rises; it falls to zero over the rest, both along straight lines."""
MOST_ROWS = 50
"""Recorded epochs of a long training, about."""


@dataclass(frozen=True)
class Training:
    """Everything that decides a training's outcome; two equal ones give equal weights.

    The defaults are the paper's: SGD with Nesterov momentum 0.9 at rate 0.1, a tenth of it after 150, 225 and 275 of
    300 epochs (in proportion for other lengths), weight decay 5e-4, batches of 128, seed 0; Adam at 1e-3. Colored
    pictures are augmented by shifts and flips. LeNet learns MNIST, the others CIFAR-10.

    Attributes:
        network: a name in `zoo.networks.NETWORKS`.
        epochs: passes over the training pictures.
        samples: only the first so many training pictures; None takes all.
        test_samples: the same of the test pictures.
        batch_size: pictures an update; at least 2, since batch norm needs two.
        learning_rate: the first one; None takes the paper's for this optimizer and network.
        weight_decay: L2, added to the gradient.
        optimizer: "sgd" or "adam".
        seed: of initial weights, order and augmentation.
        record_every: epochs between recorded rows, each as large as the network (VGG-16: 60 MB); 0 chooses about 50 rows.
        schedule: "steps" is the paper's; "one-cycle" rises from zero to `learning_rate` and falls back to zero (Smith & Topin 2017,
            arXiv:1708.07120), which needs far fewer epochs.
        precision: of forward and backward passes; "bfloat16" casts what torch's autocast does, weights and updates stay float32.
        channels_last: memory layout of pictures and convolutions; faster on most processors, with other rounding errors.

    Raises:
        InputError: a value outside what is allowed.

    >>> [Training("resnet56").rate(epoch) for epoch in (0, 149, 150, 299)]
    [0.1, 0.1, 0.01, 0.0001]
    """

    network: str
    epochs: int = EPOCHS
    samples: int | None = None
    test_samples: int | None = None
    batch_size: int = 128
    learning_rate: float | None = None
    weight_decay: float = 5e-4
    optimizer: Optimizer = "sgd"
    seed: int = 0
    record_every: int = 0
    schedule: Schedule = "steps"
    precision: Precision = "float32"
    channels_last: bool = False
    augment: bool = field(init=False)

    def __post_init__(self) -> None:
        check_choice("network", self.network, NETWORKS)
        check_choice("optimizer", self.optimizer, get_args(Optimizer))
        check_choice("schedule", self.schedule, get_args(Schedule))
        check_choice("precision", self.precision, get_args(Precision))
        _check_least(epochs=(self.epochs, 1), batch_size=(self.batch_size, 2), seed=(self.seed, 0), record_every=(self.record_every, 0))
        _check_least(samples=(self.samples, 2), test_samples=(self.test_samples, 1))
        rate = LEARNING_RATES[self.optimizer] if self.learning_rate is None else self.learning_rate
        if self.learning_rate is None and self.optimizer == "sgd":
            rate = HARD_TO_START.get(self.network, rate)
        if not (math.isfinite(rate) and rate > 0):
            raise InputError("learning_rate", rate, "a positive number", "The paper's is 0.1 for sgd and 0.001 for adam")
        if not (math.isfinite(self.weight_decay) and self.weight_decay >= 0):
            raise InputError("weight_decay", self.weight_decay, "zero or a positive number, such as 5e-4")
        object.__setattr__(self, "learning_rate", float(rate))
        object.__setattr__(self, "augment", self.dataset == "cifar10")

    @property
    def dataset(self) -> str:
        return "mnist" if self.network == "lenet" else "cifar10"

    @property
    def drops(self) -> tuple[int, ...]:
        """Epochs after which the rate falls to a tenth.

        >>> Training("vgg9", epochs=10).drops
        (5, 8, 9)
        >>> Training("vgg9", epochs=10, schedule="one-cycle").drops
        ()
        """
        if self.schedule == "one-cycle":
            return ()
        return tuple(sorted({round(drop * self.epochs / EPOCHS) for drop in DROPS} - {0, self.epochs}))

    @property
    def recorded_every(self) -> int:
        """Epochs between recorded rows."""
        return self.record_every or max(1, round(self.epochs / MOST_ROWS))

    def rate(self, epoch: float) -> float:
        """The learning rate at so many epochs from the start.

        >>> cycle = Training("vgg9", epochs=10, learning_rate=0.4, schedule="one-cycle")
        >>> [round(cycle.rate(epoch), 3) for epoch in (0, 1, 2, 6, 10)]
        [0.0, 0.2, 0.4, 0.2, 0.0]
        """
        assert self.learning_rate is not None
        if self.schedule == "one-cycle":
            progress = epoch / self.epochs
            return self.learning_rate * min(progress / WARM_UP, (1 - progress) / (1 - WARM_UP))
        return self.learning_rate / 10 ** sum(epoch >= drop for drop in self.drops)

    def as_dict(self) -> dict[str, Any]:
        """Plain data, as checkpoints and archives keep it."""
        return asdict(self)


def default_precision() -> Precision:
    """Type "bfloat16" where the processor multiplies in it (AMX, AVX-512 BF16), about twice as fast as float32 there; else "float32"."""
    asked = (getattr(torch.cpu, name, None) for name in ("_is_amx_tile_supported", "_is_avx512_bf16_supported"))
    return "bfloat16" if any(is_supported is not None and is_supported() for is_supported in asked) else "float32"


def _check_least(**numbers: tuple[int | None, int]) -> None:
    for name, (number, least) in numbers.items():
        if number is not None and (isinstance(number, bool) or number < least):
            raise InputError(name, number, f"a whole number of at least {least}")
