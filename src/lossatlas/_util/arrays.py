"""Type aliases of NumPy arrays, one for each dtype, and the filling of their holes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]


def fill_nearest(values: FloatArray, holes: BoolArray) -> FloatArray:
    """The values with every hole holding that of the nearest other cell, counted in cells; all zero where there is none.

    >>> fill_nearest(np.array([1.0, np.nan, np.nan, 4.0]), np.array([False, True, True, False])).tolist()
    [1.0, 1.0, 4.0, 4.0]
    """
    from scipy.ndimage import distance_transform_edt

    if holes.all():
        return np.zeros(values.shape)
    if not holes.any():
        return values
    nearest = distance_transform_edt(holes, return_distances=False, return_indices=True)
    assert isinstance(nearest, np.ndarray)
    return values[tuple(nearest)]
