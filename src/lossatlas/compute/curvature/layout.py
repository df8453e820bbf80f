"""Named parameters as one flat vector and back: what eigenvalue solvers take against what models take."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lossatlas.compute.params import Params, select
from lossatlas.errors import InputError

Vector = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Layout:
    """The order and shapes in which parameters lie in a flat vector.

    Attributes:
        like: one tensor a name, for shape, dtype and device.

    Example:
        >>> layout = Layout({"w": torch.zeros(2, 2), "b": torch.zeros(1)})
        >>> layout.flatten({"b": torch.tensor([5.0])}).tolist()
        [0.0, 0.0, 0.0, 0.0, 5.0]
    """

    like: Params

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.like)

    @property
    def size(self) -> int:
        return sum(tensor.numel() for tensor in self.like.values())

    def flatten(self, params: Mapping[str, Tensor]) -> Vector:
        """A float64 vector; a missing name means zero."""
        parts = [params[n].detach().reshape(-1).double() if n in params else torch.zeros(t.numel()) for n, t in self.like.items()]
        return torch.cat([part.cpu().double() for part in parts]).numpy()

    def unflatten(self, vector: Vector) -> Params:
        """Tensors of the model's own dtype and device."""
        flat = torch.from_numpy(np.ascontiguousarray(vector, dtype=np.float64))
        pieces = flat.split([t.numel() for t in self.like.values()])
        return {n: piece.reshape(t.shape).to(t) for (n, t), piece in zip(self.like.items(), pieces, strict=True)}


def layout_of(params: Params, chosen: str | Iterable[str] | None = None, biases: bool = True) -> Layout:
    """The layout of the chosen parameters.

    Args:
        params: all of them.
        chosen: names, modules or globs; None takes all.
        biases: False leaves one-dimensional tensors out, as Li et al. 2018 do for their eigenvalues.

    Raises:
        InputError: nothing is left, or a parameter is not a real number.
    """
    names = [n for n in select(params, chosen) if params[n].is_floating_point() and (biases or params[n].dim() > 1)]
    if not names:
        raise InputError("params", str(chosen), "at least one tensor of real numbers", "Pass biases=True to keep one-dimensional tensors")
    return Layout({n: params[n] for n in names})
