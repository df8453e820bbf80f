"""Tiles are about a second long, whatever a point spends its time on."""

from __future__ import annotations

import time

import pytest
import torch

import lossatlas as la


@pytest.mark.slow
def test_a_function_that_waits_is_stored_tile_by_tile() -> None:
    """A simulator elsewhere costs no CPU time here: by that clock alone all cells were one tile, lost to a Ctrl-C."""

    def wait(params: dict[str, torch.Tensor], _: object) -> torch.Tensor:
        time.sleep(0.2)
        return params["w"].square().sum()

    objective, sizes = la.Objective(wait, params={"w": torch.zeros(2)}), list[int]()
    plane = la.weight_plane(objective, ("w", 0), ("w", 1))
    la.evaluate(objective, plane, (-1, 1), (4, 5), on_tile=lambda cells, _: sizes.append(len(cells)), progress=False)
    assert sum(sizes) == 20 and max(sizes) <= 10
