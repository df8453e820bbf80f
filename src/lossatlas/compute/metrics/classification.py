"""Metrics of classifiers besides accuracy: error rate, top-k error, margin and calibration error."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lossatlas._util.argument_checks import check_integer
from lossatlas.compute.metrics.accuracy import correct
from lossatlas.compute.metrics.base import Metric
from lossatlas.compute.objective.data.targets import is_integer
from lossatlas.compute.objective.objective import Scores
from lossatlas.errors import InputError

Array = NDArray[np.float64]


def error() -> Metric:
    """Error rate: the share of wrong answers, 1 - accuracy, with Wilson's 95 % interval.

    Example:
        >>> import torch, lossatlas as la
        >>> x, y = torch.ones(4, 1), torch.tensor([0, 0, 1, 1])
        >>> objective = la.Objective(torch.nn.Linear(1, 2), torch.nn.functional.cross_entropy, (x, y))
        >>> line = la.evaluate(objective, la.random_plane(objective, ndim=1), resolution=3, metrics=("loss", "error", la.metrics.margin()))
        >>> line.error.values.tolist(), line.error.attrs["better"]
        ([0.5, 0.5, 0.5], 'lower')
    """
    return _classifier_metric("error", _wrong, "error rate", "fraction", "lower", zero_one=True)


def top_k_error(k: int = 5) -> Metric:
    """Share of samples whose class is not among the `k` largest outputs; stored under ``top_K_error``, such as ``top_5_error``.

    A tie with the k-th largest output counts as an error for every class but those above it; so does an output that is NaN.
    """
    check_integer("k", k, least=1)
    return _classifier_metric(f"top_{k}_error", TopKWrong(k), f"top-{k} error rate", "fraction", "lower", zero_one=True)


def margin() -> Metric:
    """Mean margin: the output of the right class above the largest other one; negative where the answer is wrong."""
    return _classifier_metric("margin", _margin, "mean margin of the right class", "1", "higher")


def calibration_error(bins: int = 15) -> Metric:
    """Expected calibration error (Naeini et al. 2015; Guo et al. 2017, arXiv 1706.04599, equation 3).

    ``sum over bins of |B| / n |accuracy(B) - confidence(B)|``, where the confidence is the largest softmax probability and the bins cut
    (0, 1] into `bins` equal parts, each closed on the right. A biased estimate that grows with fewer samples; it has no standard error.
    Compare surfaces of the same samples and bins only.

    Args:
        bins: 15, as in Guo et al.
    """
    check_integer("bins", bins, least=1)
    summary, protocol = ExpectedCalibrationError(bins), f"{bins} bins of equal width"
    return _classifier_metric(
        "calibration_error", _signed_confidence, "expected calibration error", "fraction", "lower", False, summary, protocol
    )


class ExpectedCalibrationError:
    """Summary of signed confidences ``(points, samples)``, negative where the answer is wrong."""

    def __init__(self, bins: int) -> None:
        self.bins = bins

    def __call__(self, values: Array) -> Array:
        return np.array([self._of_point(row) for row in values])

    def _of_point(self, signed: Array) -> float:
        if not np.isfinite(signed).all():
            return float("nan")
        confidence, right = np.abs(signed), signed > 0
        place = np.clip(np.ceil(confidence * self.bins).astype(np.int64) - 1, 0, self.bins - 1)
        gaps = np.bincount(place, right.astype(float), self.bins) - np.bincount(place, confidence, self.bins)
        return float(np.abs(gaps).sum() / len(signed))


class TopKWrong:
    """1 where at least `k` other outputs are as large as that of the right class, else 0."""

    def __init__(self, k: int) -> None:
        self.k = k

    def __call__(self, scores: Scores) -> Tensor:
        logits, classes = logits_and_classes(scores, f"top_{self.k}_error")
        if logits.shape[1] <= self.k:
            raise InputError("k", self.k, f"fewer than the {logits.shape[1]} classes")
        right = logits.gather(1, classes.unsqueeze(1))
        wrong = ((logits >= right).sum(1) > self.k).double()
        return torch.where(logits.isnan().any(1), torch.nan, wrong)


def logits_and_classes(scores: Scores, name: str) -> tuple[Tensor, Tensor]:
    """Class scores ``(n, classes)`` in float64 and right classes ``(n,)``, of the labels that count.

    Raises:
        InputError: no class scores, or targets that name no classes.
    """
    correct(scores, name)  # refuses what has no classes
    outputs, targets = getattr(scores.outputs, "logits", scores.outputs), scores.targets
    classes = targets if is_integer(targets) and targets.shape != outputs.shape else targets.argmax(1)
    logits = outputs.movedim(1, -1).flatten(0, -2).double()
    flat = classes.flatten().long()
    if scores.target_format.ignored is None:
        return logits, flat
    counts = flat != scores.target_format.ignored
    return logits[counts], flat[counts]


def _wrong(scores: Scores) -> Tensor:
    return 1 - correct(scores, "error")


def _margin(scores: Scores) -> Tensor:
    logits, classes = logits_and_classes(scores, "margin")
    right = logits.gather(1, classes.unsqueeze(1)).squeeze(1)
    others = logits.scatter(1, classes.unsqueeze(1), -torch.inf).amax(1)
    return right - others


def _signed_confidence(scores: Scores) -> Tensor:
    logits, classes = logits_and_classes(scores, "calibration_error")
    confidence, chosen = logits.softmax(1).max(1)
    return torch.where(logits.isnan().any(1), torch.nan, torch.where(chosen == classes, confidence, -confidence))


def _classifier_metric(
    name: str, measure: Any, long_name: str, units: str, better: Any, zero_one: bool = False, summary: Any = None, protocol: str = ""
) -> Metric:
    code = f"lossatlas:{name} {protocol}".strip()
    return Metric(
        name, measure, units, long_name, better=better, protocol=protocol, code=code, zero_one=zero_one, summary=summary, per_label=True
    )
