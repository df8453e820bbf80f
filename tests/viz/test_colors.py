from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from lossatlas.errors import InputError
from lossatlas.viz import colors


@pytest.fixture
def without_extra(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As on a machine without the [maps] extra."""
    find: Any = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == "cmcrameri" else find(name, *rest))
    colors._scientific.cache_clear()
    yield
    colors._scientific.cache_clear()


def test_the_default_needs_no_extra_and_its_lightness_rises_evenly(without_extra: None) -> None:
    """Grey-safe by CIE lightness, an oracle independent of the OKLab it was made in; no near-black pool in the valley."""
    rgb = colors.colormap(colors.DEFAULT)(np.linspace(0, 1, 256))[:, :3]
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    lightness = 116 * np.cbrt(linear @ [0.2126, 0.7152, 0.0722]) - 16
    assert lightness[0] > 35 and lightness[-1] > 90
    assert (np.diff(lightness) > 0).all()
    assert np.diff(lightness[::16]).max() < 2 * np.diff(lightness[::16]).min()
    np.testing.assert_allclose(colors.colormap("atlas_r")(0.0), colors.colormap("atlas")(1.0))


def test_other_scientific_maps_name_the_extra(without_extra: None) -> None:
    with pytest.raises(InputError, match=r"lossatlas\[maps\]"):
        colors.colormap("lipari")


def test_batlow_is_used_where_it_is_installed() -> None:
    pytest.importorskip("cmcrameri", reason="the [maps] extra is not installed")
    from cmcrameri import cm

    for name in ("batlow", "lipari_r"):
        np.testing.assert_allclose(colors.colormap(name)(np.linspace(0, 1, 256)), getattr(cm, name)(np.linspace(0, 1, 256)))


def test_path_colors_differ_in_lightness_or_hue() -> None:
    rgb = np.array([to_rgb(color) for color in colors.PATH_COLORS])
    apart = np.linalg.norm(rgb[:, None] - rgb[None], axis=-1)[~np.eye(len(rgb), dtype=bool)]
    assert apart.min() > 0.2
    assert colors.path_color(len(rgb)) == colors.path_color(0)
