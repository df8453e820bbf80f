"""`ParamLayout`: named tensors as one flat vector and back, for eigenvalue solvers, stored weights and projections."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import DTypeLike, NDArray
from torch import Tensor

from lossatlas.compute.params.params import Params
from lossatlas.errors import InputError


@dataclass(frozen=True)
class ParamLayout:
    """Names, shapes and dtypes of tensors, in the order in which they follow one another in a flat vector.

    Each tensor is flattened in row-major order. Layouts are equal where all three are, so those of two runs can be compared.

    Attributes:
        names: of the tensors, in order.
        shapes: one a tensor.
        dtypes: one a tensor, as torch calls them: "float32", "bfloat16".

    Example:
        >>> layout = ParamLayout.of({"w": torch.ones(2, 2), "b": torch.zeros(1)})
        >>> layout.size, layout.flatten({"b": torch.zeros(1), "w": torch.ones(2, 2)}, "float32").tolist()
        (5, [1.0, 1.0, 1.0, 1.0, 0.0])
        >>> layout.flatten({"b": torch.tensor([5.0])}, partial=True).tolist()
        [0.0, 0.0, 0.0, 0.0, 5.0]
    """

    names: tuple[str, ...]
    shapes: tuple[tuple[int, ...], ...]
    dtypes: tuple[str, ...]

    @classmethod
    def of(cls, tensors: Mapping[str, Tensor]) -> ParamLayout:
        """The layout of `tensors`, in their order."""
        shapes = tuple(tuple(t.shape) for t in tensors.values())
        return cls(tuple(tensors), shapes, tuple(str(t.dtype).removeprefix("torch.") for t in tensors.values()))

    @classmethod
    def from_attrs(cls, attrs: Any) -> ParamLayout:
        """The layout that `attrs` of a stored recording describe."""
        return cls(tuple(attrs["names"]), tuple(tuple(s) for s in attrs["shapes"]), tuple(attrs["dtypes"]))

    @property
    def attrs(self) -> dict[str, Any]:
        """Plain values to store; docs/format.md names them."""
        return {"names": list(self.names), "shapes": [list(s) for s in self.shapes], "dtypes": list(self.dtypes)}

    @cached_property
    def sizes(self) -> tuple[int, ...]:
        """Entries of each tensor."""
        return tuple(math.prod(shape) for shape in self.shapes)

    @cached_property
    def size(self) -> int:
        """Entries of all tensors together: the length of the flat vector."""
        return sum(self.sizes)

    @cached_property
    def widest(self) -> str:
        """The dtype that holds every tensor without loss: float64 where any needs it (integers up to 2**53), float32 otherwise."""
        return "float32" if all(d in ("float32", "float16", "bfloat16") for d in self.dtypes) else "float64"

    def check(self, tensors: Mapping[str, Tensor], where: str) -> None:
        """Raise where `tensors` are not of this layout.

        Raises:
            InputError: other names, other shapes, or a dtype that would be rounded.
        """
        lacks, new = sorted(set(self.names) - set(tensors)), sorted(set(tensors) - set(self.names))
        if lacks or new:
            differences = [f"{word} {', '.join(names[:4])}" for word, names in (("lacks", lacks), ("has in addition", new)) if names]
            problem = f"{where} {' and '.join(differences)}"
            raise InputError("trajectory", problem, "the same parameter names at every step")
        for name, shape, dtype in zip(self.names, self.shapes, self.dtypes, strict=True):
            problem = str(tensors[name].dtype).removeprefix("torch.")
            if problem != dtype and torch.promote_types(tensors[name].dtype, getattr(torch, dtype)) != getattr(torch, dtype):
                advice = "Record a model that changes precision as a new run"
                raise InputError("trajectory", f"{where} has {name} in {problem}", f"{dtype}, as at the first step", advice)
            if tuple(tensors[name].shape) != shape:
                problem = f"{where} has {name} of shape {tuple(tensors[name].shape)}"
                advice = "Record a model that changes shape as a new run"
                raise InputError("trajectory", problem, f"shape {shape}, as at the first step", advice)

    def flatten(self, tensors: Mapping[str, Tensor], dtype: DTypeLike = np.float64, *, partial: bool = False) -> NDArray[Any]:
        """One vector ``(size,)`` of the tensors of this layout (see `check`); further names are left out.

        Args:
            tensors: by name, on any device.
            dtype: of the vector.
            partial: a missing name means zero; otherwise it is a KeyError.
        """
        flat = np.zeros(self.size, dtype) if partial else np.empty(self.size, dtype)
        start = 0
        for name, size in zip(self.names, self.sizes, strict=True):
            if not partial or name in tensors:
                value = tensors[name].detach()
                value = value.float() if value.dtype == torch.bfloat16 else value
                flat[start : start + size] = value.cpu().reshape(-1).numpy()
            start += size
        return flat

    def squares(self, flat: NDArray[Any]) -> dict[str, float]:
        """Squared Euclidean norm of each tensor of a vector ``(size,)``, in double precision.

        >>> ParamLayout.of({"w": torch.ones(2, 2), "b": torch.zeros(1)}).squares(np.array([3.0, 4.0, 0.0, 0.0, -2.0]))
        {'w': 25.0, 'b': 4.0}
        """
        squares, start = dict[str, float](), 0
        for name, size in zip(self.names, self.sizes, strict=True):
            values = flat[start : start + size].astype(np.float64, copy=False)
            squares[name] = float(np.dot(values, values))
            start += size
        return squares

    def unflatten(self, flat: NDArray[Any], *, at_least_single: bool = False, like: Mapping[str, Tensor] | None = None) -> Params:
        """The tensors of a vector ``(size,)``, in their own shapes and dtypes; they share no memory with it.

        Args:
            flat: the vector.
            at_least_single: half precision becomes float32.
            like: tensors on whose devices these are to lie; the CPU where None.
        """
        tensors: Params = {}
        start = 0
        for name, shape, dtype, size in zip(self.names, self.shapes, self.dtypes, self.sizes, strict=True):
            values = torch.from_numpy(np.array(flat[start : start + size]).reshape(shape))
            wanted = "float32" if at_least_single and dtype in ("float16", "bfloat16") else dtype
            tensors[name] = values.to("cpu" if like is None else like[name].device, getattr(torch, wanted))
            start += size
        return tensors
