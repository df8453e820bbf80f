"""Changes of a user's objective that options ask for: mode, device, dtype, batch size and number of samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import torch

from lossatlas._util.argument_checks import check_choice, check_integer
from lossatlas.cli.objective.load import load_objective
from lossatlas.compute.minibatch.batches import concatenate_batches
from lossatlas.compute.objective.data.fixed_data import FrozenData, freeze_data
from lossatlas.compute.objective.loss_functions import CallableLoss, ModuleLoss
from lossatlas.compute.objective.objective import Objective
from lossatlas.errors import InputError

DTYPES = {"float64": torch.float64, "float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass(frozen=True)
class ObjectiveChanges:
    """Changes of the objective requested on the command line; None leaves the objective's own."""

    mode: str | None = None
    device: str | None = None
    dtype: str | None = None
    batch_size: int | None = None
    samples: int | None = None

    def first_option(self) -> tuple[str, Any] | None:
        """The first option that needs the objective to be built anew, and its value."""
        values = {"--device": self.device, "--dtype": self.dtype, "--batch-size": self.batch_size, "--samples": self.samples}
        return next(((option, value) for option, value in values.items() if value is not None), None)


def load_adjusted(reference: str, changes: ObjectiveChanges, settings: Sequence[str] = ()) -> Objective:
    """Load ``MODULE:OBJECTIVE``, with arguments of its function as `settings` give them, and change what is asked.

    Raises:
        InputError: nothing to load, or a change that this objective does not allow.
    """
    objective = load_objective(reference, settings)
    if changes.first_option() is not None:
        objective = rebuild(objective, changes)
    return objective if changes.mode is None else objective.with_mode(cast(Any, changes.mode))


def rebuild(objective: Objective, changes: ObjectiveChanges) -> Objective:
    """The same model, loss and mode on another device, in another dtype, or over other batches or fewer samples.

    It is made anew from model, loss and data, so that batches suit the device and every check runs on what will be measured.

    Raises:
        InputError: an objective whose function is neither a module's nor a callable's, or data that cannot be cut so.
    """
    function, described = objective.function, objective.description
    options: dict[str, Any] = {
        "data": _adjusted_data(objective.original_data, changes),
        "population": objective.original_data.population,
        "dtype": None if changes.dtype is None else DTYPES[check_choice("--dtype", changes.dtype, DTYPES)],
        "device": changes.device,
        "mode": "auto" if objective.automatic else objective.mode,
        "split": described["split"],
        "units": described["units"],
        "term_weights": described.get("terms"),
    }
    if isinstance(function, ModuleLoss) and objective.module is not None:
        rebuilt = Objective(objective.module, function.loss, **options)
    elif isinstance(function, CallableLoss):
        rebuilt = Objective(function.user, params=objective.params, **options)
    else:
        option, value = changes.first_option() or ("--batch-size", changes.batch_size)
        step = "A function of a vector computes in the precision of theta0 on the CPU, and an InputObjective as the one it was made of"
        raise InputError(option, value, "an objective made as la.Objective(model, loss, data)", step)
    names = {key: value for key, value in described.items() if key in ("model", "loss") or key not in rebuilt.description}
    return rebuilt.with_precision(objective.precision).with_description(**names)


def _adjusted_data(data: FrozenData, changes: ObjectiveChanges) -> FrozenData:
    for option, value in (("--samples", changes.samples), ("--batch-size", changes.batch_size)):
        if value is not None and data.batches == (None,):
            raise InputError(option, check_integer(option, value, least=1), "no such option: this objective has no data")
    if changes.samples is not None:
        first = freeze_data(iter(data.batches), samples=check_integer("--samples", changes.samples, least=1))
        data = replace(first, note=data.note, population=data.population)
    if changes.batch_size is None:
        return data
    size = check_integer("--batch-size", changes.batch_size, least=1)
    try:
        whole = concatenate_batches(data)
    except (RuntimeError, ValueError) as error:  # such as sequences of other lengths in each batch
        raise _change_in_file(changes, "data whose batches fit together") from error
    return replace(data, batches=(whole,), counts=(data.samples,)).split(size)


def _change_in_file(changes: ObjectiveChanges, allowed: str) -> InputError:
    option, value = changes.first_option() or ("--batch-size", changes.batch_size)
    argument = option.removeprefix("--").replace("-", "_")
    return InputError(option, value, allowed, f"Set it in the objective's own file: la.Objective(..., {argument}=...)")
