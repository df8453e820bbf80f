"""The payload: what goes in comes out, within the stated error, and holes and infinities stay what they are."""

from __future__ import annotations

import base64
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from lossatlas.errors import InputError
from lossatlas.viz.scene.model import Field, Pane, PathData, Scene, Surface
from lossatlas.viz.web.colormaps import tables
from lossatlas.viz.web.payload import decode_block, encode


def scene_of(values: np.ndarray, **more: object) -> Scene:
    alpha, beta = np.linspace(-1, 1, values.shape[-2]), np.linspace(0, 3, values.shape[-1])
    surface = Surface("s", alpha, beta, {"loss": Field(values, "loss [nats]", "nats")})
    return Scene((Pane("surface", ("s",)),), (surface,), **more)  # pyright: ignore[reportArgumentType]


def values_of(payload: object, scene: int = 0) -> np.ndarray:
    reference = payload.header["scenes"][scene]["surfaces"][0]["fields"]["loss"]["values"]  # pyright: ignore[reportAttributeAccessIssue]
    return decode_block(payload, reference["block"])  # pyright: ignore[reportArgumentType]


@settings(max_examples=60, deadline=None)
@given(
    arrays(
        np.float64,
        array_shapes(min_dims=2, max_dims=3, min_side=2, max_side=7),
        elements=st.floats(-1e6, 1e6) | st.sampled_from([np.nan, np.inf, -np.inf]),
    )
)
def test_every_value_returns_within_a_step_and_special_values_exactly(values: np.ndarray) -> None:
    returned = values_of(encode(scene_of(values)))
    finite = np.isfinite(values)
    assert (np.isnan(values) == np.isnan(returned)).all()
    assert (values[np.isinf(values)] == returned[np.isinf(values)]).all()
    if finite.any():
        span = values[finite].max() - values[finite].min()
        linear = 0.8e-5 * span + 1e-12 * np.abs(values[finite]).max()
        logarithmic = 1.7e-4 * np.abs(values[finite])
        assert (np.abs(values[finite] - returned[finite]) <= linear + logarithmic * (values[finite].min() > 0)).all()


def test_a_wide_positive_field_keeps_its_relative_error_small() -> None:
    values = np.exp(np.linspace(np.log(1e-4), np.log(500), 35)).reshape(5, 7)
    returned = values_of(encode(scene_of(values)))
    assert np.abs(returned / values - 1).max() < 2e-4
    assert returned.min() == values.min()


def test_float32_keeps_seven_digits() -> None:
    values = np.random.default_rng(0).normal(size=(4, 5, 6))
    assert (values_of(encode(scene_of(values), precision="float32")) == values.astype(np.float32)).all()


def test_axes_and_paths_are_exact() -> None:
    steps = np.array([0, 10, 300])
    path = PathData("p", np.array([0.1, np.nan, 0.3]), np.array([1.0, 2.0, 1e-17]), steps)
    payload = encode(scene_of(np.ones((3, 4)), paths=(path,)))
    stored = payload.header["scenes"][0]["paths"][0]
    np.testing.assert_array_equal(decode_block(payload, stored["alpha"]["block"]), path.alpha)
    np.testing.assert_array_equal(decode_block(payload, stored["beta"]["block"]), path.beta)
    np.testing.assert_array_equal(decode_block(payload, stored["step"]["block"]), steps)


def test_the_header_is_strict_json_even_with_holes_in_the_words() -> None:
    payload = encode([scene_of(np.ones((2, 3)), meta={"cosine": np.float64("nan"), "shape": (1, 2)})] * 2, view={"camera": {"zoom": 2}})
    header = json.loads(payload.json())
    assert header["scenes"][1]["meta"] == {"cosine": None, "shape": [1, 2]}
    assert header["view"] == {"camera": {"zoom": 2}}


def test_colormaps_are_tables_of_256_colors() -> None:
    stored = tables(["plasma", "no such map"])
    assert all(len(base64.b64decode(text)) == 768 for text in stored.values())
    viridis = np.frombuffer(base64.b64decode(stored["viridis"]), np.uint8).reshape(256, 3)
    assert viridis[0].tolist() == [68, 1, 84]
    assert "plasma" in stored


@pytest.mark.parametrize(("argument", "value"), [("precision", "float16"), ("theme", "sepia")])
def test_a_wrong_choice_is_named(argument: str, value: str) -> None:
    with pytest.raises(InputError, match=argument):
        encode(scene_of(np.ones((2, 2))), **{argument: value})  # pyright: ignore[reportArgumentType]


def test_the_ends_of_an_interval_return_and_stay_nan_where_a_cell_has_none() -> None:
    share = np.linspace(0, 1, 12).reshape(3, 4)
    low, high = share * 0.8, np.where(np.arange(4) == 2, np.nan, 0.3 + 0.7 * share)
    field = Field(share, "accuracy", "1", interval=(low, high))
    scene = Scene((), (Surface("s", np.arange(3.0), np.arange(4.0), {"accuracy": field}),))
    payload = encode(scene)
    blocks = payload.header["scenes"][0]["surfaces"][0]["fields"]["accuracy"]["interval"]
    for block, end in zip(blocks, (low, high), strict=True):
        np.testing.assert_allclose(decode_block(payload, block["block"]), end, atol=1e-5)  # a step of 65,532 in a range of one
