"""Metric: the plug-in point for a number measured at every point, of each batch or of the whole model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from lossatlas import schema
from lossatlas._util.argument_checks import check_choice, check_integer, check_name, check_text
from lossatlas._util.code_hash import code_hash
from lossatlas.compute.metrics.identity import items_hash
from lossatlas.errors import InputError, InputTypeError

StoredType = Literal["float64", "float32", "float16"]
Scope = Literal["batch", "model"]
Direction = Literal["lower", "higher"]


TERM = "term_"
"""What the names of a loss's terms begin with."""


@dataclass(frozen=True)
class Metric:
    """A number measured at every cell of a surface, with its error: of each batch of the data, or of the whole model.

    It says itself how it is stored: `evaluate` writes an array of its name with its units, and figures take their labels from there.

    A metric ``of="batch"`` is measured in the one pass over the objective's data that gives the loss. A metric ``of="model"`` is handed a
    copy of the model at that point: a benchmark score, a reward, an accuracy under attack. Torch, NumPy and `random` are seeded alike
    before every point and put back afterwards (common random numbers). `evaluate` measures the model's own place twice first, and refuses
    a metric whose two values differ. Where the metric raises there is a hole in the surface; at the model's own place it is an error.

    Standard errors are ``sd / sqrt(n)`` over samples, items or repeats, with n - 1 in the variance. Values that are all 0 or 1 also get
    the 95 % interval of Wilson (1927), ``NAME_lower`` and ``NAME_upper``, which never leaves [0, 1] as a symmetric bar would.

    Attributes:
        name: of the array; none of those that lossatlas defines.
        measure: ``of="batch"``: scores of a batch (`losses`, `outputs`, `targets`) to one value a sample, ``(samples,)``, or ``()`` where
            only the batch's mean is known. ``of="model"``: the model to one number, or to one value an item, ``(items,)``. The model is
            an nn.Module; a dict of parameters where the objective is a callable; the vector of an `ArrayObjective`. It may be run, and
            differentiated by its inputs, but not changed.
        units: such as "nats" or "fraction"; "1" has none.
        long_name: label in figures; "" is the name with spaces for underscores.
        per_sample: every value is kept instead of their mean; the array then has an axis of samples beyond the plane.
        dtype: of the stored values: "float64" (None), "float32" or "float16".
        of: "batch" or "model".
        better: "lower" or "higher"; figures say it. None says nothing.
        items: what a metric of the model is measured on, such as a list of prompts: another one is another metric. Where it has a length,
            one value an item is as many values.
        population: how many items there are, of which these are a random subset: errors carry ``sqrt(1 - n / N)``.
        repeats: how often a metric of the model is measured at each point, with the random numbers of `seed`, `seed` + 1, …
        noisy: values are allowed to differ from one measurement to the next; needs at least two repeats.
        seed: of the random numbers.
        version: change it to make it another metric; so does an edit of its code. A stored surface is continued by the same metric only.
        protocol: a line for figures, such as "greedy decoding, 64 new tokens".

    Raises:
        InputError: a name that is taken or is no name of an array, an attribute that its kind of metric has not, or a wrong value.

    Example:
        >>> import torch, lossatlas as la
        >>> objective = la.Objective(lambda p, x: (x - p["w"]) ** 2, data=torch.tensor([0.0, 4.0]), params={"w": torch.zeros(1)})
        >>> root = la.Metric("distance", lambda scores: scores.losses.sqrt(), units="m")
        >>> size = la.Metric("size", lambda params: params["w"].abs().sum(), of="model", better="lower")
        >>> surface = la.evaluate(objective, la.weight_plane(objective, ("w", 0)), (0, 2), 3, ("loss", root, size))
        >>> surface.distance.values.tolist(), surface.distance.attrs["units"], surface["size"].values.tolist()
        ([2.0, 2.0, 2.0], 'm', [0.0, 1.0, 2.0])
    """

    name: str
    measure: Callable[[Any], Any]
    units: str = "1"
    long_name: str = ""
    per_sample: bool = False
    dtype: StoredType | None = None
    of: Scope = "batch"
    better: Direction | None = None
    items: Any = field(default=None, repr=False)
    population: int | None = None
    repeats: int = 1
    noisy: bool = False
    seed: int = 0
    version: int | str = 1
    protocol: str = ""
    declared: schema.Variable | None = field(default=None, repr=False, kw_only=True)
    """The entry of `schema` that a metric of the package belongs to; None for others."""
    code: str = field(default="", repr=False, kw_only=True)
    """Hash of the code; the package's metrics say in words what they are, for its versions are no edits."""
    zero_one: bool = field(default=False, repr=False, kw_only=True)
    """Values are 0 or 1, so that they have an interval; of a metric of one's own, as seen at the model's own place."""
    reference: Any = field(default=None, repr=False, kw_only=True)
    """Model whose outputs the scores bring along: "origin", or its parameters and buffers."""
    of_mean: Callable[..., Any] | None = field(default=None, repr=False, kw_only=True)
    """Function of the mean over samples and its standard error that is stored in their place."""
    summary: Callable[..., Any] | None = field(default=None, repr=False, kw_only=True)
    """Function of every sample's value, ``(points, samples)``, that is no mean of them."""
    per_label: bool = field(default=False, repr=False, kw_only=True)
    """Values are one a label that counts, be they more or fewer than samples."""
    count: int | None = field(default=None, repr=False, kw_only=True)
    """Items at the model's own place; None before it was measured, and where there is one number only."""

    def __post_init__(self) -> None:
        if not self.is_builtin:
            _check_metric_name(self.name)
        if not callable(self.measure):
            raise InputError("measure", self.measure, "a function of a batch's scores (losses, outputs, targets), or of the whole model")
        for argument in ("units", "long_name", "protocol"):
            check_text(argument, getattr(self, argument))
        for argument in ("per_sample", "noisy"):
            if not isinstance(getattr(self, argument), bool):
                raise InputError(argument, getattr(self, argument), "True or False")
        if self.dtype is not None and self.dtype not in get_args(StoredType):
            raise InputError("dtype", self.dtype, "one of " + ", ".join(get_args(StoredType)))
        check_choice("of", self.of, get_args(Scope))
        if self.better is not None:
            check_choice("better", self.better, get_args(Direction))
        if isinstance(self.version, bool) or not isinstance(self.version, int | str):
            raise InputTypeError("version", self.version, "an integer or text")
        self._check_measurement()
        if not self.code and self.declared is None:
            object.__setattr__(self, "code", code_hash(self.measure))

    def _check_measurement(self) -> None:
        """Check of the attributes that one kind of metric has."""
        check_integer("repeats", self.repeats, least=1)
        check_integer("seed", self.seed, least=0, most=2**32 - 2**16)
        if self.population is not None:
            check_integer("population", self.population, least=1)
        if self.noisy and self.repeats < 2:
            raise InputError("repeats", self.repeats, "at least 2 for a noisy metric, so that its error is known", "Pass repeats=5")
        if self.of == "model" and self.per_sample:
            raise InputError("per_sample", "True", 'False for a metric of="model"', "Its items give the standard error")
        used = {
            "items": self.items is not None,
            "population": self.population is not None,
            "repeats": self.repeats > 1,
            "noisy": self.noisy,
        }
        for argument in [argument for argument, is_used in {**used, "seed": self.seed != 0}.items() if is_used and self.of == "batch"]:
            advice = f'Pass of="model" to measure with {argument}'
            raise InputError(argument, getattr(self, argument), 'to be left out of a metric of="batch"', advice)

    @property
    def variable(self) -> schema.Variable:
        """Variable of the schema that stores it."""
        dtype = self.dtype or "float64"
        if self.declared is not None:
            known = self.declared
            return schema.Variable(known.name, known.dims, dtype, known.units, known.long_name, self.details, self.zero_one)
        dims = (*schema.PLANE, "sample") if self.per_sample else schema.PLANE
        label = self.long_name or self.name.replace("_", " ")
        return schema.Variable(self.name, dims, dtype, self.units or "1", label, self.details, self.zero_one)

    @property
    def details(self) -> tuple[tuple[str, Any], ...]:
        """Further attributes of the stored array: direction, items, repeats, seed, protocol, those that are known."""
        of_model = self.of == "model" and not self.is_builtin
        known = {
            "of": self.of if self.of == "model" else None,
            "better": self.better,
            "items": self.count,
            "repeats": self.repeats if self.repeats > 1 else None,
            "seed": self.seed if of_model else None,
            "protocol": self.protocol or None,
            "interval": "Wilson, 95 %" if self.zero_one else None,
        }
        return tuple((key, value) for key, value in known.items() if value is not None)

    @property
    def is_builtin(self) -> bool:
        """Whether the package measures it, be it declared in `schema` or not."""
        return self.declared is not None or self.code.startswith("lossatlas:")

    @property
    def is_mean_over_samples(self) -> bool:
        """Whether some of the objective's samples give an unbiased estimate of it."""
        return self.of == "batch" and self.of_mean is None and self.summary is None

    @property
    def in_units_of_loss(self) -> bool:
        """Whether the objective's loss gives the units: nats for cross-entropy, none for a squared error."""
        return self.name in ("loss", "sample_loss", "batch_mean_loss") or (self.is_builtin and self.name.startswith(TERM))

    def identity(self) -> dict[str, Any]:
        """Settings that must be the same before its stored values are continued."""
        settings = {"repeats": self.repeats, "seed": self.seed, "population": self.population}
        return {"version": self.version, "code": self.code, "items": items_hash(self.items), **settings}


def _check_metric_name(name: object) -> None:
    """A folder of a surface that nothing else uses; its standard error and its preview take names that end in a suffix."""
    check_name("name", name)
    text = str(name)
    if text in schema.VARIABLES or text.endswith(schema.SUFFIXES) or text.startswith(("path_", TERM)) or not text.isidentifier():
        allowed = "letters, digits and underscores that name no array of lossatlas and end in none of " + ", ".join(schema.SUFFIXES)
        raise InputError("name", name, allowed, "Choose another name=")
