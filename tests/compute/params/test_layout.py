"""The one flat layout of named tensors: round trips, partial vectors, and what is stored of it."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from lossatlas.compute.params.layout import ParamLayout

TENSORS = {
    "table": torch.arange(6, dtype=torch.float32).reshape(2, 3).T,
    "scale": torch.tensor(0.5, dtype=torch.float64),
    "half": torch.tensor([1.0, -2.0], dtype=torch.bfloat16),
    "count": torch.tensor([7, 8, 9]),
    "none": torch.empty(0, 4),
}
FLAT = [0.0, 3.0, 1.0, 4.0, 2.0, 5.0, 0.5, 1.0, -2.0, 7.0, 8.0, 9.0]


def test_tensors_lie_one_after_another_in_row_major_order_and_come_back() -> None:
    layout = ParamLayout.of(TENSORS)
    flat = layout.flatten({"more": torch.ones(5), **dict(reversed(TENSORS.items()))})
    assert (layout.size, layout.sizes, layout.widest) == (12, (6, 1, 2, 3, 0), "float64")
    assert flat.dtype == np.float64 and flat.tolist() == FLAT
    back = layout.unflatten(flat)
    assert tuple(back) == layout.names and all(torch.equal(back[n], t) and back[n].dtype == t.dtype for n, t in TENSORS.items())
    assert layout.unflatten(flat, at_least_single=True)["half"].dtype == torch.float32
    flat[:] = 0
    assert back["table"][0, 1] == 3, "the tensors share no memory with the vector"


def test_a_missing_name_is_zero_only_where_asked_for() -> None:
    layout = ParamLayout.of(TENSORS)
    assert layout.flatten({"count": TENSORS["count"]}, np.float32, partial=True).tolist() == [0.0] * 9 + [7.0, 8.0, 9.0]
    with pytest.raises(KeyError, match="table"):
        layout.flatten({"count": TENSORS["count"]})


def test_what_is_stored_of_it_makes_an_equal_layout() -> None:
    layout = ParamLayout.of(TENSORS)
    assert ParamLayout.from_attrs(json.loads(json.dumps(layout.attrs))) == layout
    assert ParamLayout.of({**TENSORS, "half": torch.ones(2)}) != layout


def test_a_vector_that_cannot_be_written_to_is_read() -> None:
    flat = np.arange(4.0)
    flat.setflags(write=False)
    assert ParamLayout.of({"w": torch.zeros(2, 2)}).unflatten(flat)["w"].tolist() == [[0.0, 1.0], [2.0, 3.0]]
