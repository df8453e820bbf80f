"""Mode connectivity: curves of low loss between minima, linear interpolation, and barriers along them."""

from lossatlas.compute.connectivity.curve import Curve, curve_plane
from lossatlas.compute.connectivity.evaluation import evaluate_curve, project_curve
from lossatlas.compute.connectivity.fitting import fit_curve
from lossatlas.compute.symmetry.weight_matching import WeightMatching, match_weights

__all__ = ["Curve", "WeightMatching", "curve_plane", "evaluate_curve", "fit_curve", "match_weights", "project_curve"]
