"""A torch module whose one parameter is the vector of an `ArrayObjective`."""

from __future__ import annotations

import torch
from numpy.typing import ArrayLike
from torch import Tensor

from lossatlas.compute.arrays.array_function import ArrayFunction
from lossatlas.compute.arrays.autograd import value_of
from lossatlas.compute.arrays.checks import check_theta


class ParameterModule(torch.nn.Module):
    """The vector as a parameter ``theta``; the forward pass returns the function's value, ``()`` in float64.

    An optimizer that is not torch's writes its iterates with `assign`, so that a `Recorder` records them::

        module = objective.parameter_module()
        with la.Recorder("run.zarr", module, every=1, objective=objective) as recorder:
            def callback(theta):
                module.assign(theta)
                recorder.step()
            scipy.optimize.minimize(objective.value, objective.theta0, jac=objective.gradient, callback=callback)
    """

    def __init__(self, function: ArrayFunction, theta: Tensor) -> None:
        super().__init__()
        self._function = function
        self.theta: torch.nn.Parameter = torch.nn.Parameter(theta.detach().clone())

    def forward(self) -> Tensor:
        return value_of(self.theta, self._function)

    def assign(self, theta: ArrayLike) -> None:
        """Replace the vector, ``(size,)``."""
        with torch.no_grad():
            self.theta.copy_(torch.as_tensor(check_theta("theta", theta, self.theta.numel())))
