"""Metrics in words, from the attributes of their arrays: which direction is better, on how many items, how random, with what interval."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from lossatlas import schema

WHOLE_MODEL = "the whole model"
ARROWS = {"lower": "↓", "higher": "↑"}
DIRECTIONS = {"lower": "lower is better", "higher": "higher is better"}


SPOKEN_NAMES = {
    "kl": "KL divergence",
    "hessian_ratio": "Hessian ratio",
    "lambda_max": "largest eigenvalue",
    "lambda_min": "smallest eigenvalue",
    "minus_lambda_min": "minus the smallest eigenvalue",
}


def spoken_name(quantity: str) -> str:
    """A quantity's name in a sentence.

    >>> spoken_name("kl"), spoken_name("top_5_error"), spoken_name("lambda_max")
    ('KL divergence', 'top 5 error', 'largest eigenvalue')
    """
    return SPOKEN_NAMES.get(quantity, quantity.replace("_", " "))


def better_arrow(name: str, attrs: Mapping[str, Any]) -> str:
    """An arrow in the better direction, after the name of a metric that is not read everywhere like loss and accuracy; else nothing.

    >>> better_arrow("bleu", {"better": "higher"})
    '↑'
    """
    return "" if name in schema.VARIABLES else ARROWS.get(str(attrs.get("better")), "")


def data_of_metric(attrs: Mapping[str, Any]) -> str:
    """The items that a metric of the whole model is measured on; empty where that is the objective's data.

    >>> data_of_metric({"of": "model", "items": 1200}), data_of_metric({"of": "model"}), data_of_metric({})
    ('1,200 items', 'the whole model', '')
    """
    if attrs.get("of") != "model":
        return ""
    count = attrs.get("items")
    return f"{count:,} item{'' if count == 1 else 's'}" if isinstance(count, int) else WHOLE_MODEL


def metric_note(dataset: xr.Dataset, quantity: str) -> str:
    """A line such as "bleu: higher is better, mean over 57 items, random seed 0, greedy decoding"; nothing for loss and accuracy."""
    attrs = dataset[quantity].attrs if quantity in dataset else {}
    if quantity in schema.VARIABLES or not (attrs.keys() & set(schema.DETAILS)):
        return ""
    data, repeats, seed = data_of_metric(attrs), attrs.get("repeats"), attrs.get("seed")
    of_items = "mean over " if isinstance(attrs.get("items"), int) else "of "
    parts = [
        DIRECTIONS.get(str(attrs.get("better")), ""),
        f"{of_items}{data}" if data else "",
        _step(dataset, quantity),
        f"{repeats} repeats with random seeds {seed} to {seed + repeats - 1}" if isinstance(repeats, int) and isinstance(seed, int) else "",
        f"random seed {seed}" if isinstance(seed, int) and not isinstance(repeats, int) else "",
        str(attrs.get("protocol") or ""),
        _interval(dataset, quantity),
    ]
    text = ", ".join(part for part in parts if part)
    return f"{spoken_name(quantity)}: {text}" if text else ""


def error_count(dataset: xr.Dataset, quantity: str) -> Any:
    """Number of values that the standard error of a quantity comes from."""
    attrs = dataset[quantity].attrs if quantity in dataset else {}
    objective = dataset.attrs.get("objective")
    samples = objective.get("samples") if isinstance(objective, Mapping) else None
    return attrs.get("items", attrs.get("repeats")) if attrs.get("of") == "model" else samples


def _step(dataset: xr.Dataset, quantity: str) -> str:
    """The smallest difference of a share of items."""
    count = dataset[quantity].attrs.get("items")
    return f"in steps of 1/{count}" if isinstance(count, int) and f"{quantity}_lower" in dataset else ""


def _interval(dataset: xr.Dataset, quantity: str) -> str:
    """Width of the interval stored beside a metric of zeros and ones."""
    if f"{quantity}_lower" not in dataset or f"{quantity}_upper" not in dataset:
        return ""
    width = np.asarray(dataset[f"{quantity}_upper"].values, float) - np.asarray(dataset[f"{quantity}_lower"].values, float)
    width = width[np.isfinite(width)]
    return f"95 % interval (Wilson) of a cell up to {width.max():.2g} wide" if width.size else ""
