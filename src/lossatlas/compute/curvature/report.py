"""Curvature report: eigenvalues, trace and the plane's own curvature, the numbers that belong beside a slice.

These numbers belong beside every slice: they say what curvature there is that a random plane cannot show.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from lossatlas._util.arrays import FloatArray
from lossatlas._util.text import format_percent
from lossatlas.analysis.eigensolvers.extremes import extreme_eigenvalues
from lossatlas.analysis.eigensolvers.trace import TraceEstimate, estimate_trace
from lossatlas.archive import Archive
from lossatlas.compute.curvature.operators import CurvatureOperator, Method, hessian_operator
from lossatlas.compute.evaluation.evaluators.problem import EvaluationProblem
from lossatlas.compute.objective.objective import Objective
from lossatlas.compute.planes.plane import Plane
from lossatlas.errors import InputError

CAVEAT = (
    "A plane that looks convex does not prove convexity: a random slice sees average curvature (the trace), not the smallest eigenvalue."
)


@dataclass(frozen=True)
class CurvatureReport:
    """Curvature of the mean loss at one point; eigenvalues in the units of the loss.

    Attributes:
        lambda_max: the largest Hessian eigenvalue, with the residual of its eigenpair.
        lambda_min: the smallest.
        ratio: ``|lambda_min / lambda_max|``.
        trace: with its standard error.
        plane_curvature: eigenvalues of the 2x2 (or 1x1) Hessian along the plane's own directions made orthonormal,
            ascending; None without a plane.
        parameters: how many are differentiated.
        samples: the loss is a mean over so many; None of a function that has no data.
        products: Hessian-vector products spent.
        method: how they were made.
        converged: whether the residuals are within the tolerance.
        units: of the loss.
    """

    lambda_max: float
    lambda_max_residual: float
    lambda_min: float
    lambda_min_residual: float
    ratio: float
    trace: float
    trace_standard_error: float
    plane_curvature: tuple[float, ...] | None
    parameters: int
    samples: int | None
    products: int
    method: str
    converged: bool
    units: str

    @property
    def sentence(self) -> str:
        """Summary of the numbers, and the caveat on what a picture may not be taken to say."""
        return f"{_sentence(self)} {CAVEAT}"

    @property
    def line(self) -> str:
        """The numbers in one line, for a figure's notes."""
        unit = f" {self.units}" if self.units else ""
        where = "at the center" if self.samples is None else f"at the model ({self.samples:,} samples)"
        return (
            f"Hessian {where}: largest eigenvalue {self.lambda_max:.3g}, smallest {self.lambda_min:.3g}"
            f" (|ratio| {self.ratio:.2g}), trace {self.trace:.3g} ± {self.trace_standard_error:.1g}{unit}"
        )

    def as_dict(self) -> dict[str, Any]:
        """Plain values for a summary or for `attrs`."""
        return {**asdict(self), "line": self.line, "sentence": self.sentence}

    def attach(self, archive: Archive, surface: str) -> None:
        """Keep the report with a stored surface, so that every figure of it prints the numbers and the caveat."""
        archive.update_attrs("surfaces", surface, {"curvature_report": {**self.as_dict(), "caveat": CAVEAT}})

    def __str__(self) -> str:
        unit = f" {self.units}" if self.units else ""
        lines = [
            f"largest eigenvalue   {self.lambda_max:.4g} ± {self.lambda_max_residual:.1g}{unit}",
            f"smallest eigenvalue  {self.lambda_min:.4g} ± {self.lambda_min_residual:.1g}{unit}   |min/max| {self.ratio:.3g}",
            f"trace                {self.trace:.4g} ± {self.trace_standard_error:.2g}{unit}",
        ]
        if self.plane_curvature is not None:
            lines.append("along the plane      " + ", ".join(f"{value:.4g}" for value in self.plane_curvature) + unit)
        samples = "" if self.samples is None else f"{self.samples:,} samples, "
        lines.append(f"{self.parameters:,} parameters, {samples}{self.products} products by {self.method}")
        return "\n".join([*lines, self.sentence])


def curvature_report(
    objective: Objective,
    plane: Plane | None = None,
    coordinates: Sequence[float] | None = None,
    *,
    params: str | Iterable[str] | None = None,
    biases: bool | None = None,
    tol: float = 1e-2,
    probes: int = 30,
    method: Method = "auto",
    seed: int = 0,
    workers: int = 1,
) -> CurvatureReport:
    """Measure the largest and smallest Hessian eigenvalue and the trace at the model, or at a point of a plane.

    Under a plane the numbers are about the parameters that the plane moves, so that picture and report speak of one thing.

    Args:
        objective: model, loss and data.
        plane: to also give the curvature along its own directions, and to look at another point than the center.
        coordinates: on the plane; None is the model itself.
        params: names, modules or globs to differentiate. None takes exactly the tensors that the plane moves, or all without a plane.
        biases: True also differentiates one-dimensional tensors, False leaves them out. None follows the plane where one is given and
            `params` is None, and leaves them out otherwise.
        tol: of the eigenvalues, as in `extreme_eigenvalues`.
        probes: products for the trace (Hutch++).
        method: of the products.
        seed: of the random starts.
        workers: threads over batches.

    Raises:
        InputError: coordinates without a plane, or of the wrong number; `params` and `biases` that leave out what the plane moves.

    Example:
        >>> import torch
        >>> objective = Objective(lambda p, _: (p["u"] * p["v"] - 1) ** 2, params={"u": torch.tensor(2.0), "v": torch.tensor(0.5)})
        >>> report = curvature_report(objective, biases=True)
        >>> round(report.lambda_max, 4), round(abs(report.lambda_min), 4), round(report.trace, 4)
        (8.5, 0.0, 8.5)
    """
    point = _point(plane, coordinates)
    if plane is not None:
        objective = EvaluationProblem.make(objective, plane, ()).held(_place(plane, coordinates))
        if params is None and biases is None:
            params, biases = plane.moving_names, True
    matrix = hessian_operator(objective, point, params=params, biases=bool(biases), method=method, workers=workers)
    ends = extreme_eigenvalues(matrix, tol=tol, seed=seed, solver="ritz")
    total = estimate_trace(matrix, probes, seed=seed)
    along = None if plane is None else tuple(float(v) for v in np.linalg.eigvalsh(plane_hessian(matrix, plane)))
    return CurvatureReport(
        lambda_max=ends.lambda_max,
        lambda_max_residual=float(ends.largest_residuals[0]),
        lambda_min=ends.lambda_min,
        lambda_min_residual=float(ends.smallest_residuals[0]),
        ratio=ends.ratio,
        **_trace_fields(total),
        plane_curvature=along,
        parameters=matrix.size,
        samples=None if objective.description["samples"] is None else objective.samples,
        products=matrix.products,
        method=matrix.method,
        converged=ends.converged,
        units=matrix.units,
    )


def plane_hessian(matrix: CurvatureOperator, plane: Plane) -> FloatArray:
    """Compute the Hessian within the plane, in an orthonormal basis of it: ``(ndim, ndim)``, in the units of the loss.

    Args:
        matrix: at the point meant; it differentiates at least what the plane moves. One product a direction.
        plane: whose directions span it.

    Raises:
        InputError: the plane moves parameters that the matrix does not differentiate.
    """
    if left_out := sorted(set(plane.moving_names) - set(matrix.layout.names)):
        raise InputError(
            "params", f"without {', '.join(left_out[:4])}", "every parameter that the plane moves", "Leave params= and biases= out"
        )
    basis = np.linalg.qr(np.stack([matrix.layout.flatten(d.params, partial=True) for d in plane.directions], axis=1))[0]
    inner = basis.T @ matrix.matmat(basis)
    return (inner + inner.T) / 2


def _point(plane: Plane | None, at: Sequence[float] | None) -> dict[str, Any] | None:
    if plane is None:
        if at is not None:
            raise InputError("at", tuple(at), "no coordinates without a plane", "Pass plane= too")
        return None
    return plane.point(*_place(plane, at))


def _place(plane: Plane, at: Sequence[float] | None) -> tuple[float, ...]:
    place = at if at is not None else plane.origin
    if place is None or len(place) != plane.ndim:
        raise InputError("at", place, f"{plane.ndim} coordinates on the plane")
    return tuple(float(c) for c in place)


def _trace_fields(total: TraceEstimate) -> dict[str, float]:
    return {"trace": total.value, "trace_standard_error": total.standard_error}


def _sentence(report: CurvatureReport) -> str:
    noise = max(report.lambda_min_residual, 1e-6 * abs(report.lambda_max))
    if report.lambda_min < -noise:
        share = format_percent(report.ratio)
        return f"There is negative curvature here (smallest eigenvalue {report.lambda_min:.3g}, {share} of the largest in size)."
    return "No negative curvature was found here beyond the residual of the smallest eigenpair."
