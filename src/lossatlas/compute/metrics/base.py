"""Metric: the plug-in point for a number measured at every point, one value a sample or a batch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, get_args

from torch import Tensor

from lossatlas import schema
from lossatlas._util.argument_checks import check_name, check_text
from lossatlas.compute.objective.objective import Scores
from lossatlas.errors import InputError

StoredType = Literal["float64", "float32", "float16"]


@dataclass(frozen=True)
class Metric:
    """A mean over samples, or every sample's value, measured at every cell of a surface.

    It says itself how it is stored: `evaluate` writes an array of its name with its units, and figures take their labels from there.

    Attributes:
        name: of the array; none of those that lossatlas defines.
        measure: scores of a batch (`losses`, `outputs`, `targets`) to one value a sample, ``(samples,)``; ``()`` where only the
            batch's mean is known.
        units: such as "nats" or "fraction"; "1" has none.
        long_name: label in figures; "" is the name with spaces for underscores.
        per_sample: every value is kept instead of their mean; the array then has an axis of samples beyond the plane.
        dtype: of the stored values: "float64" (None), "float32" or "float16".

    Raises:
        InputError: a name that is taken or is no name of an array, or another dtype.

    Example:
        >>> import torch, lossatlas as la
        >>> objective = la.Objective(lambda p, x: (x - p["w"]) ** 2, data=torch.tensor([0.0, 4.0]), params={"w": torch.zeros(1)})
        >>> root = la.Metric("distance", lambda scores: scores.losses.sqrt(), units="m")
        >>> surface = la.evaluate(objective, la.weight_plane(objective, ("w", 0)), (0, 2), 3, ("loss", root))
        >>> surface.distance.values.tolist(), surface.distance.attrs["units"]
        ([2.0, 2.0, 2.0], 'm')
    """

    name: str
    measure: Callable[[Scores], Tensor]
    units: str = "1"
    long_name: str = ""
    per_sample: bool = False
    dtype: StoredType | None = None
    declared: schema.Variable | None = field(default=None, repr=False, kw_only=True)
    """The entry of `schema` that a metric of the package belongs to; None for a metric of one's own."""

    def __post_init__(self) -> None:
        if self.declared is None:
            _check_metric_name(self.name)
        if not callable(self.measure):
            raise InputError("measure", self.measure, "a function of the scores of a batch, which have losses, outputs and targets")
        check_text("units", self.units)
        check_text("long_name", self.long_name)
        if not isinstance(self.per_sample, bool):
            raise InputError("per_sample", self.per_sample, "True or False")
        if self.dtype is not None and self.dtype not in get_args(StoredType):
            raise InputError("dtype", self.dtype, "one of " + ", ".join(get_args(StoredType)))

    @property
    def variable(self) -> schema.Variable:
        """Variable of the schema that stores it."""
        dtype = self.dtype or "float64"
        if self.declared is not None:
            known = self.declared
            return schema.Variable(known.name, known.dims, dtype, known.units, known.long_name)
        dims = (*schema.PLANE, "sample") if self.per_sample else schema.PLANE
        return schema.Variable(self.name, dims, dtype, self.units or "1", self.long_name or self.name.replace("_", " "))


def _check_metric_name(name: object) -> None:
    """A folder of a surface that nothing else uses; its standard error and its preview take names that end in a suffix."""
    check_name("name", name)
    text = str(name)
    if text in schema.VARIABLES or text.endswith(schema.SUFFIXES) or not text.isidentifier():
        allowed = "letters, digits and underscores that name no array of lossatlas and end in none of " + ", ".join(schema.SUFFIXES)
        raise InputError("name", name, allowed, "Choose another name=")
