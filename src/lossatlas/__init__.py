"""Lossatlas: neural-network loss landscapes, optimizer paths through them, and pictures that can be trusted.

The public surface, grouped by noun. Names load on first use, so reading and drawing an archive never imports torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_PUBLIC = {
    # Objective
    "Objective": "lossatlas.compute.objective.objective",
    # Direction and Plane
    "Direction": "lossatlas.compute.planes.normalization",
    "Plane": "lossatlas.compute.planes.plane",
    "weight_plane": "lossatlas.compute.planes.plane",
    "random_plane": "lossatlas.compute.planes.plane",
    "between": "lossatlas.compute.planes.plane",
    "plane": "lossatlas.compute.planes.plane",
    # Grid and evaluation
    "Grid": "lossatlas.analysis.grid",
    "evaluate": "lossatlas.compute.evaluation.evaluate",
    "compare_modes": "lossatlas.compute.evaluation.batchnorm_modes",
    "plan": "lossatlas.compute.evaluation.cost_estimate",
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
    "symmetry_audit": "lossatlas.compute.symmetry.audit",
    "balanced": "lossatlas.compute.symmetry.audit",
    "align": "lossatlas.compute.connectivity",
    "polygon": "lossatlas.compute.connectivity",
    "bezier": "lossatlas.compute.connectivity",
    "fit_curve": "lossatlas.compute.connectivity",
    "along": "lossatlas.compute.connectivity",
    "curve_plane": "lossatlas.compute.connectivity",
    "curve_trajectory": "lossatlas.compute.connectivity",
    # Samples and mini-batches
    "sample_losses": "lossatlas.compute.metrics",
    "SampleLosses": "lossatlas.analysis.sample_losses",
    "shuffled_batches": "lossatlas.compute.minibatch.batches",
    "random_subset": "lossatlas.compute.minibatch.batches",
    "sample_slopes": "lossatlas.compute.minibatch.gradient_noise",
    "gradient_noise": "lossatlas.compute.minibatch.gradient_noise",
    "train_on_batches": "lossatlas.compute.minibatch.training",
    "batch_path": "lossatlas.compute.minibatch.training",
    # Trajectory
    "Recorder": "lossatlas.compute.recording.recorder",
    "LightningRecorder": "lossatlas.compute.recording.lightning",
    "TransformersRecorder": "lossatlas.compute.recording.transformers",
    "Trajectory": "lossatlas.compute.recording.trajectory",
    "open_trajectory": "lossatlas.compute.recording.trajectory",
    "trajectory_of": "lossatlas.compute.recording.trajectory",
    "project_path": "lossatlas.compute.paths.projection",
    "random_walk_null": "lossatlas.analysis.random_walk",
    "descend": "lossatlas.compute.paths.in_plane_optimization",
    # Planes of a path, and lines between models
    "pca_plane": "lossatlas.compute.paths.principal_planes",
    "start_end_plane": "lossatlas.compute.paths.principal_planes",
    "shared_plane": "lossatlas.compute.paths.principal_planes",
    "interpolate": "lossatlas.compute.connectivity.interpolation",
    "barrier": "lossatlas.compute.connectivity.interpolation",
    "decision_areas": "lossatlas.compute.paths.decision_regions",
    # Archive
    "Archive": "lossatlas.archive",
    "open_archive": "lossatlas.archive",
    "create_archive": "lossatlas.archive",
    # Scene and drawing
    "Scene": "lossatlas.viz.scene.model",
    "plot": "lossatlas.viz.figures",
    "animate": "lossatlas.viz.figures",
    "view": "lossatlas.viz",
    # Errors
    "LossatlasError": "lossatlas.errors",
    "InputError": "lossatlas.errors",
    "ArchiveError": "lossatlas.errors",
}

__all__ = ["__version__", *_PUBLIC]  # pyright: ignore[reportUnsupportedDunderAll]

if TYPE_CHECKING:
    from lossatlas.analysis.grid import Grid
    from lossatlas.analysis.random_walk import random_walk_null
    from lossatlas.analysis.sample_losses import SampleLosses
    from lossatlas.archive import Archive, create_archive, open_archive
    from lossatlas.compute.connectivity import align, along, bezier, curve_plane, curve_trajectory, fit_curve, polygon
    from lossatlas.compute.connectivity.interpolation import barrier, interpolate
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
    from lossatlas.compute.evaluation.batchnorm_modes import compare_modes
    from lossatlas.compute.evaluation.cost_estimate import plan
    from lossatlas.compute.evaluation.evaluate import evaluate
    from lossatlas.compute.metrics import sample_losses
    from lossatlas.compute.minibatch.batches import random_subset, shuffled_batches
    from lossatlas.compute.minibatch.gradient_noise import gradient_noise, sample_slopes
    from lossatlas.compute.minibatch.training import batch_path, train_on_batches
    from lossatlas.compute.objective.objective import Objective
    from lossatlas.compute.paths.decision_regions import decision_areas
    from lossatlas.compute.paths.in_plane_optimization import descend
    from lossatlas.compute.paths.principal_planes import pca_plane, shared_plane, start_end_plane
    from lossatlas.compute.paths.projection import project_path
    from lossatlas.compute.planes.normalization import Direction
    from lossatlas.compute.planes.plane import Plane, between, plane, random_plane, weight_plane
    from lossatlas.compute.recording.lightning import LightningRecorder
    from lossatlas.compute.recording.recorder import Recorder
    from lossatlas.compute.recording.trajectory import Trajectory, open_trajectory, trajectory_of
    from lossatlas.compute.recording.transformers import TransformersRecorder
    from lossatlas.compute.symmetry.audit import balanced, symmetry_audit
    from lossatlas.errors import ArchiveError, InputError, LossatlasError
    from lossatlas.viz.figures import animate, plot
    from lossatlas.viz.scene.model import Scene
    from lossatlas.viz.viewing import view


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'lossatlas' has no attribute {name!r}")
    return getattr(importlib.import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
