"""Sampling without replacement: shuffled mini-batches and finite-population corrections."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lossatlas._util.argument_checks import check_integer
from lossatlas.errors import InputError

Indices = NDArray[np.int64]
Array = NDArray[np.float64]
Z95 = 1.959963984540054
"""The 97.5 % point of the standard normal distribution."""


def shuffled_batches(samples: int, batch_size: int, *, epochs: int = 1, seed: int = 0, drop_last: bool = True) -> list[Indices]:
    """Batches of `epochs` passes over the data, each pass in a new random order.

    Within a pass no sample comes twice, so its batches make up for one another: their mean is that of all the data.

    Args:
        samples: in the data.
        batch_size: samples a batch.
        epochs: passes.
        seed: of the orders.
        drop_last: leave out what is left of a pass that batches do not divide.

    Raises:
        InputError: a batch larger than the data, or a number below one.

    Example:
        >>> batches = shuffled_batches(6, 2, seed=1)
        >>> len(batches), sorted(np.concatenate(batches).tolist())
        (3, [0, 1, 2, 3, 4, 5])
    """
    check_batch_size(batch_size, samples)
    if epochs < 1:
        raise InputError("epochs", epochs, "at least one pass")
    random = np.random.default_rng(seed)
    orders = [random.permutation(samples) for _ in range(epochs)]
    end = samples // batch_size * batch_size if drop_last else samples
    return [order[start : min(start + batch_size, end)] for order in orders for start in range(0, end, batch_size)]


def check_batch_size(batch_size: int, samples: int) -> None:
    """Refuse a batch that the data cannot fill.

    Raises:
        InputError: below one, or larger than the data.
    """
    if not 1 <= batch_size <= samples:
        raise InputError("batch_size", batch_size, f"1 to {samples:,}, the samples there are")


def sampling_fpc(batch_size: int, samples: int) -> float:
    """``sqrt((N - B) / (N - 1))``: how much less the mean of B spreads when drawn without replacement.

    >>> sampling_fpc(1, 100), sampling_fpc(100, 100)
    (1.0, 0.0)
    """
    check_batch_size(batch_size, samples)
    return float(np.sqrt((samples - batch_size) / (samples - 1))) if samples > 1 else 0.0


def standard_error_fpc(samples: int, population: int | None) -> float:
    """``sqrt(1 - n / N)``: what is left of a standard error where n of N samples were drawn without replacement.

    With the unbiased variance ``s^2`` of the n this is ``sigma / sqrt(n) * sqrt((N - n) / (N - 1))``, for
    ``s^2 (N - 1) / N`` estimates ``sigma^2``. Without N the supply is endless.

    >>> standard_error_fpc(75, 100), standard_error_fpc(100, 100), standard_error_fpc(100, None)
    (0.5, 0.0, 1.0)

    Raises:
        InputError: fewer in the population than were drawn.
    """
    if population is not None:
        check_integer("population", population)
    if population is None:
        return 1.0
    if population < samples:
        raise InputError("population", population, f"at least the {samples:,} samples drawn, or None")
    return float(np.sqrt(1 - samples / population))


def wilson_interval(share: Array, count: int, fpc: float = 1.0) -> tuple[Array, Array]:
    """95 % interval of a probability from the share of `count` values that are 1 (Wilson 1927, equation 3; Brown, Cai & DasGupta 2001).

    Args:
        share: of ones, any shape.
        count: of values.
        fpc: factor of the standard error for values drawn without replacement (`standard_error_fpc`); 0 leaves the share itself.

    Returns:
        Lower and upper ends, within [0, 1] also where no value or every value is 1.

    >>> low, high = wilson_interval(np.array([0.0, 0.5]), 10)
    >>> low.round(4).tolist(), high.round(4).tolist()
    ([0.0, 0.2366], [0.2775, 0.7634])
    """
    weight = Z95**2 * fpc**2 / count
    middle = (share + weight / 2) / (1 + weight)
    with np.errstate(invalid="ignore"):
        half = np.sqrt(weight * share * (1 - share) + weight**2 / 4) / (1 + weight)
    return np.clip(middle - half, 0.0, share), np.clip(middle + half, share, 1.0)
