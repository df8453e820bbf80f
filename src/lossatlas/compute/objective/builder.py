"""Builder of an objective: copies the model, freezes the data, finds the per-sample form of the loss, and checks all of it once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from lossatlas._util.argument_checks import check_number
from lossatlas.analysis.sampling import standard_error_fpc
from lossatlas.compute.objective.batch_weights import batch_weights, check_batch_independence
from lossatlas.compute.objective.data.fixed_data import FrozenData, freeze_data
from lossatlas.compute.objective.description import describe, shapes_of
from lossatlas.compute.objective.failures import explain_failure
from lossatlas.compute.objective.labels import check_labels
from lossatlas.compute.objective.loss_functions import CallableLoss, ModuleLoss, Scores, has_tied_weights, split_batch
from lossatlas.compute.objective.micro_batches import join_lone_samples, micro_batches
from lossatlas.compute.objective.module.batchnorm import AUTO, BatchNormCalibration, Mode
from lossatlas.compute.objective.module.module_copies import copy_in_mode, copy_sharing_parameters, frozen_copy, load_given_params
from lossatlas.compute.objective.module.run_module import run_module
from lossatlas.compute.objective.parameter_use.check import check_reads
from lossatlas.compute.objective.scorer import Scorer
from lossatlas.compute.params.checks import check_finite
from lossatlas.compute.params.params import Params, params_of
from lossatlas.errors import InputError, InputTypeError


class ObjectiveParts(NamedTuple):
    """The fields of an `Objective`."""

    scorer: Scorer
    original_data: FrozenData
    automatic: bool
    weights: tuple[float, ...]
    description: Mapping[str, Any]


def build_objective(
    model: torch.nn.Module | Callable[[Params, Any], Any],
    loss: Callable[..., Tensor] | None,
    data: Any,
    *,
    params: Mapping[str, Tensor] | None,
    batch_size: int | None,
    samples: int | None,
    population: int | None,
    dtype: torch.dtype | None,
    device: str | torch.device | None,
    mode: Mode | Literal["auto"],
    split: str | None,
    units: str | None,
    term_weights: Mapping[str, float] | None = None,
) -> ObjectiveParts:
    """The parts of an objective; arguments and errors as for `Objective`."""
    if isinstance(loss, type):
        advice = f"Make one: {loss.__name__}()"
        raise InputTypeError("loss", f"the class {loss.__name__}", "a function or an instance", advice)
    if isinstance(model, type):
        raise InputTypeError("model", f"the class {model.__name__}", "an nn.Module", f"Make one: {model.__name__}(...)")
    if loss is not None and not callable(loss):
        raise InputTypeError("loss", type(loss).__name__, "a function loss(output, target)", "The order is Objective(model, loss, data)")
    module = frozen_copy(model, dtype, device) if isinstance(model, torch.nn.Module) else None
    if module is None and (not callable(model) or params is None):
        advice = "Load the state into the model first: model.load_state_dict(state)" if isinstance(model, Mapping) else ""
        raise InputTypeError("model", type(model).__name__, "an nn.Module, or a callable f(params, batch) together with params=", advice)
    cast_params = {} if params is None else {n: _cast(p, dtype, device).clone() for n, p in params_of(params).items()}
    center = cast_params if module is None else load_given_params(module, cast_params)
    check_finite(center)
    resolved: Mode = "eval" if mode == AUTO else mode  # type: ignore[assignment]
    place = _common_device(center) if device is None else device
    frozen = _with_population(population, freeze_data(data, batch_size, samples)).map(lambda t: _cast(t, dtype, place))
    function = CallableLoss(model) if module is None else _module_loss(module, loss, resolved, center, frozen)
    scorer = Scorer(function, center, join_lone_samples(frozen, module, resolved), module, resolved, calibration_of(module, resolved))
    scorer, probe = _probed(scorer)
    check_labels(loss, probe.outputs, frozen)
    scorer = replace(scorer, per_sample=probe.losses.dim() == 1)
    terms = _weighted_terms(probe.terms, term_weights)
    noise = "the model is random in eval mode: the same noise at every point" if getattr(function, "is_stochastic", False) else None
    frozen = frozen.with_note(check_batch_independence(scorer), noise, check_reads(scorer, model, loss, params))
    scorer = replace(scorer, data=frozen)
    description = describe(scorer, model, loss, split, units) | ({"terms": terms} if terms else {})
    scorer = replace(scorer, data=micro_batches(scorer))
    weights = batch_weights(scorer.function, scorer.data, scorer.per_sample)
    return ObjectiveParts(scorer, frozen, mode == AUTO, weights, description)


def _common_device(params: Params) -> torch.device | None:
    """The device on which all parameters lie; None of a model that is spread over several."""
    devices = {p.device for p in params.values()}
    return devices.pop() if len(devices) == 1 else None


def calibration_of(module: torch.nn.Module | None, mode: Mode) -> BatchNormCalibration | None:
    """Calibration that estimates BatchNorm statistics; None in modes that estimate none."""
    if mode not in ("recalibrated", "anchored") or module is None:
        return None
    return BatchNormCalibration.of(copy_sharing_parameters(module), lambda m, params, batch: run_module(m, params, split_batch(batch)[0]))


def _module_loss(module: torch.nn.Module, loss: Callable[..., Tensor] | None, mode: Mode, center: Params, data: FrozenData) -> ModuleLoss:
    function = ModuleLoss(copy_in_mode(module, mode), loss, mode, has_tied_weights=has_tied_weights(module))
    return function.detect_inplace_writes(center, data).with_per_sample_loss(center, data)


def _probed(scorer: Scorer) -> tuple[Scorer, Scores]:
    """Run the first batch once, so that a model or loss that cannot work says so before the long run."""
    try:
        scores = _first_batch(scorer)
    except InputError:
        raise
    except Exception as error:
        scorer = replace(scorer, loss_uses_autograd=True)
        try:
            scores = _first_batch(scorer)
        except Exception:
            _check_labels_of_first_batch(scorer)
            explain_failure(scorer)
            shapes = shapes_of(scorer.data.batches[0])
            raise InputError("model", f"{type(error).__name__}: {error}", f"a model that runs on a batch of shapes {shapes}") from error
    count = scorer.data.counts[0]
    if scores.losses.dim() > 1 or (scores.losses.dim() == 1 and len(scores.losses) != count):
        shape = tuple(scores.losses.shape)
        allowed = f"a scalar or one loss a sample, shape ({count},)"
        raise InputError("loss", f"a result of shape {shape}", allowed, "Average the other axes in the loss")
    for name, term in scores.terms.items():
        if term.dim() > 1 or (term.dim() == 1 and len(term) != count) or term.is_complex():
            raise InputError("loss", f"a term {name} of shape {tuple(term.shape)}", f"a scalar or one value a sample, shape ({count},)")
    return scorer, scores


def _weighted_terms(terms: Mapping[str, Tensor], weights: Mapping[str, float] | None) -> dict[str, float]:
    """By term of the loss, the factor with which it enters."""
    weights = dict(weights or {})
    if unknown := sorted(map(str, set(weights) - set(terms))):
        allowed = f"names out of {', '.join(terms)}" if terms else 'no weights for a loss of one number; return {"loss": ..., "NAME": ...}'
        raise InputError("term_weights", ", ".join(unknown), allowed)
    return {name: check_number(f"term_weights[{name!r}]", weights.get(name, 1.0)) for name in terms}


def _first_batch(scorer: Scorer) -> Scores:
    with scorer.no_autograd():
        return scorer.function(scorer.with_batchnorm_statistics(scorer.params), scorer.data.batches[0])


def _check_labels_of_first_batch(scorer: Scorer) -> None:
    """The usual reason why a loss fails; where the model itself fails there is nothing to check."""
    if not isinstance(scorer.function, ModuleLoss):
        return
    inputs, outputs = split_batch(scorer.data.batches[0])[0], None
    with scorer.no_autograd(), suppress(Exception):
        params = scorer.with_batchnorm_statistics(scorer.params)
        outputs = run_module(scorer.function.module, params, inputs, scorer.function.has_tied_weights)
    check_labels(scorer.function.loss, outputs, scorer.data)


def _with_population(population: int | None, data: FrozenData) -> FrozenData:
    standard_error_fpc(data.samples, population)  # refuses a population that is too small
    return data if population is None else replace(data, population=population)


def _cast(tensor: Tensor, dtype: torch.dtype | None, device: Any) -> Tensor:
    return tensor.to(device=device, dtype=dtype if tensor.is_floating_point() else None)
