"""Writer of one surface: creates or resumes it, stores finished tiles, tracks failed cells."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lossatlas import schema
from lossatlas.analysis.adaptive_refinement import Scale, fill, smallest_resolved_width
from lossatlas.analysis.grid import Grid
from lossatlas.archive import Archive
from lossatlas.archive.sample_draws import SampleDraws
from lossatlas.compute.evaluation.evaluators import EvaluationProblem, EvaluatorSpec, TileValues
from lossatlas.compute.evaluation.storage.provenance import differences, surface_mismatch_error
from lossatlas.compute.evaluation.storage.resume import Rounding, changed, compared_cells, mend, place_in_words, scale_of, stored_attrs
from lossatlas.compute.evaluation.storage.storage_checks import cast_checked, check_free_space
from lossatlas.compute.metrics import Metric
from lossatlas.compute.objective.objective import Objective

MAX_REASONS = 100
"""Holes whose reason is written down, by flat cell index."""
INTERVAL_ENDS = ("_lower", "_upper")
"""Arrays that surfaces of older versions have not; a continued one stays without them."""


@dataclass
class SurfaceWriter:
    """The one writer of a surface. It holds in memory what is stored of the plane, and reads the archive only to continue a surface.

    Attributes:
        store: the archive.
        name: of the surface.
        grid: its cells.
        variables: what is measured there, with units.
        done: computed cells, flat.
        values: by name of a plane variable or of its standard error, what is stored, flat.
        stored_attrs: of the surface that is continued, as it was found; empty of a new one.
        earlier_seconds: that earlier runs spent.
        failure_reasons: flat cell index to the reason of a NaN that nothing computed.
        nan_cells: how many cells were measured and are NaN without such a reason.
    """

    store: Archive
    name: str
    grid: Grid
    variables: tuple[schema.Variable, ...]
    done: NDArray[np.bool_]
    values: dict[str, NDArray[Any]]
    stored_attrs: Mapping[str, Any] = field(default_factory=dict)
    earlier_seconds: float = 0.0
    failure_reasons: dict[str, str] = field(default_factory=dict)
    nan_cells: int = 0
    started: float = field(default_factory=time.perf_counter)

    @classmethod
    def open(
        cls,
        store: Archive,
        name: str,
        grid: Grid,
        metrics: tuple[Metric, ...],
        objective: Objective,
        attrs: dict[str, Any],
        overwrite: bool,
        task: EvaluationProblem,
    ) -> SurfaceWriter:
        """Continue the stored surface where it is the same one, some of its cells measured again included; else lay out an empty one.

        Raises:
            ArchiveError: another surface has that name.
        """
        variables = tuple(_with_units(metric, objective) for metric in metrics)
        layout = [v for d in variables for v in ((d, *d.errors()) if d.dims == schema.PLANE else (d,))]
        if store.has_surface(name) and (stored := stored_attrs(store, name, overwrite)) is not None:
            different = differences(stored, attrs)
            needed = [v.name for v in layout if not v.name.endswith(INTERVAL_ENDS)]
            if not different and mend(store, name, grid, needed, overwrite):
                writer = cls._of_stored(store, name, grid, variables, layout)
                writer.invalidate_lost_cells()
                different = writer.changed(task)
                if not different:
                    return writer
            if different and not overwrite:
                raise surface_mismatch_error(name, store.location, different)
        coordinates: dict[str, NDArray[Any]] = {**dict(zip(schema.PLANE, grid.axes, strict=False)), **_depth(metrics, objective)}
        check_free_space(store.location, layout, {axis: len(values) for axis, values in coordinates.items()})
        store.create_surface(name, coordinates, layout, attrs)
        empty = {v.name: np.full(grid.size, v.fill_value, v.dtype) for v in layout if v.dims == schema.PLANE}
        return cls(store, name, grid, variables, np.zeros(grid.size, bool), empty)

    @classmethod
    def _of_stored(
        cls, store: Archive, name: str, grid: Grid, variables: tuple[schema.Variable, ...], layout: Iterable[schema.Variable]
    ) -> SurfaceWriter:
        """Of a surface to continue, which is read here and never again."""
        known = store.surface(name)
        stored = [v for v in layout if v.dims == schema.PLANE and (v.name in known or not v.name.endswith(INTERVAL_ENDS))]
        values = {v.name: np.array(known[v.name].values).ravel() for v in stored}
        seconds, reasons = float(known.attrs.get("seconds", 0.0)), dict(known.attrs.get("holes", {}))
        return cls(store, name, grid, variables, np.array(known.done.values, bool).ravel(), values, known.attrs, seconds, reasons)

    def unfinished_cells(self) -> NDArray[np.int64]:
        """Cells that are not done, coarse level first."""
        order = self.grid.order()
        return order[~self.done[order]]

    def plane_values(self, name: str) -> NDArray[Any]:
        """A variable or a standard error in the grid's shape."""
        return self.values[name].reshape(self.grid.shape)

    def invalidate_lost_cells(self) -> None:
        """Cells that are `done`, NaN for no stored reason, and not known to be so are measured again.

        Two writers at once, which archives without a lock still allow, lose some of each other's values and keep each
        other's `done`. NaN that the model itself gives is told apart by its number, `nan_cells`.
        """
        done, nan, errors = self.done, np.zeros(self.grid.size, bool), np.zeros(self.grid.size, bool)
        for declared in (v for v in self.variables if v.dims == schema.PLANE):
            missing = np.isnan(self.values[declared.name])
            nan |= missing
            error = np.isnan(self.values[declared.with_error().name]) | missing
            errors |= error & ~missing & (not error[done].all())  # a loss without a form per sample has none anywhere
        nan[[int(cell) for cell in self.failure_reasons]] = False
        if int((nan & done).sum()) == self.stored_attrs.get("nan_cells"):
            self.nan_cells, nan = int((nan & done).sum()), np.zeros_like(nan)
        lost = np.flatnonzero((nan | errors) & done)
        if len(lost):
            self.store.mark_not_done(self.name, lost)
            self.done[lost] = False

    def changed(self, task: EvaluationProblem) -> list[str]:
        """In what some of the stored cells differ from the same ones measured now, in words; empty where they may be continued."""
        names = [v.name for v in self.variables if v.dims != schema.PLANE]
        arrays = self.store.samples(self.name) if names else {}
        if means := [name for name in names if name not in arrays]:
            return [f"it holds the mean of {means[0]} and every sample's value is wanted"]
        deep = {name: arrays[name] for name in names}
        planes = {v.name: self.values[v.name] for v in self.variables if v.dims == schema.PLANE}
        usable = np.logical_and.reduce([np.ones(self.grid.size, bool), *map(np.isfinite, planes.values())])
        usable[[int(cell) for cell in self.failure_reasons]] = False
        model_cell = None if task.plane.origin is None else self.grid.cell_at(task.plane.origin)
        cells = compared_cells(self.done, usable, model_cell)
        if not len(cells):
            return []
        points, where = self.grid.points(cells), np.unravel_index(cells, self.grid.shape)
        stored = {name: values[cells] for name, values in planes.items()}
        stored |= {n: np.stack([np.asarray(a[place]) for place in zip(*where, strict=True)]) for n, a in deep.items()}
        scales = {name: scale_of(values) for name, values in {**stored, **planes}.items()}
        rounding = Rounding.of(
            task.objective, [str(made.get("device")) for made in (self.stored_attrs["objective"], task.objective.description)]
        )
        return changed(
            stored, lambda: EvaluatorSpec().create(task)(points).values, rounding, scales, [place_in_words(point) for point in points]
        )

    def stored_engine(self) -> EvaluatorSpec | None:
        """The evaluator of the run that is continued, so that its cells are the same to the last bit; None where there is none."""
        return EvaluatorSpec.of(self.stored_attrs.get("engine", {}))

    def record_engine(self, engine: Mapping[str, Any]) -> None:
        """Say what measures, before the first cell is stored."""
        self.store.update_attrs("surfaces", self.name, {"engine": dict(engine)})

    def write(self, cells: NDArray[np.int64], measured: TileValues) -> None:
        """Store a finished tile, and why some of its cells are holes."""
        tile = {**measured.values, **self._cast_checked(measured)}
        tile = {name: values for name, values in tile.items() if name in self.values or not name.endswith(INTERVAL_ENDS)}
        self.store.write_cells(self.name, cells, tile)
        self.done[cells] = True
        for name, stored in self.values.items():
            stored[cells] = tile[name]
        fresh = {str(int(cells[index])): reason for index, reason in measured.failures.items()}
        if fresh and len(self.failure_reasons) < MAX_REASONS:
            self.failure_reasons.update(fresh)
            self.store.update_attrs("surfaces", self.name, {"holes": self.failure_reasons})
        self.nan_cells += self._unexplained(cells, measured)

    def _unexplained(self, cells: NDArray[np.int64], measured: TileValues) -> int:
        """Number of cells of a tile that are NaN with no reason on record, even if only for want of space for reasons."""
        plane = [np.isnan(measured.values[v.name]) for v in self.variables if v.dims == schema.PLANE]
        return sum(str(int(cell)) not in self.failure_reasons for cell in cells[np.logical_or.reduce(plane)]) if plane else 0

    def _cast_checked(self, measured: TileValues) -> dict[str, NDArray[Any]]:
        """Values in the type they are stored in, where that holds fewer digits than they have."""
        dtypes = {name: v.dtype for v in self.variables if v.dtype != "float64" for name in (v.name, *(e.name for e in v.errors()))}
        return {name: cast_checked(values, dtypes[name]) for name, values in measured.values.items() if name in dtypes}

    def write_filled(self, scale: Scale, estimated_error: float, tol: float) -> None:
        """Store the interpolated preview beside the computed cells, and what error is expected of it, in place of estimates."""
        self._drop_estimates()
        done = self.done.reshape(self.grid.shape)
        errors: dict[str, float] = {}
        for declared in (v for v in self.variables if v.dims == schema.PLANE):
            values, loss = self.plane_values(declared.name), declared.name == "loss"
            filled, errors[declared.name] = fill(self.grid, values, done, scale if loss else "linear")
            self.store.write_variable(self.name, declared.filled(), filled)
        others = {name: error for name, error in errors.items() if name != "loss"}
        note = {"estimated_error": estimated_error, "estimated_error_scale": scale, "tol": tol}
        note |= {"estimated_errors": others, "narrowest": smallest_resolved_width(self.grid.shape)}
        note |= {"sampling": {}} if self.stored_attrs.get("sampling") else {}
        self.store.update_attrs("surfaces", self.name, {"cells_done": int(done.sum()), **note})

    def sample_draws(self) -> SampleDraws:
        """Store of what multilevel sampling draws; that of an earlier surface of the name is gone."""
        plane = [v for v in self.variables if v.dims == schema.PLANE]
        draws = SampleDraws(self.store, self.name, self.grid.size, tuple(v.name for v in plane), "float64")
        if not self.stored_attrs:
            draws.drop()
        return draws

    def write_estimates(
        self, estimates: Mapping[str, tuple[NDArray[Any], NDArray[Any]]], drawn: NDArray[Any], note: Mapping[str, Any]
    ) -> None:
        """Store what was estimated from samples beside the computed cells, its standard error, and how many samples each cell got."""
        for declared in (v for v in self.variables if v.name in estimates):
            mean, error = estimates[declared.name]
            done, known = self.done.reshape(self.grid.shape), self.plane_values(declared.name)
            self.store.write_variable(self.name, declared.filled(), np.where(done, known, mean))
            self.store.write_variable(self.name, declared.filled().with_error(), np.where(done, 0.0, error))
        self.store.write_variable(self.name, schema.variable("samples_drawn"), drawn.reshape(self.grid.shape))
        self.store.update_attrs("surfaces", self.name, {**note, "seconds": self.earlier_seconds + time.perf_counter() - self.started})

    def _drop_estimates(self) -> None:
        """Remove what tells of samples, if it is there."""
        for declared in self.variables:
            self.store.drop_variable(self.name, declared.filled().with_error().name)
        self.store.drop_variable(self.name, "samples_drawn")

    def close(self) -> None:
        """Record the time; a complete surface needs no preview any more."""
        seconds, count = self.earlier_seconds + time.perf_counter() - self.started, int(self.done.sum())
        attrs: dict[str, Any] = {"seconds": seconds, "cells_done": count}
        attrs["nan_cells"] = self.nan_cells
        if self.done.all():
            for declared in self.variables:
                self.store.drop_variable(self.name, declared.filled().name)
            self._drop_estimates()
            attrs["estimated_error"] = 0.0
            if self.stored_attrs.get("sampling"):
                self.sample_draws().drop()
                attrs["sampling"] = {}
        self.store.update_attrs("surfaces", self.name, attrs)


def _with_units(metric: Metric, objective: Objective) -> schema.Variable:
    """The loss is measured in its own units: nats for cross-entropy, none for a squared error. Without a form per sample,
    what is kept of a metric is kept by batch."""
    declared = metric.variable
    if not objective.per_sample and "sample" in declared.dims:
        declared = replace(declared, dims=tuple("batch" if dim == "sample" else dim for dim in declared.dims))
    if not metric.in_units_of_loss:
        return declared
    return replace(declared, units=str(objective.description["units"]) or "1")


def _depth(metrics: tuple[Metric, ...], objective: Objective) -> dict[str, NDArray[Any]]:
    """The axis beyond the plane, where every value is kept."""
    if not any(metric.per_sample for metric in metrics):
        return {}
    if objective.per_sample:
        return {"sample": np.arange(objective.samples)}
    return {"batch": np.arange(len(objective.weights)), "batch_weight": np.array(objective.weights)}
