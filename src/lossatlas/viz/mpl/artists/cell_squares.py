"""Cells of a grid as rectangles: edges halfway between neighboring nodes."""

from __future__ import annotations

import numpy as np

from lossatlas.viz.scene.model import FloatArray


def cell_rectangles(x: FloatArray, y: FloatArray, mask: np.ndarray) -> FloatArray:
    """Corners of the squares around the marked nodes, (n, 4, 2)."""
    left, bottom = edges_of(x), edges_of(y)
    i, j = np.nonzero(mask)
    return np.stack(
        [np.stack([left[i + a], bottom[j + b]], axis=-1) for a, b in ((0, 0), (1, 0), (1, 1), (0, 1))],
        axis=1,
    )


def edges_of(nodes: FloatArray) -> FloatArray:
    """Edges halfway between nodes, ending at the first and last node, so that squares fill the window and no more.

    >>> edges_of(np.array([0.0, 1.0, 3.0]))
    array([0. , 0.5, 2. , 3. ])
    """
    return np.concatenate([nodes[:1], (nodes[1:] + nodes[:-1]) / 2, nodes[-1:]])
