"""Lossatlas: neural-network loss landscapes, optimizer paths through them, and pictures that can be trusted.

The public surface, grouped by noun. Names load on first use, so reading and drawing an archive never imports torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_PUBLIC = {
    # Objective
    "Objective": "lossatlas.compute.objective",
    # Direction and Plane
    "Direction": "lossatlas.compute.directions",
    "Plane": "lossatlas.compute.plane",
    "weight_plane": "lossatlas.compute.plane",
    "random_plane": "lossatlas.compute.plane",
    "between": "lossatlas.compute.plane",
    "plane": "lossatlas.compute.plane",
    # Grid and evaluation
    "Grid": "lossatlas.compute.grid",
    "evaluate": "lossatlas.compute.evaluate",
    "compare_modes": "lossatlas.compute.modes",
    "plan": "lossatlas.compute.advise",
    # Curvature
    "hessian_plane": "lossatlas.compute.curvature",
    "hessian_map": "lossatlas.compute.curvature",
    "curvature_report": "lossatlas.compute.curvature",
    "hessian": "lossatlas.compute.curvature",
    "ggn": "lossatlas.compute.curvature",
    "extreme_eigenvalues": "lossatlas.compute.curvature",
    "trace": "lossatlas.compute.curvature",
    "spectral_density": "lossatlas.compute.curvature",
    "Curvature": "lossatlas.compute.curvature",
    "CurvatureReport": "lossatlas.compute.curvature",
    "Estimate": "lossatlas.compute.curvature",
    "Extremes": "lossatlas.compute.curvature",
    "SpectralDensity": "lossatlas.compute.curvature",
    # Symmetry and connected minima
    "symmetry_audit": "lossatlas.compute.symmetry",
    "balanced": "lossatlas.compute.symmetry",
    "align": "lossatlas.compute.connect",
    "polygon": "lossatlas.compute.connect",
    "bezier": "lossatlas.compute.connect",
    "fit_curve": "lossatlas.compute.connect",
    "along": "lossatlas.compute.connect",
    "curve_plane": "lossatlas.compute.connect",
    "curve_trajectory": "lossatlas.compute.connect",
    # Samples and mini-batches
    "sample_losses": "lossatlas.compute.metrics",
    "SampleLosses": "lossatlas.compute.batches",
    "shuffled_batches": "lossatlas.compute.sampling",
    "random_subset": "lossatlas.compute.sampling",
    "sample_slopes": "lossatlas.compute.slopes",
    "gradient_noise": "lossatlas.compute.slopes",
    "train_on_batches": "lossatlas.compute.minibatch",
    "batch_path": "lossatlas.compute.minibatch",
    # Trajectory
    "Recorder": "lossatlas.compute.record.recorder",
    "LightningRecorder": "lossatlas.compute.record.lightning",
    "TransformersRecorder": "lossatlas.compute.record.transformers",
    "Trajectory": "lossatlas.compute.record.trajectory",
    "open_trajectory": "lossatlas.compute.record.trajectory",
    "trajectory_of": "lossatlas.compute.record.trajectory",
    "project_path": "lossatlas.compute.honest",
    "random_walk_null": "lossatlas.compute.walk",
    "descend": "lossatlas.compute.descend",
    # Planes of a path, and lines between models
    "pca_plane": "lossatlas.compute.pathplanes",
    "start_end_plane": "lossatlas.compute.pathplanes",
    "shared_plane": "lossatlas.compute.pathplanes",
    "interpolate": "lossatlas.compute.interpolate",
    "barrier": "lossatlas.compute.interpolate",
    "decision_areas": "lossatlas.compute.areas",
    # Archive
    "Archive": "lossatlas.archive",
    "open_archive": "lossatlas.archive",
    "create_archive": "lossatlas.archive",
    # Scene and drawing
    "Scene": "lossatlas.view.scene",
    "plot": "lossatlas.view.plot",
    "animate": "lossatlas.view.plot",
    "view": "lossatlas.view",
    # Errors
    "LossatlasError": "lossatlas.errors",
    "InputError": "lossatlas.errors",
    "ArchiveError": "lossatlas.errors",
}

__all__ = ["__version__", *_PUBLIC]  # pyright: ignore[reportUnsupportedDunderAll]

if TYPE_CHECKING:
    from lossatlas.archive import Archive, create_archive, open_archive
    from lossatlas.compute.advise import plan
    from lossatlas.compute.areas import decision_areas
    from lossatlas.compute.batches import SampleLosses
    from lossatlas.compute.connect import align, along, bezier, curve_plane, curve_trajectory, fit_curve, polygon
    from lossatlas.compute.curvature import (
        Curvature,
        CurvatureReport,
        Estimate,
        Extremes,
        SpectralDensity,
        curvature_report,
        extreme_eigenvalues,
        ggn,
        hessian,
        hessian_map,
        hessian_plane,
        spectral_density,
        trace,
    )
    from lossatlas.compute.descend import descend
    from lossatlas.compute.directions import Direction
    from lossatlas.compute.evaluate import evaluate
    from lossatlas.compute.grid import Grid
    from lossatlas.compute.honest import project_path
    from lossatlas.compute.interpolate import barrier, interpolate
    from lossatlas.compute.metrics import sample_losses
    from lossatlas.compute.minibatch import batch_path, train_on_batches
    from lossatlas.compute.modes import compare_modes
    from lossatlas.compute.objective import Objective
    from lossatlas.compute.pathplanes import pca_plane, shared_plane, start_end_plane
    from lossatlas.compute.plane import Plane, between, plane, random_plane, weight_plane
    from lossatlas.compute.record.lightning import LightningRecorder
    from lossatlas.compute.record.recorder import Recorder
    from lossatlas.compute.record.trajectory import Trajectory, open_trajectory, trajectory_of
    from lossatlas.compute.record.transformers import TransformersRecorder
    from lossatlas.compute.sampling import random_subset, shuffled_batches
    from lossatlas.compute.slopes import gradient_noise, sample_slopes
    from lossatlas.compute.symmetry import balanced, symmetry_audit
    from lossatlas.compute.walk import random_walk_null
    from lossatlas.errors import ArchiveError, InputError, LossatlasError
    from lossatlas.view.open import view
    from lossatlas.view.plot import animate, plot
    from lossatlas.view.scene import Scene


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'lossatlas' has no attribute {name!r}")
    return getattr(importlib.import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
