"""Groups and arrays of an archive in memory: what the package uses of `zarr.Group` and `zarr.Array`, on plain NumPy arrays.

A call of Zarr takes a quarter of a millisecond or more whatever it stores, for each one wakes a thread of Zarr's own; an evaluation
makes 75 of them. Attributes pass through JSON as on disk, so that what is read back is the same.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray


class MemoryAttributes(dict[str, Any]):
    """Attributes as JSON gives them back: lists for tuples, text for keys."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        super().__init__(_through_json(values))

    def __setitem__(self, key: str, value: Any) -> None:
        self.update({key: value})

    def update(self, values: Mapping[str, Any]) -> None:  # type: ignore[override]
        super().update(_through_json(values))

    def put(self, values: Mapping[str, Any]) -> None:
        """Replace all of them."""
        fresh = _through_json(values)
        self.clear()
        super().update(fresh)

    def asdict(self) -> dict[str, Any]:
        return dict(self)


class MemoryArray:
    """An array with named dims and attributes; reading it gives copies."""

    def __init__(self, store: MemoryGroup, path: str, data: NDArray[Any], fill_value: Any, **layout: Any) -> None:
        self.store, self.path, self.data, self.fill_value = store, path, data, fill_value
        self.chunks: tuple[int, ...] = layout["chunks"]
        self.dims: tuple[str, ...] = tuple(layout["dims"] or ())
        self.attrs = MemoryAttributes(layout["attrs"] or {})

    shape = property(lambda self: self.data.shape)
    dtype = property(lambda self: self.data.dtype)
    ndim = property(lambda self: self.data.ndim)
    size = property(lambda self: self.data.size)
    nbytes = property(lambda self: self.data.nbytes)

    @property
    def vindex(self) -> NDArray[Any]:
        """To be indexed by one array an axis, to store values."""
        return self.data

    @property
    def oindex(self) -> NDArray[Any]:
        """To be indexed by slices and one array, to store values."""
        return self.data

    def __getitem__(self, selection: Any) -> NDArray[Any]:
        return np.array(self.data[selection])

    def __setitem__(self, selection: Any, values: Any) -> None:
        self.data[selection] = values

    def __len__(self) -> int:
        return len(self.data)

    def resize(self, shape: tuple[int, ...]) -> None:
        """Cut off, or fill up with the fill value."""
        data = np.full(shape, self.fill_value, self.data.dtype)
        common = tuple(slice(min(a, b)) for a, b in zip(shape, self.data.shape, strict=True))
        data[common] = self.data[common]
        self.data = data

    def nbytes_stored(self) -> int:
        return self.data.nbytes


class MemoryGroup:
    """A group of arrays and groups; `store` is the root that all of them lie in.

    Attributes:
        sample_draws: by path, settings and values of samples that were drawn, which live as long as the archive and are not saved
            with it: arrays of whole grids would take many times their memory.
    """

    read_only = False

    def __init__(self, attributes: Mapping[str, Any], path: str = "", store: MemoryGroup | None = None) -> None:
        self.attrs, self.path = MemoryAttributes(attributes), path
        self.members: dict[str, MemoryGroup | MemoryArray] = {}
        self.sample_draws: dict[str, Any] = {}
        self.store = store or self

    def __str__(self) -> str:
        return "the in-memory archive"

    def __getitem__(self, path: str) -> MemoryGroup | MemoryArray:
        node: MemoryGroup | MemoryArray = self
        for part in path.split("/") if path else ():
            if not isinstance(node, MemoryGroup):
                raise KeyError(path)
            node = node.members[part]
        return node

    def __contains__(self, path: str) -> bool:
        try:
            self[path]
        except KeyError:
            return False
        return True

    def __delitem__(self, path: str) -> None:
        parent, _, name = path.rpartition("/")
        group = self[parent]
        assert isinstance(group, MemoryGroup)
        del group.members[name]

    def get(self, path: str, default: Any = None) -> Any:
        try:
            return self[path]
        except KeyError:
            return default

    def __iter__(self) -> Iterator[str]:
        return self.keys()

    def keys(self) -> Iterator[str]:
        return iter(tuple(self.members))

    def create_group(self, path: str, *, overwrite: bool = False, attributes: Mapping[str, Any] | None = None) -> MemoryGroup:
        """An empty group, and those that it lies in; what is there is replaced where `overwrite`, and refused otherwise."""
        parent, _, name = path.rpartition("/")
        group = self if not parent else self[parent] if parent in self else self.create_group(parent)
        assert isinstance(group, MemoryGroup)
        if name in group.members and not overwrite:
            raise ValueError(f"{path} is there")
        made = MemoryGroup(attributes or {}, f"{group.path}/{name}".lstrip("/"), self.store)
        group.members[name] = made
        return made

    def create_array(
        self,
        name: str,
        *,
        shape: tuple[int, ...],
        chunks: tuple[int, ...],
        dtype: Any,
        dims: tuple[str, ...] | None,
        fill_value: Any,
        attrs: Mapping[str, Any] | None,
    ) -> MemoryArray:
        """An array of the fill value in place of what has that name."""
        layout = {"chunks": chunks, "dims": dims, "attrs": attrs}
        array = MemoryArray(self.store, f"{self.path}/{name}".lstrip("/"), np.full(shape, fill_value, dtype), fill_value, **layout)
        self.members[name] = array
        return array


def _through_json(values: Mapping[str, Any]) -> dict[str, Any]:
    return json.loads(json.dumps(dict(values)))
