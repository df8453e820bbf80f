"""Still figures: samples and their mean, parts of a loss, noise, error bars, momentum."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path as FilePath

import numpy as np
import xarray as xr

from lossatlas.compute.minibatch.gradient_noise import noise_ellipse, per_sample_gradients
from lossatlas.recipes.earthquake.animations import COLORS
from lossatlas.recipes.earthquake.batch_landscape import Landscape
from lossatlas.viz.api import plot
from lossatlas.viz.compose.from_datasets import path_from, surface_from
from lossatlas.viz.scene.model import Arrow, ColorScale, Curve, Field, FloatArray, Outline, Pane, Scene, Surface

SCALE = ColorScale(levels=16)
ELLIPSE_AT = ((-0.7, -0.6), (0.7, -0.6), (-0.7, 0.1), (0.7, 0.1), (0.0, 0.7), (0.0, -0.15))
"""Points whose gradient noise is drawn, as shares of half the window."""
SINGLE = replace(SCALE, quantity="sample_loss", low=-1e-6, high=60.0, levels=25)
"""From just below zero, so that losses that round to zero lie inside the scale."""


def nine_samples(landscape: Landscape, file: FilePath, seed: int = 5) -> None:
    """Nine single samples, whose contours are straight, and their mean, whose contours are not."""
    chosen = np.random.default_rng(seed).choice(landscape.losses.samples, 9, replace=False)
    surfaces = [_batch(landscape, [int(i)], f"s{k}", f"sample {i}") for k, i in enumerate(chosen)]
    mean = _batch(landscape, chosen.tolist(), "mean", "mean of the nine")
    quantity = "sample_loss"
    panes = [Pane("contour", (s.name,), title=s.label, quantity=quantity, row=k // 3, column=k % 3) for k, s in enumerate(surfaces)]
    panes.append(Pane("contour", ("mean",), title=mean.label, quantity=quantity, row=0, column=3, row_span=3, column_span=2))
    notes = ("A sample's loss depends on the weights through z = x'w alone, so its contours are straight lines on any plane.",)
    plot(_bare(panes, [*surfaces, mean], f"Nine samples and their mean: {landscape.scenery.title}", notes), file)


def decomposition(landscape: Landscape, x: FloatArray, y: float, file: FilePath) -> None:
    """The loss of one sample = a part linear in the weights + a softplus, over the plane and along z."""
    alpha, beta = landscape.surface.alpha.values, landscape.surface.beta.values
    parts = {"linear": "(1 − y) z", "softplus": "ln(1 + e⁻ᶻ)", "sum": "their sum, the loss"}
    on_plane = _parts(alpha[:, None] * x[0] + beta[None, :] * x[1], y)
    surfaces = [
        Surface(name, alpha, beta, {"part": Field(on_plane[name], "loss [nats]", "nats")}, caption, alpha_label="W₁", beta_label="W₂")
        for name, caption in parts.items()
    ]
    z = np.linspace(-8, 8, 201)
    curves = [Curve(name, z, _parts(z, y)[name], label, reveal=False) for name, label in parts.items()]
    styles = zip(curves, ("#1448c8", "#e06c00", "#111111"), ("dashed", "dashdot", "solid"), strict=True)
    curves = [replace(curve, color=color, dash=dash) for curve, color, dash in styles]  # type: ignore[arg-type]
    panes = [Pane("contour", (s.name,), title=s.label, quantity="part", column=k) for k, s in enumerate(surfaces)]
    panes.append(Pane("curves", curves=tuple(parts), row=1, column_span=3, x_label="z = x'w", y_label="loss [nats]"))
    scene = Scene(
        tuple(panes),
        tuple(surfaces),
        curves=tuple(curves),
        colors=(replace(SCALE, quantity="part"),),
        title="A sample's loss is a plane plus a softplus",
        subtitle=f"one sample, x = ({x[0]:.3g}, {x[1]:.3g}), y = {y:g}: nearly piecewise linear".replace("-", "−"),
    )
    plot(scene, file)


def momentum(landscape: Landscape, paths: Mapping[str, xr.Dataset], file: FilePath) -> None:
    """Plain SGD and momentum on the very same batches, over the full landscape."""
    surface = surface_from(landscape.surface, name="full", label=landscape.scenery.title)
    drawn = []
    for name, path in paths.items():
        drawn.append(replace(path_from(path, name=name, surface=surface), color=COLORS[name]))
    curves = tuple(Curve(f"loss {p.name}", p.step.astype(float), p.loss, p.label, p.color, p.dash) for p in drawn if p.loss is not None)
    panes = (
        Pane("contour", ("full",), tuple(p.name for p in drawn)),
        Pane("curves", curves=tuple(c.name for c in curves), column=1, x_label="step", y_label="full loss [nats]", y_scale="log"),
    )
    size = len(landscape.batches[0])
    scene = Scene(panes, (surface,), tuple(drawn), curves=curves, colors=(SCALE,), title=f"The same batches of {size}, two optimizers")
    plot(scene.replace(subtitle="Momentum averages gradients over batches, and with them the quake."), file)


def noise(landscape: Landscape, spread: xr.Dataset, gradients: xr.Dataset, batch_size: int, file: FilePath) -> None:
    """The full loss with ellipses of update noise, and three maps: spread over batches, signal to noise, share uphill."""
    full = surface_from(landscape.surface, name="full", label="full loss")
    attrs = {**landscape.surface.attrs, "title": ""}
    maps = [
        surface_from(spread[["batch_sd"]].assign_attrs(attrs), name="sd"),
        surface_from(gradients[["gradient_snr"]].assign_attrs(attrs), name="snr"),
        surface_from(gradients[["uphill_share"]].assign_attrs(attrs), name="uphill"),
    ]
    arrows, outlines = _ellipses(landscape, batch_size)
    titles = (
        "loss of all samples, with update noise",
        "how far batches scatter",
        "|mean gradient| / sd over batches",
        "batches that point uphill",
    )
    quantities = ("loss", "batch_sd", "gradient_snr", "uphill_share")
    panes = tuple(
        Pane("contour", (s.name,), title=t, quantity=q, row=k // 2, column=k % 2, arrows=k == 0)
        for k, (s, t, q) in enumerate(zip((full, *maps), titles, quantities, strict=True))
    )
    colors = (SCALE, ColorScale("batch_sd"), ColorScale("gradient_snr", scale="log", low=0.3), ColorScale("uphill_share"))
    scene = Scene(
        panes,
        (full, *maps),
        arrows=arrows,
        outlines=outlines,
        colors=colors,
        title=f"What a mini-batch of {batch_size} does not know",
        subtitle=f"{landscape.scenery.title}; ellipses: ends of updates, one standard deviation over batches",
    )
    plot(scene, file)


def law(spreads: Mapping[int, xr.Dataset], title: str, samples: int, file: FilePath) -> None:
    """The spread of the batch loss against batch size: measured, with its law and with the law's large-data form."""
    sizes = np.array(sorted(spreads), float)
    measured = np.array([float(spreads[int(b)].batch_sd.median()) for b in sizes])
    theory = np.array([float(spreads[int(b)].batch_sd_theory.median()) for b in sizes])
    endless = theory / np.sqrt((samples - sizes) / (samples - 1))
    curves = (
        Curve("endless", sizes, endless, "σ / √B, an endless supply of data", "#5b5b5b", "dotted", reveal=False),
        Curve("theory", sizes, theory, f"σ / √B · √((N − B) / (N − 1)), N = {samples:,}", "#1448c8", "dashed", reveal=False),
        Curve("measured", sizes, measured, "measured over shuffled epochs", "#d11141", reveal=False),
    )
    shares = np.array([spreads[int(b)].attrs["batch_sd_ratio"] for b in sizes])
    error = 2 / np.sqrt(2 * np.array([spreads[int(b)].attrs["batches"] for b in sizes]))
    expected = Curve(
        "expected", sizes, np.ones(len(sizes)), "the law, ± 2 standard errors of a measured sd", "#1448c8", "dashed", reveal=False
    )
    expected = replace(expected, band=(1 - error, 1 + error))
    ratios = Curve("ratio", sizes, shares, "measured, median over the plane", "#d11141", reveal=False)
    names = tuple(c.name for c in curves)
    y_label = "median sd of the batch loss [nats]"
    panes = (
        Pane("curves", curves=names, x_label="batch size B", y_label=y_label, y_scale="log", x_scale="log"),
        Pane("curves", curves=("expected", "ratio"), x_label="batch size B", y_label="measured / law", x_scale="log", column=1),
    )
    plot(Scene(panes, curves=(*curves, expected, ratios), title="The quake fades as batches grow", subtitle=title), file)


def error_bars(plane: xr.Dataset, lines: Sequence[tuple[str, xr.Dataset]], subset: int, population: int, file: FilePath) -> None:
    """A surface from a random subset, hatched where its samples leave the minimum open, and a cut with error bands."""
    surface = surface_from(plane, name="subset", label=f"{subset:,} of {population:,} samples")
    cuts = tuple(surface_from(dataset, name=name, label=name) for name, dataset in lines)
    panes = (
        Pane("contour", ("subset",), title=surface.label),
        Pane("line", tuple(c.name for c in cuts), title="a cut, with bands of one standard error", column=1),
    )
    colors = (replace(SCALE, scale="log"),)
    title, note = "What a random subset of the data can tell", "The same samples stand at every point."
    plot(Scene(panes, (surface, *cuts), colors=colors, title=title, subtitle=note), file)


def _ellipses(landscape: Landscape, batch_size: int) -> tuple[tuple[Arrow, ...], tuple[Outline, ...]]:
    """The mean update at some points, and where the updates of single batches end."""
    rate, window = float(landscape.path.attrs["learning_rate"]), np.array(landscape.scenery.bounds)
    arrows, outlines = [], []
    for share in ELLIPSE_AT:
        here = window.mean(1) + np.array(share) * np.diff(window)[:, 0] / 2
        gradients = per_sample_gradients(landscape.scenery.objective, landscape.scenery.plane, here.tolist())
        ends = here + noise_ellipse(gradients, batch_size, scale=-rate)
        mean = here - rate * gradients.mean(0)
        arrows.append(Arrow((here[0], here[1]), (mean[0], mean[1])))
        outlines.append(Outline(ends[:, 0], ends[:, 1], f"updates by batches of {batch_size}, one standard deviation", "#d11141"))
    return tuple(arrows), tuple(outlines)


def _batch(landscape: Landscape, samples: Sequence[int], name: str, label: str) -> Surface:
    surface = surface_from(landscape.losses.batch_surface(samples, label), name=name, label=label)
    return replace(surface, fields={"sample_loss": surface.fields["loss"]}, origin=None)


def _bare(panes: Sequence[Pane], surfaces: Sequence[Surface], title: str, notes: tuple[str, ...]) -> Scene:
    """Many panes of one kind: what holds for all of them is said once."""
    common = [note for note in surfaces[0].notes if note.startswith("axes")]
    plain = tuple(replace(surface, notes=()) for surface in surfaces)
    return Scene(tuple(panes), plain, colors=(SINGLE,), title=title, notes=(*notes, *common))


def _parts(z: FloatArray, y: float) -> dict[str, FloatArray]:
    linear, softplus = (1 - y) * z, np.logaddexp(0, -z)
    return {"linear": linear, "softplus": softplus, "sum": linear + softplus}
