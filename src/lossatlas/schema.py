"""Schema of every stored array: name, dims, dtype, units and long name (the axis label).

Figures take their labels from here and `docs/format.md` is checked against it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

FORMAT = "lossatlas"
FORMAT_VERSION = 1

PLANE = ("alpha", "beta")
LINE = ("alpha",)
DEPTH = ("sample", "batch")
"""Axes that a surface may have beyond the plane."""


SUFFIXES = ("_standard_error", "_lower", "_upper", "_filled")
"""What is appended to the name of a variable for those that belong to it."""

DETAILS = ("of", "better", "items", "repeats", "seed", "protocol", "interval")
"""Attributes of the array of a metric beside `units` and `long_name`, those that are known."""


@dataclass(frozen=True)
class Variable:
    """A named array. `dims` of plane variables lose "beta" on a line."""

    name: str
    dims: tuple[str, ...]
    dtype: str
    units: str
    long_name: str
    details: tuple[tuple[str, Any], ...] = field(default=(), repr=False)
    """Further attributes of the array, such as which direction is better."""
    has_interval: bool = field(default=False, repr=False)
    """Whether an interval of confidence, its lower and its upper end, is stored beside the standard error."""

    @property
    def fill_value(self) -> Any:
        """Value of an unwritten cell; "computed" is always told by `done`, never by this value."""
        return {"f": float("nan"), "b": False}.get(self.dtype[0], 0)

    @property
    def attrs(self) -> dict[str, Any]:
        return {"units": self.units, "long_name": self.long_name, **dict(self.details)}

    def errors(self) -> tuple[Variable, ...]:
        """The standard error that belongs to this variable, and the ends of its interval where it has one."""
        return (self.with_error(), *(self.interval_ends() if self.has_interval else ()))

    def interval_ends(self) -> tuple[Variable, Variable]:
        """Lower and upper end of the 95 % interval; NaN where values are not all 0 or 1."""
        lower, upper = (
            Variable(f"{self.name}_{end}", self.dims, self.dtype, self.units, f"{end} end of the 95 % interval of {self.long_name}")
            for end in ("lower", "upper")
        )
        return lower, upper

    def with_error(self) -> Variable:
        """The standard error of the mean that belongs to this variable."""
        return Variable(f"{self.name}_standard_error", self.dims, self.dtype, self.units, f"standard error of {self.long_name}")

    def filled(self) -> Variable:
        """This variable on every cell: computed where `done`, interpolated elsewhere. Never itself a computed value."""
        return Variable(f"{self.name}_filled", self.dims, self.dtype, self.units, f"{self.long_name}, interpolated between computed cells")


_DECLARED = (
    # coordinates of a surface
    Variable("alpha", ("alpha",), "float64", "1", "alpha"),
    Variable("beta", ("beta",), "float64", "1", "beta"),
    Variable("done", PLANE, "bool", "1", "computed"),
    # metrics over a plane or a line
    Variable("loss", PLANE, "float64", "nats", "loss"),
    Variable("accuracy", PLANE, "float64", "fraction", "accuracy"),
    # curvature over a plane or a line (`compute/curvature/hessian_map.py`); eigenvalues have the units of the loss
    Variable("lambda_max", PLANE, "float64", "nats", "largest Hessian eigenvalue"),
    Variable("lambda_min", PLANE, "float64", "nats", "smallest Hessian eigenvalue"),
    Variable("lambda_max_residual", PLANE, "float64", "nats", "residual of the largest eigenpair"),
    Variable("lambda_min_residual", PLANE, "float64", "nats", "residual of the smallest eigenpair"),
    Variable("hessian_ratio", PLANE, "float64", "1", "|smallest / largest Hessian eigenvalue|"),
    Variable("hessian_products", PLANE, "int64", "1", "Hessian-vector products spent"),
    Variable("trace", PLANE, "float64", "nats", "Hessian trace"),
    # every sample's loss at every cell; per batch where the loss has no form per sample
    Variable("sample", ("sample",), "int64", "1", "sample"),
    Variable("sample_loss", (*PLANE, "sample"), "float64", "nats", "loss of a sample"),
    Variable("batch", ("batch",), "int64", "1", "batch"),
    Variable("batch_weight", ("batch",), "float64", "samples", "samples that a batch counts for"),
    Variable("batch_mean_loss", (*PLANE, "batch"), "float64", "nats", "mean loss of a batch"),
    # what multilevel sampling drew
    Variable("samples_drawn", PLANE, "int64", "samples", "samples drawn"),
    # what samples say about a surface
    Variable("loss_sd", PLANE, "float64", "nats", "sd of the loss over samples"),
    Variable("batch_sd", PLANE, "float64", "nats", "sd of the batch loss"),
    Variable("batch_sd_theory", PLANE, "float64", "nats", "sd of the batch loss, by its law"),
    Variable("loss_difference", PLANE, "float64", "nats", "loss above the lowest cell"),
    Variable("gradient_alpha", PLANE, "float64", "1", "mean slope along alpha"),
    Variable("gradient_beta", PLANE, "float64", "1", "mean slope along beta"),
    Variable("gradient_variance_alpha", PLANE, "float64", "1", "variance over samples of the slope along alpha"),
    Variable("gradient_variance_beta", PLANE, "float64", "1", "variance over samples of the slope along beta"),
    Variable("gradient_covariance", PLANE, "float64", "1", "covariance over samples of the slopes along alpha and beta"),
    Variable("gradient_snr", PLANE, "float64", "1", "|mean gradient| / its sd in a batch"),
    Variable("uphill_share", PLANE, "float64", "fraction", "batches pointing uphill"),
    # a recorded path
    Variable("step", ("step",), "int64", "steps", "step"),
    Variable("epoch", ("step",), "float64", "epochs", "epoch"),
    Variable("path_alpha", ("step",), "float64", "1", "alpha of the iterate"),
    Variable("path_beta", ("step",), "float64", "1", "beta of the iterate"),
    Variable("path_loss", ("step",), "float64", "nats", "loss of the iterate itself"),
    Variable("path_accuracy", ("step",), "float64", "fraction", "accuracy of the iterate itself"),
    Variable("path_residual", ("step",), "float64", "1", "distance of the iterate from the plane"),
    Variable("path_relative_residual", ("step",), "float64", "fraction", "share of the way that lies off the plane"),
    Variable("path_plane_loss", ("step",), "float64", "nats", "loss of the plane below the iterate"),
    # what a recorder measures at a recorded step
    Variable("batch_loss", ("step",), "float64", "nats", "loss of the batch before the update"),
    Variable("learning_rate", ("step",), "float64", "1", "learning rate"),
    Variable("weight_norm", ("step",), "float64", "1", "norm of all weights"),
    Variable("layer_norm", ("step", "layer"), "float64", "1", "norm of a layer's weights"),
    Variable("gradient_norm", ("step",), "float64", "1", "norm of the gradient before the update"),
    Variable("bin", ("bin",), "float64", "1", "weight"),
    Variable("weight_histogram", ("step", "bin"), "int64", "weights", "number of weights"),
    Variable("layer_histogram", ("step", "layer", "bin"), "int64", "weights", "number of weights of a layer"),
    Variable("test_loss", ("step",), "float64", "nats", "loss on the test data"),
    Variable("test_accuracy", ("step",), "float64", "fraction", "accuracy on the test data"),
    Variable("sharpness", ("step",), "float64", "1", "largest eigenvalue of the Hessian"),
    Variable("stability_limit", ("step",), "float64", "1", "largest stable eigenvalue at this learning rate"),
    # decision areas of a classifier on 2-D data, one map a recorded step
    Variable("area_x", ("area_x",), "float64", "1", "first feature"),
    Variable("area_y", ("area_y",), "float64", "1", "second feature"),
    Variable("area_class", ("step", "area_x", "area_y"), "int16", "1", "predicted class"),
    Variable("data_x", ("sample",), "float64", "1", "first feature of the data"),
    Variable("data_y", ("sample",), "float64", "1", "second feature of the data"),
    Variable("data_class", ("sample",), "int16", "1", "class of the data"),
)
VARIABLES: dict[str, Variable] = {variable.name: variable for variable in _DECLARED}


def variable(name: str) -> Variable:
    """The declaration of `name`; a metric's `<name>_standard_error` and `<name>_filled` are declared with the metric itself."""
    if name.endswith("_standard_error"):
        return variable(name.removesuffix("_standard_error")).with_error()
    if name.endswith("_filled"):
        return variable(name.removesuffix("_filled")).filled()
    for position, suffix in enumerate(("_lower", "_upper")):
        if name.endswith(suffix):
            return VARIABLES[name.removesuffix(suffix)].interval_ends()[position]
    return VARIABLES[name]


def stored_variable(name: str, dims: tuple[str, ...], dtype: str, attrs: Mapping[str, Any]) -> Variable:
    """The declaration of a stored array in its own units; one that is not declared here says itself what it is.

    >>> stored_variable("margin", PLANE, "float64", {"units": "nats"})
    Variable(name='margin', dims=('alpha', 'beta'), dtype='float64', units='nats', long_name='margin')
    """
    try:
        known = variable(name)
    except KeyError:  # a metric of one's own
        known = Variable(name, dims, dtype, "1", str(attrs.get("long_name") or name.replace("_", " ")))
    details = tuple((key, attrs[key]) for key in DETAILS if key in attrs)
    return replace(known, units=str(attrs.get("units", known.units)), details=details)


def label(name: str, units: str | None = None) -> str:
    """An axis label such as ``"loss [nats]"``; dimensionless quantities show no unit.

    >>> label("loss"), label("alpha")
    ('loss [nats]', 'alpha')
    """
    declared = variable(name)
    shown = declared.units if units is None else units
    return declared.long_name if shown in ("1", "") else f"{declared.long_name} [{shown}]"
