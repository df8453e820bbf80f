"""Checks of archives from elsewhere: sizes before memory is taken, types of attributes, shapes of arrays.

An archive may come from anybody. What passes here has the types that readers rely on (`docs/format.md`); any key may be missing or null.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import xarray as xr

from lossatlas import schema
from lossatlas._util.text import format_bytes
from lossatlas.errors import ArchiveError, LossatlasError, shortened

MOST_CELLS = 2**26
"""Of a surface, as `Grid` allows."""
MOST_BYTES = 4 * 2**30
"""Of one surface or trajectory, unpacked, where what is stored does not account for more."""
MOST_RATIO = 1000
"""Bytes unpacked for one stored; Zstandard comes near it on constants only."""
MOST_CHUNKS = 2**18
MOST_DEPTH = 16
"""Of nested attributes; ours nest five deep."""
LARGEST_INTEGER = 2**63

_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


@contextmanager
def reading(name: str, location: str) -> Iterator[None]:
    """Turn whatever damage raises into one error that names the archive; libraries answer it with nearly any exception.

    Raises:
        ArchiveError: the block raised anything but an error of ours.
    """
    try:
        yield
    except LossatlasError:
        raise
    except Exception as error:
        raise ArchiveError(
            f"{name!r} of {location} cannot be read, some of its files are damaged ({shortened(f'{type(error).__name__}: {error}', 400)}). "
            "Restore them from a copy, or make it anew with overwrite=True."
        ) from error


def check_sizes(shapes: Mapping[str, tuple[tuple[int, ...], tuple[int, ...], int]], stored: Callable[[], int]) -> None:
    """Refuse arrays that claim more than a surface or trajectory may take.

    Args:
        shapes: by name, shape, chunk shape and bytes of an item.
        stored: gives the bytes on disk; asked for only where the claim is large.

    Raises:
        ValueError: too many cells, chunks or bytes.
    """
    total = 0
    for name, (shape, chunks, itemsize) in shapes.items():
        size = math.prod(shape)
        total += size * itemsize
        if name == "done" and size > MOST_CELLS:
            raise ValueError(f"a surface of {size:,} cells; at most {MOST_CELLS:,}")
        if math.prod(-(-n // max(c, 1)) for n, c in zip(shape, chunks, strict=False)) > MOST_CHUNKS:
            raise ValueError(f"{name} of shape {shape} in chunks of {chunks}; at most {MOST_CHUNKS:,} chunks")
    if total > MOST_BYTES and total > MOST_RATIO * stored():
        raise ValueError(f"arrays of {format_bytes(total)}, of which next to nothing is stored")


def checked_attributes(attrs: Mapping[str, Any]) -> dict[str, Any]:
    """`attrs` with every known attribute of its type, and text without control characters or lone surrogates.

    >>> checked_attributes({"title": "a\\x1b[2Jb", "plane": {"norms": [1, 2.5]}})
    {'title': 'a�[2Jb', 'plane': {'norms': [1, 2.5]}}

    Raises:
        ValueError: an attribute of another type, or nested too deep.
    """
    cleaned = _cleaned(attrs, 0)
    for key in cleaned:
        for path, (allowed, fits) in _BY_FIRST_KEY.get(key, {}).items():
            for value in _values_at(cleaned, path.split(".")):
                if value is not None and not fits(value):
                    raise ValueError(f"the attribute {path} is {shortened(repr(value), 80)}; expected {allowed}")
    return cleaned


def checked_surface(dataset: xr.Dataset) -> xr.Dataset:
    """A surface as it was read, with its attributes checked.

    Raises:
        ValueError: coordinates that are not finite or repeat, no `done`, arrays over other axes, or attributes of another type.
    """
    dataset = _with_checked_attributes(dataset)
    variables = dataset.variables
    if "done" not in variables or set(variables["done"].dims) not in (set(schema.PLANE), set(schema.LINE)):
        raise ValueError("done does not lie over (alpha, beta) or (alpha,)")
    for axis in map(str, variables["done"].dims):
        values = variables[axis].values if axis in variables else np.empty(0)
        if values.dtype.kind not in "fiu" or not len(values) or not np.isfinite(values).all() or len(np.unique(values)) != len(values):
            raise ValueError(f"{axis} is not one finite number for each position, none twice")
    _check_variables(dataset, {axis for axis in schema.PLANE if axis not in variables["done"].dims})
    return dataset


def checked_trajectory(dataset: xr.Dataset) -> xr.Dataset:
    """A trajectory as it was read, with its attributes checked.

    Raises:
        ValueError: arrays over other axes, or attributes of another type.
    """
    dataset = _with_checked_attributes(dataset)
    if "step" not in dataset.dims:
        raise ValueError("no array lies over step")
    _check_variables(dataset, set())
    return dataset


def _with_checked_attributes(dataset: xr.Dataset) -> xr.Dataset:
    dataset = dataset.copy()
    dataset.attrs = checked_attributes(dataset.attrs)
    for variable in dataset.variables.values():  # not through dataset[name], which makes a DataArray each time
        variable.attrs = checked_attributes(variable.attrs)
    return dataset


def _check_variables(dataset: xr.Dataset, absent: set[str]) -> None:
    """Known arrays have their declared axes and hold numbers."""
    for name, variable in dataset.variables.items():
        declared = _declaration(str(name))
        if declared is None or ("done" in dataset.variables and "step" in declared.dims):  # a metric may have the name of a recorded curve
            continue
        dims = tuple(dim for dim in declared.dims if dim not in absent)
        if set(variable.dims) != set(dims) or variable.dtype.kind not in "fiub":
            raise ValueError(f"{name} holds {variable.dtype} over {variable.dims}; expected numbers over {dims}")


def _declaration(name: str) -> schema.Variable | None:
    try:
        return schema.variable(name)
    except KeyError:
        return None


def _cleaned(value: Any, depth: int) -> Any:
    if depth > MOST_DEPTH:
        raise ValueError(f"attributes nested more than {MOST_DEPTH} deep")
    if isinstance(value, str):
        return _CONTROL.sub("\ufffd", value)
    if isinstance(value, Mapping):
        return {_CONTROL.sub("\ufffd", str(key)): _cleaned(item, depth + 1) for key, item in value.items()}
    return [_cleaned(item, depth + 1) for item in value] if isinstance(value, list | tuple) else value


def _values_at(attrs: Any, path: list[str]) -> Iterator[Any]:
    """The values at a path; ``[]`` stands for every item of a list."""
    if not path:
        yield attrs
    elif path[0] == "[]":
        for item in attrs if isinstance(attrs, list) else ():
            yield from _values_at(item, path[1:])
    elif isinstance(attrs, Mapping) and path[0] in attrs:
        yield from _values_at(attrs[path[0]], path[1:])


# -- types of attributes -----------------------------------------------------------------------------------------


def _is_number(value: object) -> bool:
    """A float, NaN and infinity among them, or an integer that a float can hold."""
    return isinstance(value, float) or _is_integer(value)


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < LARGEST_INTEGER


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_scalar(value: object) -> bool:
    return isinstance(value, bool) or _is_text(value) or _is_number(value)


def _list_of(fits: Callable[[object], bool]) -> Callable[[object], bool]:
    return lambda value: isinstance(value, list) and all(item is None or fits(item) for item in value)


_TYPES: dict[str, Callable[[object], bool]] = {
    "text": _is_text,
    "a number": _is_number,
    "an integer": _is_integer,
    "true or false": lambda value: isinstance(value, bool),
    "text, a number, true or false": _is_scalar,
    "an object": lambda value: isinstance(value, Mapping),
    "an object of integers": lambda value: isinstance(value, Mapping) and all(map(_is_integer, value.values())),
    "true, false or a list of text": lambda value: isinstance(value, bool) or _list_of(_is_text)(value),
    "a list": lambda value: isinstance(value, list),
    "a list of objects": _list_of(lambda value: isinstance(value, Mapping)),
    "a list of numbers": _list_of(_is_number),
    "a list of text": _list_of(_is_text),
}

_PATHS = {
    "text": "kind title name label created lossatlas_version units long_name of better protocol interval "
    "optimizer ended estimated_error_scale surface "
    "plane.kind plane.normalize plane.center_hash objective.kind objective.model objective.loss objective.units objective.split "
    "objective.mode objective.dtype objective.device objective.note objective.statistics objective.precision imported.format "
    "imported.file imported.dir_file imported.layout curvature_report.line curvature_report.caveat",
    "a number": "seconds learning_rate estimated_error tol plane.cosine barrier.loss barrier.loss_at barrier.error barrier.error_at "
    "interpolation.largest_rise interpolation.rise_from interpolation.rise_to residual_norm.mean residual_norm.largest captured_share "
    "options.momentum",
    "an integer": "test_objective.samples sharpness_objective.samples rows items repeats terms_differ narrowest nan_cells gaps.[].rows",
    "true or false": "plane.biases objective.per_sample interpolation.monotone",
    "text, a number, true or false": "plane.seed objective.samples objective.population gaps.[].before gaps.[].after",
    "an object": "plane plane.weight_count plane.filter_axes objective test_objective sharpness_objective versions engine grid "
    "imported barrier interpolation curvature_report residual_norm options estimated_errors projection holes identity sampling",
    "a list": "plane.parameters plane.direction_hashes plane.params plane.model_places",
    "a list of objects": "gaps models statistics_differ",
    "a list of numbers": "plane.norms plane.origin explained_variance_ratio random_walk_null walk_correlation "
    "joint_explained_variance_ratio joint_random_walk_null learning_rates slots",
    "a list of text": "metrics layers plane.axis_labels",
    "true, false or a list of text": "objective.mode_layers",
    "an object of integers": "plane.one_dimensional",
}  # fmt: skip
ATTRIBUTES = {path: (kind, _TYPES[kind]) for kind, paths in _PATHS.items() for path in paths.split()}
"""Type by path of every attribute that a reader looks into."""

_BY_FIRST_KEY: dict[str, dict[str, tuple[str, Callable[[object], bool]]]] = {}
for _path, _type in ATTRIBUTES.items():
    _BY_FIRST_KEY.setdefault(_path.partition(".")[0], {})[_path] = _type
