"""3-D projection and occlusion: which points of a path the relief hides."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from mpl_toolkits.mplot3d import proj3d

from lossatlas.viz.mpl.artists.relief_mesh import ReliefMesh, sample
from lossatlas.viz.scene.model import BoolArray, FloatArray

_SAMPLES = 160
"""Points tried along each ray; a ridge thinner than 1/160 of the box can be missed."""


@dataclass(frozen=True)
class Projection3D:
    """The camera of a 3-D axes, as its 4 x 4 projection matrix and the height range of its box."""

    matrix: FloatArray
    low: float
    high: float

    def project(self, x: FloatArray, y: FloatArray, z: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Points of the box in the flat coordinates of the axes."""
        flat_x, flat_y, _ = self.project_with_depth(x, y, z)
        return flat_x, flat_y

    def project_with_depth(self, x: FloatArray, y: FloatArray, z: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Flat coordinates and depth; a larger depth is farther from the camera."""
        if not len(x):
            return np.array([]), np.array([]), np.array([])
        flat = proj3d.proj_transform(x, y, z, self.matrix)
        return np.asarray(flat[0], float), np.asarray(flat[1], float), np.asarray(flat[2], float)

    @property
    def camera_position(self) -> FloatArray:
        """The camera's place in homogeneous coordinates (4,): the one point that the projection cannot place."""
        return np.linalg.svd(self.matrix[[0, 1, 3]])[2][-1]

    def hidden(self, relief: ReliefMesh, x: FloatArray, y: FloatArray, z: FloatArray, lift: float = 0.01) -> BoolArray:
        """Whether the surface stands between each point and the camera, (n,); NaN points are not hidden.

        A point counts as standing `lift` of the box's height above the surface, or it would hide behind itself.
        """
        if not len(x):
            return np.zeros(0, bool)
        bias = lift * (self.high - self.low)
        start = np.stack([x, y, np.maximum(z, _surface(relief, x, y)) + bias], axis=-1)
        toward = self._toward(start)
        # Denser near the point, where the ridge that it lies just behind is.
        reach = (np.linspace(0, 1, _SAMPLES + 1)[1:, None]) ** 1.5
        ray = start[:, None, :] + (reach * self._exit(relief, start, toward))[..., None].swapaxes(0, 1) * toward[:, None, :]
        ground = _surface(relief, ray[..., 0].ravel(), ray[..., 1].ravel()).reshape(ray.shape[:2])
        return np.asarray((ray[..., 2] < ground).any(axis=1))

    def _toward(self, start: FloatArray) -> FloatArray:
        """Direction from each point to the camera; one direction for all where the projection is orthographic."""
        eye = self.camera_position
        if abs(eye[3]) > 1e-9:
            return eye[:3] / eye[3] - start
        ahead = eye[:3] if self._depth(start[0] + eye[:3]) < self._depth(start[0]) else -eye[:3]
        return np.broadcast_to(ahead, start.shape)

    def _depth(self, point: FloatArray) -> float:
        return float(proj3d.proj_transform(point[0], point[1], point[2], self.matrix)[2])

    def _exit(self, relief: ReliefMesh, start: FloatArray, toward: FloatArray) -> FloatArray:
        """Distance along its ray at which each point leaves the box, (n,), at most that of the camera itself."""
        low = np.array([relief.x[0], relief.y[0], self.low])
        high = np.array([relief.x[-1], relief.y[-1], self.high])
        with np.errstate(divide="ignore", invalid="ignore"):
            reach = np.where(toward > 0, (high - start) / toward, np.where(toward < 0, (low - start) / toward, np.inf))
        return np.clip(np.nan_to_num(reach, nan=0.0).min(axis=-1), 0, 1e9)


def _surface(relief: ReliefMesh, x: FloatArray, y: FloatArray) -> FloatArray:
    """Height of the surface, far below the box over holes, where one looks through."""
    bottom = relief.height.min() - 1e3 * (1 + np.ptp(relief.height))
    return sample(relief, np.where(relief.solid, relief.height, bottom), np.nan_to_num(x), np.nan_to_num(y))


def projection_of(axes: Any) -> Projection3D:
    low, high = axes.get_zlim()
    return Projection3D(np.asarray(axes.get_proj(), float), float(low), float(high))
