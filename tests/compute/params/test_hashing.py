"""A hash is that of the bytes as they are now, however they were changed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import lossatlas as la
from lossatlas.compute.evaluation.storage.objective_identity import samples_hash
from lossatlas.compute.objective.data.fixed_data import freeze_data
from lossatlas.compute.params import hashing
from lossatlas.compute.params.hashing import hash_tensors

SIDE = 80
"""Of a matrix of float64, larger than the least that is remembered."""
assert 8 * SIDE**2 > hashing.SMALLEST_REMEMBERED


def by_hashlib(params: dict[str, Tensor]) -> str:
    """SHA-256 of names, dtypes, shapes and NumPy's bytes."""
    digest = hashlib.sha256()
    for name in sorted(params):
        array = params[name].detach().numpy()
        digest.update(f"{name}|{params[name].dtype}|{array.shape}|".encode() + np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:32]


def matrix() -> Tensor:
    return torch.arange(float(SIDE**2), dtype=torch.float64).reshape(SIDE, SIDE)


CHANGES: dict[str, Callable[[Tensor], object]] = {
    "in place": lambda t: t.add_(1),
    "one entry by .data": lambda t: t.data[3, 5].add_(1e-9),
    "a swap of two entries by .data": lambda t: t.data.copy_(t.data.flip(0)),
    "an array that shares its memory": lambda t: t.detach().numpy().__setitem__((7, 7), -1.0),
    "a sign of zero": lambda t: t.data[0, 0].mul_(-1),
    "its storage": lambda t: t.untyped_storage().fill_(1),
    "other strides": lambda t: t.t_(),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("inference", [False, True])
def test_a_changed_tensor_has_another_hash(change: Callable[[Tensor], object], inference: bool) -> None:
    with torch.inference_mode(inference):  # tensors made there count no versions
        params = {"b": matrix(), "a": torch.ones(3)}
        before = [hash_tensors(params), hash_tensors(params)]
        assert before == [by_hashlib(params)] * 2
        change(params["b"])
        after = [hash_tensors(params), hash_tensors(params)]
        assert after == [by_hashlib(params)] * 2
    assert before[0] != after[0]


def test_names_types_and_shapes_count() -> None:
    value = matrix()
    others = [{"a": value}, {"b": value}, {"a": value.view(-1)}, {"a": value.view(torch.int64)}, {"a": value.float()}]
    hashes = [hash_tensors(params) for params in others for _ in range(2)]
    assert hashes == [by_hashlib(params) for params in others for _ in range(2)] and len(set(hashes)) == len(others)


def test_what_is_remembered_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hashing, "_MEMORY", hashing._HashMemory())
    monkeypatch.setattr(hashing, "MOST_REMEMBERED", 3 * 8 * SIDE**2)
    several = [{"a": matrix() + number} for number in range(5)]
    for params in several:
        hash_tensors(params)
    assert len(hashing._MEMORY.entries) == 3
    assert [hash_tensors(params) for params in several] == [by_hashlib(params) for params in several]


def test_data_written_in_place_are_other_data() -> None:
    x = matrix()
    data = freeze_data((x, torch.zeros(SIDE)))
    before = [samples_hash(data), samples_hash(data)]
    x.data[0, 0] = 5.0
    assert samples_hash(data) == samples_hash(freeze_data((x.clone(), torch.zeros(SIDE)))) != before[0] == before[1]


def test_a_surface_of_changed_weights_has_their_hash() -> None:
    """Weights that are written into between two calls, as by `load_state_dict` on a model that shares them."""
    model = nn.Linear(SIDE, SIDE, dtype=torch.float64)
    objective = la.Objective(model, nn.functional.mse_loss, (matrix(), matrix()))
    plane = la.Plane.from_directions({n: p.detach() for n, p in model.named_parameters()}, {"bias": torch.ones(SIDE, dtype=torch.float64)})

    def attrs() -> dict:
        return la.evaluate(objective, plane, (0, 1), 2, progress=False).attrs["plane"]

    first, again = attrs(), attrs()
    model.load_state_dict({n: p + 1 for n, p in model.state_dict().items()})
    second = attrs()
    assert first["center_hash"] == again["center_hash"] != second["center_hash"] == by_hashlib(plane.center)
    assert first["direction_hashes"] == second["direction_hashes"]
