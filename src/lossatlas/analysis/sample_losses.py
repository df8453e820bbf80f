"""Surfaces of mini-batches, their mean, standard deviation and standard error, from stored per-sample losses.

The tensor is read a few rows of the plane at a time and never whole. A batch's surface is the product of the tensor
with the batch's row of a selection matrix, which is sparse: it is done by picking the batch's samples, so that a sample
with an infinite loss spoils its own batches and no others.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import xarray as xr
import zarr
from numpy.typing import NDArray

from lossatlas import schema
from lossatlas.analysis.sampling import Indices, check_batch_size, sampling_fpc, shuffled_batches, standard_error_fpc
from lossatlas.archive import Archive, Location, as_archive
from lossatlas.archive.arrays import read_array
from lossatlas.errors import InputError

Array = NDArray[np.float64]
BLOCK_BYTES = 32 * 2**20
"""Losses held at a time, in float64."""


@dataclass(frozen=True, eq=False)
class SampleLossArray:
    """The losses of every sample over a plane or a line, kept on disk.

    Attributes:
        losses: ``(alpha, beta, sample)``, or ``(alpha, sample)``; per batch where the loss has no form per sample.
        surface: the stored surface: coordinates, `done`, provenance.
        weights: what each sample, or each batch, counts for, ``(samples,)``.
        per_sample: False where the last axis counts batches.

    Example:
        >>> import torch, lossatlas as la
        >>> objective = la.Objective(lambda p, x: (x - p["w"][0]) ** 2, data=torch.tensor([0.0, 2.0]), params={"w": torch.zeros(1)})
        >>> archive = la.open_archive(None, "a")
        >>> _ = la.evaluate(objective, la.weight_plane(objective, ("w", 0)), (0, 2), 3, ("loss", "sample_loss"), archive)
        >>> losses = la.SampleLossArray.open(archive)
        >>> losses.surfaces([[0], [1], [0, 1]]).values.tolist()
        [[0.0, 1.0, 4.0], [4.0, 1.0, 0.0], [2.0, 1.0, 2.0]]
    """

    losses: zarr.Array[Any]
    surface: xr.Dataset
    weights: Array
    per_sample: bool

    @classmethod
    def open(cls, archive: Archive | Location, name: str | None = None) -> SampleLossArray:
        """The per-sample losses of a surface that `evaluate(..., metrics=("loss", "sample_loss"))` stored.

        Raises:
            InputError: the surface was computed without them.
        """
        store = as_archive(archive, "r")
        arrays, surface = store.samples(name), store.surface(name)
        if "sample_loss" in arrays:
            return cls(arrays["sample_loss"], surface, np.ones(arrays["sample_loss"].shape[-1]), True)
        if "batch_mean_loss" in arrays:
            return cls(arrays["batch_mean_loss"], surface, read_array(arrays["batch_weight"]).astype(float), False)
        raise InputError(
            "surface", name, "a surface with per-sample losses", 'Compute it with evaluate(..., metrics=("loss", "sample_loss"), archive=…)'
        )

    @property
    def samples(self) -> int:
        """Length of the last axis: samples, or batches of a loss that has only their means."""
        return int(self.losses.shape[-1])

    @property
    def dims(self) -> tuple[str, ...]:
        return schema.PLANE[: self.losses.ndim - 1]

    @property
    def units(self) -> str:
        return str(self.losses.attrs.get("units", "1"))

    def blocks(self) -> Iterator[tuple[slice, Array]]:
        """A few rows of the plane at a time: ``(rows, values)``, values float64; NaN where nothing is computed."""
        row = 8 * int(np.prod(self.losses.shape[1:]))
        step = max(1, BLOCK_BYTES // max(row, 1))
        for start in range(0, self.losses.shape[0], step):
            rows = slice(start, min(start + step, self.losses.shape[0]))
            yield rows, read_array(self.losses, rows).astype(np.float64)

    def surfaces(self, batches: Sequence[Indices | Sequence[int]]) -> xr.DataArray:
        """The surface that each batch sees, ``(batch, alpha, beta)``: the mean loss of its samples.

        Raises:
            InputError: an empty batch, or samples that are not there.
        """
        chosen = [self._checked(batch) for batch in batches]
        values = np.empty((len(chosen), *self.losses.shape[:-1]))
        for rows, block in self.blocks():
            for k, batch in enumerate(chosen):
                values[k, rows] = self._mean(block[..., batch], batch)
        attrs = {"units": self.units, "long_name": "loss of a batch"}
        return xr.DataArray(values, dims=("batch", *self.dims), coords={d: self.surface[d].values for d in self.dims}, attrs=attrs)

    def statistics(self, population: int | None = None) -> xr.Dataset:
        """Mean, spread over samples, standard errors and the difference from the lowest cell with *its* standard error.

        All cells share their samples, so that the error of a difference is far smaller than that of either value.

        Args:
            population: samples of the whole data where these are a random subset of them; None is what the surface says
                of itself, and an endless supply where it says nothing.

        Returns:
            A Dataset over the plane with `loss`, `loss_sd`, `loss_standard_error`, `loss_difference` and
            `loss_difference_standard_error`. Losses that are infinite leave spreads NaN there.
        """
        shape, share = self.losses.shape[:-1], self._standard_error_factor(population)
        result = {name: np.full(shape, np.nan) for name in ("loss", "loss_sd", "loss_difference_standard_error")}
        with np.errstate(invalid="ignore"):
            for rows, block in self.blocks():
                result["loss"][rows] = self._mean(block)
                result["loss_sd"][rows] = self._sd(block)
            lowest = self._lowest(result["loss"])
            best = np.nan if lowest is None else read_array(self.losses, lowest).astype(np.float64)
            for rows, block in self.blocks():
                result["loss_difference_standard_error"][rows] = self._sd(block - best) * share
            low = np.nan if lowest is None else result["loss"][lowest]
            result["loss_standard_error"], result["loss_difference"] = result["loss_sd"] * share, result["loss"] - low
        return self._dataset(result)

    def batch_loss_std(self, batch_size: int, *, epochs: int = 20, seed: int = 0) -> xr.Dataset:
        """The spread of the batch loss, measured over shuffled epochs, beside its law ``sigma / sqrt(B) * sqrt((N - B) / (N - 1))``.

        Deviations count from the full mean, which is known, so the measurement is unbiased although batches of an
        epoch make up for one another.

        Returns:
            A Dataset over the plane: `batch_sd` (measured), `batch_sd_theory`, `ratio`; `attrs["batch_sd_ratio"]` is the
            median ratio.

        Raises:
            InputError: a batch larger than the data; a loss that has no form per sample.
        """
        self._check_per_sample("batch_spread")
        check_batch_size(batch_size, self.samples)
        batches = np.stack(shuffled_batches(self.samples, batch_size, epochs=epochs, seed=seed))
        shape = self.losses.shape[:-1]
        measured, theory = np.zeros(shape), np.zeros(shape)
        with np.errstate(invalid="ignore", divide="ignore"):
            for rows, block in self.blocks():
                center = block.mean(-1)
                for batch in batches:
                    measured[rows] += (block[..., batch].mean(-1) - center) ** 2
                theory[rows] = self._sd(block) / np.sqrt(batch_size) * sampling_fpc(batch_size, self.samples)
            measured = np.sqrt(measured / len(batches))
            ratio = np.where(theory > 0, measured / theory, np.nan)
        spread = self._dataset({"batch_sd": measured, "batch_sd_theory": theory, "ratio": ratio})
        known = ratio[np.isfinite(ratio)]
        return spread.assign_attrs(
            batch_size=batch_size, batches=len(batches), batch_sd_ratio=float(np.median(known)) if known.size else None
        )

    def store_differences(self, archive: Archive, name: str | None = None, population: int | None = None) -> xr.Dataset:
        """Store beside the surface how far each cell is from the lowest one, and how sure that is; figures then hatch what is open.

        Args:
            archive: that holds the surface, open for writing.
            name: of the surface.
            population: as for `statistics`.

        Returns:
            The surface with `loss_difference` and `loss_difference_standard_error`.
        """
        result, known = self.statistics(population), name or archive.surfaces[0]
        for variable in ("loss_difference", "loss_difference_standard_error"):
            archive.write_variable(known, replace(schema.variable(variable), units=self.units), result[variable].values)
        return archive.surface(known)

    def batch_surface(self, batch: Indices | Sequence[int], title: str = "") -> xr.Dataset:
        """A batch's surface as a Dataset that can be drawn, with the provenance of the stored one."""
        chosen = self._checked(batch)
        loss = self.surfaces([chosen])[0]
        objective = {**self.surface.attrs.get("objective", {}), "samples": len(chosen)}
        attrs = {**self.surface.attrs, "objective": objective, "title": title or f"a batch of {len(chosen)}"}
        return xr.Dataset({"loss": loss.drop_attrs().assign_attrs(self.surface.loss.attrs), "done": self.surface.done}, attrs=attrs)

    @property
    def count_infinite(self) -> int:
        """Samples whose loss is infinite somewhere on the plane."""
        bad = np.zeros(self.samples, bool)
        for _, block in self.blocks():
            bad |= np.isinf(block).reshape(-1, self.samples).any(0)
        return int(bad.sum())

    # -- inside ----------------------------------------------------------------------------------------------

    def _mean(self, values: Array, batch: Indices | None = None) -> Array:
        if self.per_sample:
            return values.mean(-1)
        weights = self.weights if batch is None else self.weights[batch]
        counts = weights > 0  # the mean of a batch in which nothing counts is NaN
        with np.errstate(invalid="ignore"):
            return (values[..., counts] * weights[counts]).sum(-1) / weights[counts].sum()

    def _sd(self, values: Array) -> Array:
        """Over all samples, divided by N; a weighted mean of batches has none."""
        return values.std(-1) if self.per_sample else np.full(values.shape[:-1], np.nan)

    def _standard_error_factor(self, population: int | None) -> float:
        """Factor from a standard deviation over N to a standard error: ``1 / sqrt(N - 1)``, less where few are left undrawn."""
        n = self.samples
        if n < 2:
            return np.nan
        known = self.surface.attrs.get("objective", {}).get("population") if population is None else population
        return standard_error_fpc(n, known) / float(np.sqrt(n - 1))

    def _lowest(self, loss: Array) -> tuple[int, ...] | None:
        usable = np.isfinite(loss) & np.asarray(self.surface.done.values, bool)
        return tuple(int(i) for i in np.unravel_index(np.argmin(np.where(usable, loss, np.inf)), loss.shape)) if usable.any() else None

    def _dataset(self, variables: dict[str, Array]) -> xr.Dataset:
        coords = {d: self.surface[d].values for d in self.dims}
        arrays = {name: (self.dims, values, self._attrs(name)) for name, values in variables.items()}
        return xr.Dataset({**arrays, "done": (self.dims, self.surface.done.values)}, coords=coords, attrs=dict(self.surface.attrs))

    def _attrs(self, name: str) -> dict[str, Any]:
        try:
            return {**schema.variable(name).attrs, "units": self.units}
        except KeyError:
            return {"units": "1" if name == "ratio" else self.units, "long_name": name.replace("_", " ")}

    def _checked(self, batch: Indices | Sequence[int]) -> Indices:
        indices = np.asarray(batch)
        if indices.dtype == bool and indices.shape == (self.samples,):
            indices = np.flatnonzero(indices)
        if indices.size and not np.issubdtype(indices.dtype, np.integer):
            raise InputError("batches", f"{indices.dtype} {indices.shape}", f"numbers of samples, or a mask of shape ({self.samples},)")
        chosen = indices.astype(np.int64).ravel()
        if not len(chosen) or chosen.min() < 0 or chosen.max() >= self.samples:
            noun = "samples" if self.per_sample else "stored batches"
            raise InputError("batches", f"a batch of {len(chosen)}", f"at least one of the {noun} 0 to {self.samples - 1}")
        return chosen

    def _check_per_sample(self, what: str) -> None:
        if not self.per_sample:
            raise InputError(what, "a loss that has only a mean over each batch", "a loss with a form per sample", 'Use reduction="none"')
