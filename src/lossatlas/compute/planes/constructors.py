"""Planes by construction: random, through single weights, through models, from explicit directions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lossatlas._util.argument_checks import check_integer, check_names
from lossatlas.compute.objective.objective import Objective
from lossatlas.compute.params.arithmetic import difference
from lossatlas.compute.params.checks import check_finite
from lossatlas.compute.params.hashing import hash_tensors
from lossatlas.compute.params.layer_kinds import one_dimensional
from lossatlas.compute.params.params import Params, params_of, select_param_names
from lossatlas.compute.params.prefixes import rename_to_match
from lossatlas.compute.planes.direction import Direction, random_directions
from lossatlas.compute.planes.filter_axes import described, filter_axes
from lossatlas.compute.planes.lazy_directions import lazy_random_directions
from lossatlas.compute.planes.normalization import Normalize, normalize_direction
from lossatlas.compute.planes.plane import Plane, PlaneModel, buffers_of
from lossatlas.compute.planes.windows import BETWEEN, window_of_random, window_of_weights
from lossatlas.errors import InputError, InputTypeError

LAZY_BYTES = 2 * 2**30
"""Larger models get random directions that are drawn again instead of kept."""


WeightIndex = tuple[str, int | Sequence[int]] | int


def random_plane(
    objective: Objective | torch.nn.Module | Params,
    seed: int = 0,
    normalize: Normalize | None = None,
    *,
    biases: bool = False,
    params: str | Iterable[str] | None = None,
    ndim: int = 2,
    lazy: bool | None = None,
) -> Plane:
    """Random Gaussian directions around the model, filter-normalized as in Li et al. 2018, section 4.

    Args:
        objective: the model at the center. A module, or an objective of one, says which axis counts the filters of its weights, which
            is the second in transposed layers; of a dict of tensors it is taken to be the first.
        seed: directions are drawn as in Li et al.'s code, so their seed gives their directions.
        normalize: "filter", "layer", "weight" or "none" (`normalize_direction`); None takes "filter", and "none" where there are only
            one-dimensional parameters, such as the vector of an `ArrayObjective`: 1 is then a change of 1 an entry, root mean square.
        biases: also move one-dimensional parameters (biases, BatchNorm scale and shift), which the paper does not; where there are no
            others they move in any case.
        params: names, modules or globs to move, such as ``"layer3.*"``; None moves all.
        ndim: 2 for a plane, 1 for a line.
        lazy: keep the directions as a seed and draw their tensors again whenever they are needed, the same to the last
            bit; None does so for models above 2 GiB.

    Returns:
        A plane of kind "random" around the model: alpha and beta have no unit; 1 is a step as long as the weights, filter by filter.

    Raises:
        InputError: another seed, normalization or `ndim` than there is, unknown `params`, or nothing left to move.

    Example:
        >>> model = torch.nn.Linear(4, 3)
        >>> step = random_plane(model, seed=1).directions[0].params["weight"]
        >>> torch.allclose(step.norm(dim=1), model.weight.norm(dim=1))
        True
    """
    if check_integer("ndim", ndim, 1, 2) and not isinstance(biases, bool):
        raise InputError("biases", biases, "True or False")
    center = params_of(objective)
    module = objective if isinstance(objective, torch.nn.Module) else getattr(objective, "module", None)
    axes = filter_axes(module)
    vectors = all(p.dim() <= 1 for p in center.values())
    normalize, biases = normalize or ("none" if vectors else "filter"), biases or vectors
    names, large = select_param_names(center, params), sum(p.numel() * p.element_size() for p in center.values()) > LAZY_BYTES
    steps_params: Sequence[Mapping[str, Tensor]]
    if lazy if lazy is not None else large:
        steps_params = lazy_random_directions(center, _seed(seed), ndim, names, normalize, axes, biases)
    else:
        drawn = random_directions(center, _seed(seed), ndim, names)
        steps_params = [normalize_direction(d, center, normalize, axes, biases) for d in drawn]
        if normalize != "none" and not any(bool(t.any()) for t in steps_params[0].values()):
            raise InputError("normalize", f"{normalize} around weights that are all zero", '"none"', "Directions are scaled to the weights")
    recipe: dict[str, Any] = {"seed": seed, "normalize": normalize, "biases": biases}
    steps = [Direction(d, {"kind": "random", "index": i, **recipe}) for i, d in enumerate(steps_params)]
    chosen = None if params is None else [params] if isinstance(params, str) else list(params)
    recipe |= {"params": chosen, "one_dimensional": one_dimensional(center, names, module)}
    recipe |= {"filter_axes": described({n: axes[n] for n in names if n in axes})} if normalize == "filter" else {}
    window = window_of_random(normalize, center, steps_params) or ()
    return Plane(center, tuple(steps), "random", ("α", "β")[:ndim], recipe, (0.0,) * ndim, window=window)


def weight_plane(objective: Objective | torch.nn.Module | Params, *weights: WeightIndex, labels: Sequence[str] | None = None) -> Plane:
    """One or two single weights as axes: alpha and beta are those weights' own values, not offsets.

    Args:
        objective: the model that holds all the other weights.
        weights: each a name and an index, such as ``("2.weight", (5, 250))``; an index alone where the parameters are one vector.
        labels: axis labels; the weights' names otherwise.

    Raises:
        InputError: an unknown name, an index out of range, the same weight twice.

    Example:
        >>> line = weight_plane({"w": torch.tensor([3.0, 4.0])}, ("w", 1))
        >>> line.point(7.0)["w"].tolist(), line.origin
        ([3.0, 7.0], (4.0,))
    """
    model = params_of(objective)
    where = [_weight_index(model, weight) for weight in weights]
    if len(set(where)) != len(where):
        raise InputError("weights", str(weights), "two different weights")
    center = {n: p.clone() if n in dict(where) else p for n, p in model.items()}
    values = tuple(float(model[name][index]) for name, index in where)
    for name, index in where:
        center[name][index] = 0.0
    steps = tuple(
        Direction(_one_hot(center[name], name, index), {"kind": "weight", "name": name, "index": list(index)}) for name, index in where
    )
    entries = getattr(objective, "entry_labels", None)
    names = tuple(f"{name}[{', '.join(map(str, index))}]" if entries is None else entries[index[0]] for name, index in where)
    names = names if labels is None else tuple(labels)
    recipe = {"weights": [[name, list(index)] for name, index in where]}
    return Plane(center, steps, "weights", names, recipe, values, window=window_of_weights(model, where))


def plane_through(a: Any, b: Any, c: Any = None, *, names: Sequence[str] | None = None) -> Plane:
    """The line from model `a` at 0 to `b` at 1 (Goodfellow et al. 2015), or the plane with `c` at ``(0, 1)``.

    Models are modules, parameter dicts or objectives. Modules and objectives bring their BatchNorm statistics, with which the
    plane shows each model's own loss where it stands (`batchnorm` says how).

    Args:
        a: the center, ``(0,)`` or ``(0, 0)``.
        b: ``(1,)`` or ``(1, 0)``.
        c: ``(0, 1)``; None makes a line.
        names: of the models, which figures and pages write beside them; "model a", "model b" and "model c" by default.

    Raises:
        InputError: the models differ in names or shapes, two of them are the same, one has NaN weights, or `names` are not one each.

    Example:
        >>> line = plane_through({"w": torch.tensor([1.0, 2.0])}, {"w": torch.tensor([3.0, 2.0])})
        >>> line.point(0.5)["w"].tolist()
        [2.0, 2.0]
    """
    start = params_of(a)
    others = [dict(rename_to_match(params_of(m), start, f"model {n}")) for n, m in (("b", b), ("c", c)) if m is not None]
    for name, weights in zip("abc", (start, *others), strict=False):
        check_finite(weights, f"model {name}")
    steps = tuple(Direction({n: v for n, v in difference(o, start).items() if bool(v.any())}, {"kind": "difference"}) for o in others)
    if any(not step.params for step in steps):
        raise InputError("models", "two equal models", "models that differ", "Check that each checkpoint was loaded")
    called = _model_names(names, 1 + len(steps))
    short = called if names is not None else "abc"
    labels = tuple(f"{short[0]} → {name}" for name in short[1 : 1 + len(steps)])
    recipe = {"models": [hash_tensors(m) for m in (start, *others)]}
    sources = [m for m in (a, b, c) if m is not None]
    places = [(0.0,) * len(steps), *(tuple(float(i == k) for i in range(len(steps))) for k in range(len(steps)))]
    models = tuple(PlaneModel(name, p, buffers=buffers_of(m)) for name, p, m in zip(called, places, sources, strict=True))
    return Plane(start, steps, "between", labels, recipe, places[0], _buffers_between(sources), models, (BETWEEN,) * len(steps))


def _model_names(names: Sequence[str] | None, count: int) -> tuple[str, ...]:
    if names is None:
        return ("model a", "model b", "model c")[:count]
    listed = list(check_names("names", names) or ())
    if len(listed) != count or len(set(listed)) != count or not all(listed):
        raise InputError("names", names, f"a list of {count} different names, one for each model")
    return tuple(listed)


def _buffers_between(models: Sequence[Any]) -> tuple[Params, ...]:
    """Floating-point buffers of the first model, and how those of the others differ; empty where any model has none."""
    modules = [m if isinstance(m, torch.nn.Module) else getattr(m, "module", None) for m in models]
    if any(m is None for m in modules):
        return ()
    first, *others = [{n: v.detach().clone() for n, v in m.named_buffers() if v.is_floating_point()} for m in modules if m is not None]
    return (first, *(difference(other, first) for other in others)) if first else ()


def _weight_index(model: Params, weight: WeightIndex) -> tuple[str, tuple[int, ...]]:
    name, index = _named_index(model, weight)
    if name not in model:
        raise InputError("weights", repr(name), "the name of a parameter: " + ", ".join(list(model)[:8]))
    shape = model[name].shape
    if model[name].is_complex():
        raise InputError(
            "weights", f"{name}, complex numbers", "a weight of real numbers", "Move it with la.Plane.from_directions(center, direction)"
        )
    where = tuple(int(i) for i in ((index,) if isinstance(index, int | np.integer) else index))
    if len(where) != len(shape) or any(not -n <= i < n for i, n in zip(where, shape, strict=False)):
        raise InputError("weights", f"{name}[{where}]", f"an index into the shape {tuple(shape)}")
    return name, tuple(i % n for i, n in zip(where, shape, strict=True))


def _named_index(model: Params, weight: WeightIndex) -> tuple[str, int | Sequence[int]]:
    if isinstance(weight, tuple | list) and len(weight) == 2 and isinstance(weight[0], str):
        return weight[0], weight[1]
    if not isinstance(weight, int | np.integer):
        name = next((name for name in model if weight == name), next(iter(model)))
        example = (name, 0 if model[name].dim() == 1 else (0,) * model[name].dim())
        raise InputTypeError("weights", weight, f"a name and an index, such as {example}", f"The names are {', '.join(list(model)[:6])}")
    if len(model) != 1 or next(iter(model.values())).dim() != 1:
        raise InputError("weights", weight, "a name and an index, for this model has more than one vector of parameters")
    return next(iter(model)), int(weight)


def _one_hot(like: Tensor, name: str, index: tuple[int, ...]) -> Params:
    step = torch.zeros_like(like)
    step[index] = 1.0
    return {name: step}


def _seed(seed: int) -> int:
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or not 0 <= seed < 2**63:
        raise InputError("seed", seed, "an integer from 0 to 2**63 - 1")
    return int(seed)
