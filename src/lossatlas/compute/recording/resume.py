"""Resuming of a recording: where it continues, and checks that the first part fits."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lossatlas._util.caller import caller_level
from lossatlas.compute.metrics.identity import edited_metrics
from lossatlas.compute.recording.schedule import Schedule
from lossatlas.compute.recording.storage.weight_store import WeightStore
from lossatlas.errors import InputError


@dataclass(frozen=True)
class ResumePoint:
    """Boundary between the first part of a recording and the next.

    Attributes:
        step: updates made so far.
        last: the last recorded step up to there; None where there is none.
        rows_to_keep: stored rows that stay. Later ones go with the first new row, and so does a row that only marked the end.
        missing: due steps between `last` and `step` that were never stored.
    """

    step: int
    last: int | None
    rows_to_keep: int
    missing: Sequence[int]

    @classmethod
    def at(cls, steps: NDArray[np.int64], step: int | None, schedule: Schedule) -> ResumePoint:
        """The seam of a recording of these `steps` that continues at `step`, or at its last one."""
        now = step if step is not None else int(steps[-1]) if len(steps) else 0
        past = steps[steps <= now]
        last, stored_rows = (int(past[-1]) if len(past) else None), len(past)
        while stored_rows and not schedule.due(int(steps[stored_rows - 1])):
            stored_rows -= 1
        return cls(now, last, stored_rows, schedule.missing(last, now))

    def gaps(self, earlier: Sequence[Mapping[str, Any]], name: str) -> list[dict[str, Any]]:
        """All gaps of the recording; a new one is warned of."""
        gaps = [dict(gap) for gap in earlier if gap["before"] <= self.step]
        if not self.missing:
            return gaps
        first, last = self.missing[0], self.missing[-1]
        rows = f"the due row of step {first}" if first == last else f"{len(self.missing)} due rows, steps {first} to {last}"
        warnings.warn(
            f"The recording {name!r} lacks {rows}: it continues at step {self.step}, and the first part ended before they were stored. "
            f"Continue from a checkpoint of step {self.last or 0} to have them, and call recorder.flush() before each checkpoint is saved.",
            stacklevel=caller_level(),
        )
        return [*gaps, {"after": self.last, "before": self.step, "rows": len(self.missing)}]


def check_same_storage(store: WeightStore, dtype: str | None, delta: bool) -> None:
    """Raises InputError where `dtype` or `delta` ask for other than what the first part has."""
    if dtype is not None and dtype != str(store.dtype):
        raise InputError("dtype", dtype, f"{store.dtype}, as in the first part", "Leave dtype out, or record under another name")
    if delta and not store.delta:
        raise InputError("delta", "True", "False, as in the first part", "Leave delta out, or record under another name")


def check_same_curves(store: WeightStore, measured: Sequence[str], metrics: Mapping[str, Any]) -> None:
    """Raises InputError where the first part measured other quantities over steps than `measured`, or metrics of other code."""
    if changed := edited_metrics(store.attrs.get("metric_identity") or {}, metrics):
        raise InputError("metrics", "; ".join(changed), "the metrics of the first part", "Record under another name")
    if missing := sorted(set(measured) - set(store.curves) - {"bin"}):
        raise InputError("resume", f"a recording without {', '.join(missing)}", "the same objectives as in the first part")
    if unfilled := sorted(set(store.curves) - set(measured)):
        problem = f"nothing that measures {', '.join(unfilled)}"
        advice = "Pass objective=, test_objective= and sharpness= as before, or record under another name"
        raise InputError("resume", problem, "the same objectives as in the first part", advice)


def warn_of_other_data(store: WeightStore, described: Mapping[str, Any]) -> None:
    """Warns where an objective of the first part was made of other data or another loss."""
    for key in ("objective", "test_objective", "sharpness_objective"):
        before, now = store.attrs.get(key) or {}, described.get(key) or {}
        if changed := [field for field in ("data_hash", "loss") if field in before and field in now and before[field] != now[field]]:
            warnings.warn(
                f"The {key} that continues {store.name!r} differs from that of the first part in its {' and '.join(changed)}, "
                "so its curve changes meaning there. Make it of the same fixed data.",
                stacklevel=caller_level(),
            )


def check_same_weights(store: WeightStore, resume_point: ResumePoint, theta: NDArray[Any], frozen: Mapping[str, Tensor]) -> None:
    """Raises InputError where the model is not the one recorded at the step from which the recording continues."""
    if resume_point.last != resume_point.step:
        return
    row = int(store.slots[int((store.steps <= resume_point.step).sum()) - 1])
    same = np.array_equal(store.stored(slice(row, row + 1), slice(None)), store.encode([theta], 1), equal_nan=True)
    if same and all(torch.equal(frozen[name].detach().cpu(), value) for name, value in store.frozen.items()):
        return
    problem = f"a model whose weights are not those recorded at step {resume_point.step}"
    advice = "Load the checkpoint before the recorder is made, and pass the step at which it was saved as step="
    raise InputError("resume", problem, "the model as it was then", advice)
