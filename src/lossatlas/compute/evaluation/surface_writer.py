"""Writer of one surface: creates or resumes it, stores finished tiles, tracks failed cells."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from lossatlas import schema
from lossatlas.analysis.adaptive_refinement import Scale, fill, smallest_resolved_width
from lossatlas.analysis.grid import Grid
from lossatlas.archive import Archive
from lossatlas.compute.evaluation.evaluators import EvaluationProblem, Loop, TileValues
from lossatlas.compute.evaluation.provenance import differences, surface_mismatch_error
from lossatlas.compute.evaluation.remeasurement import Rounding, changed, compared_cells, place_in_words, scale_of
from lossatlas.compute.evaluation.storage_checks import cast_checked, check_free_space
from lossatlas.compute.metrics import Metric
from lossatlas.compute.objective.objective import Objective
from lossatlas.errors import ArchiveError

MAX_REASONS = 100
"""Holes whose reason is written down, by flat cell index."""


@dataclass
class SurfaceWriter:
    """The one writer of a surface.

    Attributes:
        store: the archive.
        name: of the surface.
        grid: its cells.
        variables: what is measured there, with units.
        earlier_seconds: what earlier runs spent.
        failure_reasons: flat cell index to the reason of a NaN that nothing computed.
        nan_cells: how many cells were measured and are NaN without such a reason.
    """

    store: Archive
    name: str
    grid: Grid
    variables: tuple[schema.Variable, ...]
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
        variables = tuple(_with_units(metric.variable, objective) for metric in metrics)
        layout = [v for m, d in zip(metrics, variables, strict=True) for v in ((d,) if m.per_sample else (d, d.with_error()))]
        if store.has_surface(name) and (stored := stored_attrs(store, name, overwrite)) is not None:
            different = differences(stored, attrs)
            if not different and mend(store, name, grid, [v.name for v in layout], overwrite):
                writer = cls(store, name, grid, variables, float(stored.get("seconds", 0.0)), dict(stored.get("holes", {})))
                writer.invalidate_lost_cells()
                different = writer.changed(task)
                if not different:
                    return writer
            if different and not overwrite:
                raise surface_mismatch_error(name, store.location, different)
        coordinates: dict[str, NDArray[Any]] = {**dict(zip(schema.PLANE, grid.axes, strict=False)), **_depth(metrics, objective)}
        check_free_space(store.location, layout, {axis: len(values) for axis, values in coordinates.items()})
        store.create_surface(name, coordinates, layout, attrs)
        return cls(store, name, grid, variables)

    def stored_surface(self) -> xr.Dataset:
        """The surface as it is stored now."""
        return self.store.surface(self.name)

    def unfinished_cells(self) -> NDArray[np.int64]:
        """Cells that are not done, coarse level first."""
        order = self.grid.order()
        return order[~self.stored_surface().done.values.ravel()[order]]

    def invalidate_lost_cells(self) -> None:
        """Cells that are `done`, NaN for no stored reason, and not known to be so are measured again.

        Two writers at once, which archives without a lock still allow, lose some of each other's values and keep each
        other's `done`. NaN that the model itself gives is told apart by its number, `nan_cells`.
        """
        known = self.stored_surface()
        done, nan, errors = np.asarray(known.done.values, bool).ravel(), np.zeros(self.grid.size, bool), np.zeros(self.grid.size, bool)
        for declared in (v for v in self.variables if v.dims == schema.PLANE):
            missing = np.isnan(known[declared.name].values.ravel())
            nan |= missing
            error = np.isnan(known[declared.with_error().name].values.ravel()) | missing
            errors |= error & ~missing & (not error[done].all())  # a loss without a form per sample has none anywhere
        nan[[int(cell) for cell in self.failure_reasons]] = False
        if int((nan & done).sum()) == known.attrs.get("nan_cells"):
            self.nan_cells, nan = int((nan & done).sum()), np.zeros_like(nan)
        lost = np.flatnonzero((nan | errors) & done)
        if len(lost):
            self.store.mark_not_done(self.name, lost)

    def changed(self, task: EvaluationProblem) -> list[str]:
        """In what some of the stored cells differ from the same ones measured now, in words; empty where they may be continued."""
        known, arrays = self.stored_surface(), self.store.samples(self.name)
        deep = {v.name: arrays[v.name] for v in self.variables if v.dims != schema.PLANE}
        planes = {v.name: np.asarray(known[v.name].values).ravel() for v in self.variables if v.dims == schema.PLANE}
        usable = np.logical_and.reduce([np.ones(self.grid.size, bool), *map(np.isfinite, planes.values())])
        usable[[int(cell) for cell in self.failure_reasons]] = False
        own = None if task.plane.origin is None else self.grid.cell_at(task.plane.origin)
        cells = compared_cells(np.asarray(known.done.values, bool).ravel(), usable, own)
        if not len(cells):
            return []
        points, where = self.grid.points(cells), np.unravel_index(cells, self.grid.shape)
        stored = {name: values[cells] for name, values in planes.items()}
        stored |= {n: np.stack([np.asarray(a[place]) for place in zip(*where, strict=True)]) for n, a in deep.items()}
        scales = {name: scale_of(values) for name, values in {**stored, **planes}.items()}
        rounding = Rounding.of(task.objective, [str(told.get("device")) for told in (known.attrs["objective"], task.objective.description)])
        return changed(stored, lambda: Loop(task)(points).values, rounding, scales, [place_in_words(point) for point in points])

    def stored_engine(self) -> tuple[str, int | None]:
        """The evaluator and chunk of the run that is continued, so that its cells are the same to the last bit; else "auto"."""
        engine = self.stored_surface().attrs.get("engine", {})
        unlike_plain = engine.get("layout", "given") != "given" or engine.get("compiled")
        return ("auto", None) if not engine or unlike_plain else (engine["evaluator"], engine["chunk"])

    def record_engine(self, engine: Mapping[str, Any]) -> None:
        """Say what measures, before the first cell is stored."""
        self.store.update_attrs("surfaces", self.name, {"engine": dict(engine)})

    def write(self, cells: NDArray[np.int64], measured: TileValues) -> None:
        """Store a finished tile, and why some of its cells are holes."""
        self.store.write_cells(self.name, cells, {**measured.values, **self._cast_checked(measured)})
        fresh = {str(int(cells[index])): reason for index, reason in measured.failures.items()}
        if fresh and len(self.failure_reasons) < MAX_REASONS:
            self.failure_reasons.update(fresh)
            self.store.update_attrs("surfaces", self.name, {"holes": self.failure_reasons})
        self.nan_cells += self._unexplained(cells, measured)

    def _unexplained(self, cells: NDArray[np.int64], measured: TileValues) -> int:
        """How many cells of a tile are NaN with no reason on record, be it that there is no more room for reasons."""
        plane = [np.isnan(measured.values[v.name]) for v in self.variables if v.dims == schema.PLANE]
        return sum(str(int(cell)) not in self.failure_reasons for cell in cells[np.logical_or.reduce(plane)]) if plane else 0

    def _cast_checked(self, measured: TileValues) -> dict[str, NDArray[Any]]:
        """Every sample's values in the type they are stored in."""
        return {v.name: cast_checked(measured.values[v.name], v.dtype) for v in self.variables if len(v.dims) > len(schema.PLANE)}

    def write_filled(self, scale: Scale, estimated_error: float, tol: float) -> None:
        """Store the interpolated preview beside the computed cells, and what error is expected of it."""
        known = self.stored_surface()
        done = np.asarray(known.done.values, bool)
        errors: dict[str, float] = {}
        for declared in (v for v in self.variables if v.dims == schema.PLANE):
            values, loss = np.asarray(known[declared.name].values), declared.name == "loss"
            filled, errors[declared.name] = fill(self.grid, values, done, scale if loss else "linear")
            self.store.write_variable(self.name, declared.filled(), filled)
        others = {name: error for name, error in errors.items() if name != "loss" and not name.endswith("_standard_error")}
        note = {"estimated_error": estimated_error, "estimated_error_scale": scale, "tol": tol}
        note |= {"estimated_errors": others, "narrowest": smallest_resolved_width(self.grid.shape)}
        self.store.update_attrs("surfaces", self.name, {"cells_done": int(done.sum()), **note})

    def close(self) -> None:
        """Record the time; a complete surface needs no preview any more."""
        done = np.asarray(self.stored_surface().done.values, bool)
        attrs: dict[str, Any] = {"seconds": self.earlier_seconds + time.perf_counter() - self.started, "cells_done": int(done.sum())}
        attrs["nan_cells"] = self.nan_cells
        if done.all():
            for declared in self.variables:
                self.store.drop_variable(self.name, declared.filled().name)
            attrs["estimated_error"] = 0.0
        self.store.update_attrs("surfaces", self.name, attrs)


def stored_attrs(store: Archive, name: str, overwrite: bool) -> dict[str, Any] | None:
    """How the stored surface was made; None where that is lost and it may be replaced."""
    try:
        return store.surface_attrs(name)
    except ArchiveError:
        if overwrite:
            return None
        raise


def mend(store: Archive, name: str, grid: Grid, variables: Iterable[str], overwrite: bool) -> bool:
    """Take the cells of damaged chunks for not computed, with a warning; False where more is lost and it may be replaced."""
    try:
        lost = store.mend_surface(name, dict(zip(schema.PLANE, grid.axes, strict=False)), variables)
    except ArchiveError:
        if overwrite:
            return False
        raise
    if lost:
        warnings.warn(
            f"Chunks of {name!r} in {store.location} are damaged: {lost:,} cells are measured anew. Look after the disk.", stacklevel=4
        )
    return True


def _with_units(declared: schema.Variable, objective: Objective) -> schema.Variable:
    """The loss is measured in its own units: nats for cross-entropy, none for a squared error."""
    if declared.name not in ("loss", "sample_loss", "batch_mean_loss"):
        return declared
    return replace(declared, units=str(objective.description["units"]) or "1")


def _depth(metrics: tuple[Metric, ...], objective: Objective) -> dict[str, NDArray[Any]]:
    """The axis beyond the plane, where every value is kept."""
    if not any(metric.per_sample for metric in metrics):
        return {}
    if objective.per_sample:
        return {"sample": np.arange(objective.samples)}
    return {"batch": np.arange(len(objective.weights)), "batch_weight": np.array(objective.weights)}
