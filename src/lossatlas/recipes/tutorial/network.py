"""Network of the tutorial and of the demo: sigmoid layers without biases, of which two weights move.

Tobias Roeschl, "Animations of Gradient Descent and Loss Landscapes of Neural Networks in Python", 2020. The weights
are NumPy's legacy normal numbers after ``np.random.seed(seed)``, drawn layer by layer, so that the article's own
surfaces come out. Its cost is the mean over samples of the *summed* squared error of the outputs.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lossatlas.compute.objective.objective import Objective
from lossatlas.compute.params.params import Params
from lossatlas.compute.planes.constructors import weight_plane
from lossatlas.compute.planes.plane import Plane

Weight = tuple[int, int]


@dataclass(frozen=True)
class Setting:
    """Choice of a network, its data and two of its weights.

    Attributes:
        inputs: ``(N, features)`` in float64.
        targets: one-hot, ``(N, classes)``.
        hidden: sizes of the hidden layers.
        layer: index of the weight matrix that holds the two weights; 0 is the one next to the input.
        weights: their ``(to, from)`` indices.
        labels: how figures call them.
        bounds: of the two axes.
    """

    inputs: NDArray[np.float64]
    targets: NDArray[np.float64]
    hidden: tuple[int, ...]
    layer: int
    weights: tuple[Weight, Weight]
    labels: tuple[str, str]
    bounds: tuple[tuple[float, float], tuple[float, float]]

    @property
    def sizes(self) -> tuple[int, ...]:
        return (self.inputs.shape[1], *self.hidden, self.targets.shape[1])

    def objective(self, seed: int, samples: int) -> Objective:
        """The cost of the network of that seed on the first `samples` rows."""
        data = torch.from_numpy(self.inputs[:samples]), torch.from_numpy(self.targets[:samples])
        return Objective(sigmoid_network(self.sizes, seed), summed_squared_error, data, split="train")

    def tail(self, seed: int, samples: int) -> Objective:
        """The same cost with everything before the moving layer computed once; values are those of `objective`."""
        network = sigmoid_network(self.sizes, seed)
        head, rest = network[: 2 * self.layer], network[2 * self.layer :]
        with torch.no_grad():
            activations = head(torch.from_numpy(self.inputs[:samples]))
        return Objective(
            rest, summed_squared_error, (activations, torch.from_numpy(self.targets[:samples])), batch_size=samples, split="train"
        )

    def plane(self, objective: Objective) -> Plane:
        """The two weights' own values as axes."""
        first, second = self.weights
        return weight_plane(objective, (f"w{self.layer}.weight", first), (f"w{self.layer}.weight", second), labels=self.labels)


class SigmoidNetwork(torch.nn.Sequential):
    """Linear layers ``w0``, ``w1``, … without biases, a sigmoid after each."""


def sigmoid_network(sizes: tuple[int, ...], seed: int) -> SigmoidNetwork:
    """The network of these layer sizes, its weights from NumPy's legacy generator after ``np.random.seed(seed)``."""
    random = np.random.RandomState(seed)
    layers: OrderedDict[str, torch.nn.Module] = OrderedDict()
    for index, (inputs, outputs) in enumerate(pairwise(sizes)):
        linear = torch.nn.Linear(inputs, outputs, bias=False, dtype=torch.float64)
        linear.weight = torch.nn.Parameter(torch.from_numpy(random.randn(outputs, inputs)))
        layers[f"w{index}"] = linear
        layers[f"sigmoid{index}"] = torch.nn.Sigmoid()
    return SigmoidNetwork(layers)


def summed_squared_error(output: Tensor, target: Tensor) -> Tensor:
    """``sum_i (target_i - output_i)^2`` of each sample, ``(samples,)``; the article's cost is its mean."""
    return ((target - output) ** 2).sum(1)


def article_gradient(tail: Objective) -> Callable[[Params], Params]:
    """The article's rule for the last layer, which leaves out the factor 2 of the square.

    ``dJ/dw_ij = 1/N sum_n (pred_i - y_i) pred_i (1 - pred_i) a_j``; the true gradient is twice that, so a learning
    rate of 10 in the article is one of 5 on its own cost.
    """
    ((activations, targets),) = tail.data.batches

    def article(params: Params) -> Params:
        prediction = torch.sigmoid(activations @ params["w2.weight"].T)
        slope = (prediction - targets) * prediction * (1 - prediction)
        return {"w2.weight": slope.T @ activations / len(targets)}

    return article


def one_hot(labels: NDArray[np.integer], classes: int = 10) -> NDArray[np.float64]:
    """``(N,)`` class numbers to ``(N, classes)``."""
    return np.eye(classes)[np.asarray(labels, dtype=np.int64)]
