"""Figures say of a metric which direction is better, on what it was measured, how random and with what interval."""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr

import lossatlas as la
from lossatlas.viz.compose.compose import compose
from lossatlas.viz.compose.from_datasets import surface_from
from lossatlas.viz.scene.captions import caption
from lossatlas.viz.scene.provenance_text import surface_notes

ALPHA = np.array([-1.0, 0.0, 1.0])
DETAILS: dict[str, Any] = {
    "units": "1",
    "long_name": "BLEU",
    "of": "model",
    "better": "higher",
    "items": 57,
    "seed": 3,
    "protocol": "greedy decoding",
    "interval": "Wilson, 95 %",
}


def line(**changes: Any) -> xr.Dataset:
    attrs = {key: value for key, value in (DETAILS | changes).items() if value is not None}
    arrays = {"loss": [1.0, 0.5, 2.0], "bleu": [0.2, 0.4, 0.1], "bleu_standard_error": [0.05, 0.06, 0.04]}
    arrays |= {"bleu_lower": [0.1, 0.3, 0.0], "bleu_upper": [0.3, 0.5, 0.35]} if "interval" in attrs else {}
    dataset = xr.Dataset({name: ("alpha", values) for name, values in arrays.items()}, {"alpha": ALPHA})
    dataset["bleu"].attrs = attrs
    dataset["done"] = ("alpha", np.ones(3, bool))
    dataset.attrs = {"objective": {"samples": 1000, "split": "test", "loss": "cross_entropy"}, "metrics": ["loss", "bleu"]}
    return dataset


def test_the_label_carries_an_arrow_and_the_field_its_interval_and_data() -> None:
    field = surface_from(line()).fields["bleu"]
    assert field.label == "BLEU ↑" and field.data == "57 items" and field.interval is not None
    np.testing.assert_array_equal(field.interval[1], [0.3, 0.5, 0.35])
    assert surface_from(line(better="lower", units="points")).fields["bleu"].label == "BLEU ↓ [points]"
    assert surface_from(line()).fields["loss"].label == "loss [nats]" and surface_from(line(better=None)).fields["bleu"].label == "BLEU"


@pytest.mark.parametrize(
    ("changes", "note"),
    [
        (
            {},
            "bleu: higher is better, mean over 57 items, in steps of 1/57, random seed 3, greedy decoding, "
            "95 % interval (Wilson) of a cell up to 0.35 wide",
        ),
        (
            {"items": None, "interval": None, "repeats": 5, "protocol": None, "better": "lower"},
            "bleu: lower is better, of the whole model, 5 repeats with random seeds 3 to 7",
        ),
    ],
)
def test_the_full_caption_says_how_it_was_measured(changes: dict[str, Any], note: str) -> None:
    assert note in surface_notes(line(**changes))


def test_few_items_or_repeats_are_a_caution_where_there_is_no_interval() -> None:
    few = [n for n in surface_notes(line(interval=None)) if "CAUTION" in n]
    assert few == [
        "standard error of a cell's bleu up to 0.06; CAUTION: from 57 items such an error is often too small (trust it from 200)"
    ]
    assert not [n for n in surface_notes(line()) if "CAUTION" in n]
    assert any("from 5 repeats" in note for note in surface_notes(line(interval=None, items=None, repeats=5)))


def test_the_short_caption_names_the_items_and_not_the_objectives_data() -> None:
    def first(quantity: str, **changes: Any) -> str:
        return caption(compose(line(**changes), quantity=quantity))[0]

    assert first("bleu").startswith("Bleu on 57 items")
    assert first("bleu", items=None).startswith("Bleu of the whole model")
    assert "on 1,000 test samples" in first("loss")


def test_the_only_metric_of_a_surface_is_drawn_unasked() -> None:
    assert compose(line().drop_vars("loss")).panes[0].quantity == "bleu"
    assert compose(line()).panes[0].quantity == "loss"
    with pytest.raises(la.InputError, match="quantity"):
        compose(line().drop_vars("loss").assign(other=("alpha", ALPHA)))


@pytest.mark.parametrize(
    ("name", "better", "scale"), [("bleu", "higher", "linear"), ("bleu", "lower", "log"), ("term_data", None, "linear")]
)
def test_scores_and_terms_have_a_linear_scale_unless_asked(name: str, better: str | None, scale: str) -> None:
    """Values over four decades, most of them low: a loss would be drawn on a log scale."""
    values = np.geomspace(1e-4, 1.0, 25).reshape(5, 5)
    surface = xr.Dataset({name: (("alpha", "beta"), values)}, {"alpha": np.arange(5.0), "beta": np.arange(5.0)})
    surface[name].attrs = {} if better is None else {"better": better}
    assert compose(surface, quantity=name, scale="auto").colors[0].scale == scale
    assert compose(surface, quantity=name, scale="log").colors[0].scale == "log"


def test_terms_that_do_not_add_up_are_a_caution() -> None:
    dataset = line()
    dataset.attrs["terms_differ"] = 2
    assert "CAUTION: the terms do not add up to the loss in 2 cells" in surface_notes(dataset)


def test_a_line_draws_the_interval_in_place_of_the_standard_error() -> None:
    figure = la.plot(line(), quantity="bleu")
    try:
        (band,) = [
            c for axes in figure.axes for c in axes.collections if type(c).__name__ in ("PolyCollection", "FillBetweenPolyCollection")
        ]
        np.testing.assert_allclose(sorted(set(band.get_paths()[0].vertices[:, 1])), [0.0, 0.1, 0.3, 0.35, 0.5])
        texts = [text.get_text() for text in figure.findobj(plt.Text)]
        assert "95 % interval" in texts and "± 1 standard error" not in texts
    finally:
        plt.close(figure)
