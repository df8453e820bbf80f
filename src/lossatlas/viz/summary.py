"""Summaries for `lossatlas info`: of an archive's contents, and of what a figure carries."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

import numpy as np
import xarray as xr

from lossatlas._util.text import format_bytes, format_duration
from lossatlas.archive import Archive
from lossatlas.errors import InputError
from lossatlas.viz.compose.from_datasets import ending_notes, surface_from
from lossatlas.viz.metadata.record import FigureMetadata, surface_hash
from lossatlas.viz.scene.provenance_text import surface_notes


def describe_archive(archive: Archive) -> str:
    """Every surface and trajectory with its range, how far it is computed, and how it was made."""
    version = archive.attrs.get("format_version")
    lines = [f"{archive.location}: format {version}, created {archive.attrs.get('created', 'at an unknown time')}"]
    for name in archive.surfaces:
        lines += ["", *_surface(name, archive.surface(name)), *_samples(archive, name)]
    for name in archive.trajectories:
        lines += ["", *_trajectory(name, archive.trajectory(name))]
    if len(lines) == 1:
        lines.append("It holds nothing yet.")
    return "\n".join(lines)


def describe_figure(metadata: FigureMetadata) -> str:
    """Title, full caption and sources of a figure, a line each."""
    lines = [metadata.title or "Untitled", *metadata.caption]
    for source in metadata.sources:
        place = ", ".join(part for part in (source.archive, source.surface and f"surface {source.surface}") if part)
        lines.append(f"from {place or 'data in memory'}" + (f", sha256 {source.sha256}" if source.sha256 else ""))
    return "\n".join([*lines, f"drawn by lossatlas {metadata.version or '?'}"])


def _surface(name: str, dataset: xr.Dataset) -> Iterator[str]:
    title = dataset.attrs.get("title")
    yield f"surface {name}" + (f" ({title})" if title else "")
    for axis in dataset.done.dims:
        values = dataset[axis].values
        yield f"    {axis}: {len(values)} points from {values[0]:g} to {values[-1]:g}"
    done = dataset.done.values
    yield f"    computed: {int(done.sum()):,} of {done.size:,} cells"
    yield from _ranges(dataset)
    yield from (f"    {note}" for note in surface_notes(dataset))
    with suppress(InputError):  # a surface without a metric has nothing that a figure could show
        yield f"    sha256 of its values, as in the figures drawn of it: {surface_hash(surface_from(dataset))}"
    attrs = dataset.attrs
    versions = ", ".join(f"{k} {v}" for k, v in (attrs.get("versions") or {}).items())
    made, seconds = attrs.get("created") or "at an unknown time", attrs.get("seconds")
    took = "" if seconds is None else f" in {format_duration(seconds)}"
    yield f"    made {made}{took} with lossatlas {attrs.get('lossatlas_version') or '?'}, {versions}"


def _ranges(dataset: xr.Dataset) -> Iterator[str]:
    """Of what was measured at the computed cells, then of what was estimated or interpolated at all."""
    done, names = dataset.done.values, [str(v) for v in dataset.data_vars if v != "done" and dataset[v].dims == dataset.done.dims]
    estimated = [name for name in names if "_filled" in name or name == "samples_drawn"]
    for name in (*(n for n in names if n not in estimated), *estimated):
        values = dataset[name].values[np.isfinite(dataset[name].values) & (done | (name in estimated))]
        if values.size:
            yield f"    {name}: {values.min():.6g} to {values.max():.6g}"
        elif done.any():
            yield f"    {name}: no finite value"


def _samples(archive: Archive, name: str) -> Iterator[str]:
    """The tensors of every sample's loss, which are too large to be read here: type, shape and room."""
    for key, array in archive.samples(name).items():
        if array.ndim > 1:
            shape = " x ".join(f"{n:,}" for n in array.shape)
            stored_bytes, whole = array.nbytes_stored(), array.nbytes
            yield f"    {key}: {array.dtype} {shape}, {format_bytes(stored_bytes)} on disk ({format_bytes(whole)} unpacked)"


def _length(dataset: xr.Dataset) -> str:
    """
    >>> _length(xr.Dataset(coords={"step": [0, 40, 80]}))
    '80 steps, 3 of them kept'
    """
    steps = dataset["step"].values if "step" in dataset else np.arange(dataset.sizes.get("step", 0))
    if not len(steps):
        return "nothing kept yet"
    last = int(steps[-1])
    return f"{last:,} steps" if last == len(steps) - 1 else f"{last:,} steps, {len(steps):,} of them kept"


def _trajectory(name: str, dataset: xr.Dataset) -> Iterator[str]:
    attrs = dataset.attrs
    label = attrs.get("label")
    yield f"trajectory {name}" + (f" ({label})" if label and label != name else "")
    optimizer, rate = attrs.get("optimizer"), attrs.get("learning_rate")
    known = (optimizer and str(optimizer), f"learning rate {rate:g}" if isinstance(rate, int | float) else "", _length(dataset))
    yield f"    {', '.join(filter(None, known))}"
    yield from (f"    {note}" for note in ending_notes(dataset))
    if "path_loss" in dataset and dataset.sizes["step"]:
        yield f"    loss {float(dataset.path_loss[0]):.6g} at the start, {float(dataset.path_loss[-1]):.6g} at the end"
