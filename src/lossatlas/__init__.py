"""Lossatlas: neural-network loss landscapes, optimizer paths through them, and pictures that can be trusted.

The public surface, grouped by noun. Names load on first use, so reading and drawing an archive never imports torch.
"""

from __future__ import annotations

import importlib
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from lossatlas._util.version import __version__

_PUBLIC = {
    # Objective and data
    "Objective": "lossatlas.compute.objective.objective",
    "ArrayObjective": "lossatlas.compute.arrays.array_objective",
    "functions": "lossatlas.compute.arrays",
    "InputObjective": "lossatlas.compute.inputs.input_objective",
    "FrozenData": "lossatlas.compute.objective.data.fixed_data",
    "random_subset": "lossatlas.compute.minibatch.batches",
    "Params": "lossatlas.compute.params.params",
    # Metrics
    "Metric": "lossatlas.compute.metrics.base",
    "metrics": "lossatlas.compute.metrics",
    "sample_losses": "lossatlas.compute.metrics.sample_loss",
    # Planes
    "Plane": "lossatlas.compute.planes.plane",
    "Direction": "lossatlas.compute.planes.direction",
    "PlaneModel": "lossatlas.compute.planes.plane",
    "PointProjection": "lossatlas.compute.planes.plane",
    "random_plane": "lossatlas.compute.planes.constructors",
    "weight_plane": "lossatlas.compute.planes.constructors",
    "plane_through": "lossatlas.compute.planes.constructors",
    "input_plane": "lossatlas.compute.inputs.input_plane",
    "hessian_plane": "lossatlas.compute.curvature.hessian_plane",
    "pca_plane": "lossatlas.compute.paths.principal_planes",
    "start_end_plane": "lossatlas.compute.paths.principal_planes",
    "joint_pca_plane": "lossatlas.compute.paths.principal_planes",
    "curve_plane": "lossatlas.compute.connectivity.curve",
    # Surfaces
    "landscape": "lossatlas.landscapes.landscape",
    "Landscape": "lossatlas.landscapes.landscape",
    "compare": "lossatlas.landscapes.comparison",
    "evaluate": "lossatlas.compute.evaluation.evaluate",
    "evaluate_many": "lossatlas.compute.evaluation.evaluate_many",
    "evaluate_live": "lossatlas.live",
    "Engine": "lossatlas.compute.evaluation.engine",
    "Grid": "lossatlas.analysis.grid",
    "estimate_cost": "lossatlas.compute.evaluation.cost_estimate",
    "CostEstimate": "lossatlas.compute.evaluation.cost_estimate",
    "compare_batchnorm_modes": "lossatlas.compute.evaluation.batchnorm_modes",
    "roughness": "lossatlas.analysis.surface_roughness",
    "Roughness": "lossatlas.analysis.surface_roughness",
    # Samples and mini-batches
    "SampleLossArray": "lossatlas.analysis.sample_losses",
    "shuffled_batches": "lossatlas.analysis.sampling",
    "per_sample_gradients": "lossatlas.compute.minibatch.gradient_noise",
    "gradient_noise": "lossatlas.compute.minibatch.gradient_noise",
    "train_on_batches": "lossatlas.compute.minibatch.training",
    "trajectory_from_iterates": "lossatlas.compute.minibatch.training",
    # Curvature
    "hessian_operator": "lossatlas.compute.curvature.operators",
    "ggn_operator": "lossatlas.compute.curvature.operators",
    "CurvatureOperator": "lossatlas.compute.curvature.operators",
    "extreme_eigenvalues": "lossatlas.analysis.eigensolvers.extremes",
    "ExtremeEigenvalues": "lossatlas.analysis.eigensolvers.extremes",
    "estimate_trace": "lossatlas.analysis.eigensolvers.trace",
    "TraceEstimate": "lossatlas.analysis.eigensolvers.trace",
    "spectral_density": "lossatlas.analysis.eigensolvers.density",
    "SpectralDensity": "lossatlas.analysis.eigensolvers.density",
    "hessian_map": "lossatlas.compute.curvature.hessian_map",
    "curvature_report": "lossatlas.compute.curvature.report",
    "CurvatureReport": "lossatlas.compute.curvature.report",
    # Trajectories
    "Recorder": "lossatlas.compute.recording.recorder",
    "LightningRecorder": "lossatlas.compute.recording.integrations.lightning",
    "TransformersRecorder": "lossatlas.compute.recording.integrations.transformers",
    "Trajectory": "lossatlas.compute.recording.trajectory",
    "project_trajectory": "lossatlas.compute.paths.projection",
    "project_points": "lossatlas.compute.paths.projection",
    "Projection": "lossatlas.compute.paths.projection",
    "random_walk_null": "lossatlas.analysis.random_walk",
    "RandomWalkNull": "lossatlas.analysis.random_walk",
    "optimize_on_plane": "lossatlas.compute.paths.in_plane_optimization",
    "race": "lossatlas.optimizer_race",
    "Race": "lossatlas.optimizer_race",
    "decision_regions": "lossatlas.compute.paths.decision_regions",
    # Connectivity and symmetry
    "Curve": "lossatlas.compute.connectivity.curve",
    "fit_curve": "lossatlas.compute.connectivity.fitting",
    "evaluate_curve": "lossatlas.compute.connectivity.evaluation",
    "project_curve": "lossatlas.compute.connectivity.evaluation",
    "interpolate": "lossatlas.compute.connectivity.interpolation",
    "barrier": "lossatlas.compute.connectivity.interpolation",
    "barrier_heights": "lossatlas.analysis.barrier",
    "match_weights": "lossatlas.compute.symmetry.weight_matching",
    "WeightMatching": "lossatlas.compute.symmetry.weight_matching",
    "balance_neurons": "lossatlas.compute.symmetry.audit",
    "symmetry_audit": "lossatlas.compute.symmetry.audit",
    "SymmetryAudit": "lossatlas.compute.symmetry.audit",
    # Archives and files
    "Archive": "lossatlas.archive.archive",
    "open_archive": "lossatlas.archive.opening",
    "import_surface": "lossatlas.formats",
    "export_surface": "lossatlas.formats",
    # Figures
    "plot": "lossatlas.viz.api",
    "plot_contour": "lossatlas.viz.axes_level.surfaces",
    "plot_surface": "lossatlas.viz.axes_level.surfaces",
    "plot_line": "lossatlas.viz.axes_level.surfaces",
    "plot_path": "lossatlas.viz.axes_level.surfaces",
    "plot_spectrum": "lossatlas.viz.axes_level.series",
    "plot_recording": "lossatlas.viz.axes_level.series",
    "plot_curves": "lossatlas.viz.axes_level.series",
    "PlotArtists": "lossatlas.viz.axes_level.drawing",
    "animate": "lossatlas.viz.api",
    "view": "lossatlas.viz.api",
    "Scene": "lossatlas.viz.scene.model",
    # Errors
    "LossatlasError": "lossatlas.errors",
    "InputError": "lossatlas.errors",
    "InputTypeError": "lossatlas.errors",
    "ArchiveError": "lossatlas.errors",
    "MissingDependencyError": "lossatlas.errors",
}

__all__ = ["__version__", *_PUBLIC]  # pyright: ignore[reportUnsupportedDunderAll]

if TYPE_CHECKING:
    from lossatlas.analysis.barrier import barrier_heights as barrier_heights
    from lossatlas.analysis.eigensolvers.density import SpectralDensity as SpectralDensity
    from lossatlas.analysis.eigensolvers.density import spectral_density as spectral_density
    from lossatlas.analysis.eigensolvers.extremes import ExtremeEigenvalues as ExtremeEigenvalues
    from lossatlas.analysis.eigensolvers.extremes import extreme_eigenvalues as extreme_eigenvalues
    from lossatlas.analysis.eigensolvers.trace import TraceEstimate as TraceEstimate
    from lossatlas.analysis.eigensolvers.trace import estimate_trace as estimate_trace
    from lossatlas.analysis.grid import Grid as Grid
    from lossatlas.analysis.random_walk import RandomWalkNull as RandomWalkNull
    from lossatlas.analysis.random_walk import random_walk_null as random_walk_null
    from lossatlas.analysis.sample_losses import SampleLossArray as SampleLossArray
    from lossatlas.analysis.sampling import shuffled_batches as shuffled_batches
    from lossatlas.analysis.surface_roughness import Roughness as Roughness
    from lossatlas.analysis.surface_roughness import roughness as roughness
    from lossatlas.archive.archive import Archive as Archive
    from lossatlas.archive.opening import open_archive as open_archive
    from lossatlas.compute.arrays import functions as functions
    from lossatlas.compute.arrays.array_objective import ArrayObjective as ArrayObjective
    from lossatlas.compute.connectivity.curve import Curve as Curve
    from lossatlas.compute.connectivity.curve import curve_plane as curve_plane
    from lossatlas.compute.connectivity.evaluation import evaluate_curve as evaluate_curve
    from lossatlas.compute.connectivity.evaluation import project_curve as project_curve
    from lossatlas.compute.connectivity.fitting import fit_curve as fit_curve
    from lossatlas.compute.connectivity.interpolation import barrier as barrier
    from lossatlas.compute.connectivity.interpolation import interpolate as interpolate
    from lossatlas.compute.curvature.hessian_map import hessian_map as hessian_map
    from lossatlas.compute.curvature.hessian_plane import hessian_plane as hessian_plane
    from lossatlas.compute.curvature.operators import CurvatureOperator as CurvatureOperator
    from lossatlas.compute.curvature.operators import ggn_operator as ggn_operator
    from lossatlas.compute.curvature.operators import hessian_operator as hessian_operator
    from lossatlas.compute.curvature.report import CurvatureReport as CurvatureReport
    from lossatlas.compute.curvature.report import curvature_report as curvature_report
    from lossatlas.compute.evaluation.batchnorm_modes import compare_batchnorm_modes as compare_batchnorm_modes
    from lossatlas.compute.evaluation.cost_estimate import CostEstimate as CostEstimate
    from lossatlas.compute.evaluation.cost_estimate import estimate_cost as estimate_cost
    from lossatlas.compute.evaluation.engine import Engine as Engine
    from lossatlas.compute.evaluation.evaluate import evaluate as evaluate
    from lossatlas.compute.evaluation.evaluate_many import evaluate_many as evaluate_many
    from lossatlas.compute.inputs.input_objective import InputObjective as InputObjective
    from lossatlas.compute.inputs.input_plane import input_plane as input_plane
    from lossatlas.compute.metrics import builtin as metrics
    from lossatlas.compute.metrics.base import Metric as Metric
    from lossatlas.compute.metrics.sample_loss import sample_losses as sample_losses
    from lossatlas.compute.minibatch.batches import random_subset as random_subset
    from lossatlas.compute.minibatch.gradient_noise import gradient_noise as gradient_noise
    from lossatlas.compute.minibatch.gradient_noise import per_sample_gradients as per_sample_gradients
    from lossatlas.compute.minibatch.training import train_on_batches as train_on_batches
    from lossatlas.compute.minibatch.training import trajectory_from_iterates as trajectory_from_iterates
    from lossatlas.compute.objective.data.fixed_data import FrozenData as FrozenData
    from lossatlas.compute.objective.objective import Objective as Objective
    from lossatlas.compute.params.params import Params as Params
    from lossatlas.compute.paths.decision_regions import decision_regions as decision_regions
    from lossatlas.compute.paths.in_plane_optimization import optimize_on_plane as optimize_on_plane
    from lossatlas.compute.paths.principal_planes import joint_pca_plane as joint_pca_plane
    from lossatlas.compute.paths.principal_planes import pca_plane as pca_plane
    from lossatlas.compute.paths.principal_planes import start_end_plane as start_end_plane
    from lossatlas.compute.paths.projection import Projection as Projection
    from lossatlas.compute.paths.projection import project_points as project_points
    from lossatlas.compute.paths.projection import project_trajectory as project_trajectory
    from lossatlas.compute.planes.constructors import plane_through as plane_through
    from lossatlas.compute.planes.constructors import random_plane as random_plane
    from lossatlas.compute.planes.constructors import weight_plane as weight_plane
    from lossatlas.compute.planes.direction import Direction as Direction
    from lossatlas.compute.planes.plane import Plane as Plane
    from lossatlas.compute.planes.plane import PlaneModel as PlaneModel
    from lossatlas.compute.planes.plane import PointProjection as PointProjection
    from lossatlas.compute.recording.integrations.lightning import LightningRecorder as LightningRecorder
    from lossatlas.compute.recording.integrations.transformers import TransformersRecorder as TransformersRecorder
    from lossatlas.compute.recording.recorder import Recorder as Recorder
    from lossatlas.compute.recording.trajectory import Trajectory as Trajectory
    from lossatlas.compute.symmetry.audit import SymmetryAudit as SymmetryAudit
    from lossatlas.compute.symmetry.audit import balance_neurons as balance_neurons
    from lossatlas.compute.symmetry.audit import symmetry_audit as symmetry_audit
    from lossatlas.compute.symmetry.weight_matching import WeightMatching as WeightMatching
    from lossatlas.compute.symmetry.weight_matching import match_weights as match_weights
    from lossatlas.errors import ArchiveError as ArchiveError
    from lossatlas.errors import InputError as InputError
    from lossatlas.errors import InputTypeError as InputTypeError
    from lossatlas.errors import LossatlasError as LossatlasError
    from lossatlas.errors import MissingDependencyError as MissingDependencyError
    from lossatlas.formats import export_surface as export_surface
    from lossatlas.formats import import_surface as import_surface
    from lossatlas.landscapes.comparison import compare as compare
    from lossatlas.landscapes.landscape import Landscape as Landscape
    from lossatlas.landscapes.landscape import landscape as landscape
    from lossatlas.live import evaluate_live as evaluate_live
    from lossatlas.optimizer_race import Race as Race
    from lossatlas.optimizer_race import race as race
    from lossatlas.viz.api import animate as animate
    from lossatlas.viz.api import plot as plot
    from lossatlas.viz.api import view as view
    from lossatlas.viz.axes_level.drawing import PlotArtists as PlotArtists
    from lossatlas.viz.axes_level.series import plot_curves as plot_curves
    from lossatlas.viz.axes_level.series import plot_recording as plot_recording
    from lossatlas.viz.axes_level.series import plot_spectrum as plot_spectrum
    from lossatlas.viz.axes_level.surfaces import plot_contour as plot_contour
    from lossatlas.viz.axes_level.surfaces import plot_line as plot_line
    from lossatlas.viz.axes_level.surfaces import plot_path as plot_path
    from lossatlas.viz.axes_level.surfaces import plot_surface as plot_surface
    from lossatlas.viz.scene.model import Scene as Scene


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        near = get_close_matches(name, _PUBLIC, n=1, cutoff=0.6)
        advice = f". Did you mean {near[0]}?" if near else ""
        raise AttributeError(f"module 'lossatlas' has no attribute {name!r}{advice}")
    return getattr(importlib.import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
