"""Outputs of reference models on the batches of an objective, computed once and kept as far as memory allows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from torch import Tensor
from torch.utils import _pytree as pytree

from lossatlas.compute.metrics import Metric
from lossatlas.compute.metrics.reference import ORIGIN
from lossatlas.compute.objective.objective import Objective, Scores
from lossatlas.compute.params.arithmetic import cast_like
from lossatlas.compute.params.checks import check_subset
from lossatlas.compute.params.params import Params

MOST_BYTES = 512 * 2**20
"""Outputs kept; those of further batches are computed again at every point."""


@dataclass(eq=False)
class ReferenceOutputs:
    """Outputs of reference models on a batch, by the same call that scores the model itself.

    Attributes:
        objective: scores the batches.
        origin: gives the tensors of the model at the origin.
    """

    objective: Objective
    origin: Callable[[], Params]
    outputs: dict[tuple[int, int], tuple[Any, Any]] = field(default_factory=dict, repr=False)
    models: dict[int, Params] = field(default_factory=dict, repr=False)
    bytes: int = 0

    def measure(self, metric: Metric, scores: Scores, batch: Any) -> Tensor:
        """The metric's values; a relative one gets the reference's outputs with the scores."""
        if metric.reference is None:
            return metric.measure(scores)
        return metric.measure(replace(scores, reference=self(metric, batch)))

    def __call__(self, metric: Metric, batch: Any) -> Any:
        leaf = next(iter(t for t in pytree.tree_leaves(batch) if isinstance(t, Tensor)), batch)
        key = (id(leaf), 0 if metric.reference == ORIGIN else id(metric.reference))
        if key not in self.outputs:
            outputs = self.objective.score(self._model(key[1], metric.reference), batch).outputs
            size = sum(t.numel() * t.element_size() for t in pytree.tree_leaves(outputs) if isinstance(t, Tensor))
            if self.bytes + size > MOST_BYTES:
                return outputs
            self.bytes += size
            self.outputs[key] = (leaf, outputs)  # the leaf, for as long as it lives nothing else has its id
        return self.outputs[key][1]

    def _model(self, key: int, reference: Any) -> Params:
        if key not in self.models:
            if isinstance(reference, Mapping):
                state = self.objective.state
                check_subset(self.objective.params, dict(reference), "ref")
                tensors = cast_like({name: value for name, value in reference.items() if name in state}, state)
                self.models[key] = self.objective.with_batchnorm_statistics(tensors)
            else:
                self.models[key] = self.origin()
        return self.models[key]
