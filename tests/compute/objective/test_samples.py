"""Samples as dicts, as tokenizers and data sets of the field give them, are batched once and in order."""

from __future__ import annotations

from collections import UserDict
from typing import Any

import pytest
import torch
import torch.nn.functional as F

import lossatlas as la

TOKENS = torch.arange(24).reshape(6, 4) % 5


class Tokens(torch.nn.Module):
    """A model that takes tokens and labels by name and returns its own loss, as those of Transformers do."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embedding = torch.nn.Embedding(5, 5)

    def forward(self, input_ids: torch.Tensor, labels: torch.Tensor) -> dict[str, torch.Tensor]:
        logits = self.embedding(input_ids)
        return {"loss": F.cross_entropy(logits.reshape(-1, 5), labels.reshape(-1)), "logits": logits}


class Table:
    """Rows by number, as the library `datasets` keeps them."""

    def __len__(self) -> int:
        return len(TOKENS)

    def __getitem__(self, index: int) -> dict[str, Any]:
        if index >= len(TOKENS):
            raise IndexError(index)
        return {"input_ids": TOKENS[index].tolist(), "labels": TOKENS[index].tolist()}


class Listed(torch.utils.data.Dataset):
    def __len__(self) -> int:
        return len(TOKENS)

    def __getitem__(self, index: int) -> dict[str, list[int]]:
        return Table()[index]


@pytest.mark.parametrize(
    "data",
    [
        [{"input_ids": row, "labels": row} for row in TOKENS],
        [{"input_ids": row.tolist(), "labels": row.tolist()} for row in TOKENS],
        [UserDict(input_ids=row, labels=row) for row in TOKENS],
        UserDict(input_ids=TOKENS, labels=TOKENS),
        {"input_ids": TOKENS.tolist(), "labels": TOKENS.tolist()},
        [{"input_ids": TOKENS[:4], "labels": TOKENS[:4]}, {"input_ids": TOKENS[4:], "labels": TOKENS[4:]}],
        Table(),
        Listed(),
    ],
    ids=["tensors", "lists", "encodings", "a batch", "a dict of lists", "batches", "a table", "a dataset of lists"],
)
def test_every_form_is_the_same_data(data: Any) -> None:
    model = Tokens()
    objective = la.Objective(model, None, data, batch_size=None if isinstance(data, list) and len(data) == 2 else 4)
    expected = float(model(TOKENS, TOKENS)["loss"].detach())
    assert objective.samples == 6 and objective.loss() == pytest.approx(expected, rel=1e-6)


def test_samples_of_numbers_are_samples() -> None:
    samples = [{"x": float(k), "y": 2.0 * k} for k in range(5)]
    model = torch.nn.Linear(1, 1)
    objective = la.Objective(lambda p, batch: (p["w"] * batch["x"] - batch["y"]) ** 2, data=samples, params={"w": torch.tensor(1.0)})
    assert objective.samples == 5 and objective.loss() == pytest.approx(sum(k * k for k in range(5)) / 5) and model is not None


def test_samples_of_unequal_lengths_say_what_to_do() -> None:
    with pytest.raises(la.InputError, match="Pad them to one length"):
        la.Objective(Tokens(), None, [{"input_ids": [1, 2], "labels": [1, 2]}, {"input_ids": [1], "labels": [1]}])
