"""Batch surfaces, their spread and their errors, against plain NumPy, enumeration and repeated sampling."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np
import pytest
import torch
import zarr
from hypothesis import given
from hypothesis import strategies as st

import lossatlas as la
from lossatlas.analysis import sample_losses as batches_module
from lossatlas.analysis.sampling import sampling_fpc
from lossatlas.compute.minibatch.batches import take
from lossatlas.viz.compose.compose import compose
from lossatlas.viz.compose.from_datasets import surface_from
from lossatlas.viz.scene.provenance_text import surface_notes

METRICS = ("loss", "sample_loss")


def made(samples: int = 30, resolution: tuple[int, int] = (4, 6)) -> tuple[la.SampleLossArray, np.ndarray, la.Objective]:
    """Losses of a small regression, and the tensor read whole."""
    generator = torch.Generator().manual_seed(2)
    x = torch.randn(samples, 2, generator=generator, dtype=torch.float64)
    y = torch.randn(samples, generator=generator, dtype=torch.float64)
    objective = la.Objective(lambda p, b: (b[0] @ p["w"] - b[1]) ** 2, data=(x, y), params={"w": torch.zeros(2, dtype=torch.float64)})
    archive = la.open_archive(None, "a")
    plane = la.weight_plane(objective, ("w", 0), ("w", 1))
    la.evaluate(objective, plane, ((-1, 1), (-2, 2)), resolution, METRICS, archive, engine=la.Engine(evaluator="loop"))
    losses = la.SampleLossArray.open(archive)
    return losses, np.asarray(losses.losses[...]), objective


def test_a_batch_surface_is_the_mean_of_its_samples_to_the_last_bit() -> None:
    losses, tensor, _ = made()
    batches = la.shuffled_batches(30, 7, epochs=2, seed=3)
    np.testing.assert_array_equal(losses.surfaces(batches).values, [tensor[..., batch].mean(-1) for batch in batches])


def test_a_batch_surface_is_a_direct_evaluation_on_the_batch() -> None:
    losses, _, objective = made()
    batch = la.shuffled_batches(30, 7, seed=1)[2]
    x, y = take(objective.data, batch)
    own = la.Objective(lambda p, b: (b[0] @ p["w"] - b[1]) ** 2, data=(x, y), params=objective.params)
    direct = la.evaluate(own, la.weight_plane(own, ("w", 0), ("w", 1)), ((-1, 1), (-2, 2)), (4, 6))
    np.testing.assert_allclose(losses.surfaces([batch])[0], direct.loss, rtol=1e-13)
    assert losses.batch_surface(batch).attrs["objective"]["samples"] == 7


def test_batches_of_an_epoch_average_to_the_full_surface() -> None:
    losses, tensor, _ = made()
    np.testing.assert_allclose(losses.surfaces(la.shuffled_batches(30, 5, seed=9)).mean("batch"), tensor.mean(-1), rtol=1e-14)


def test_reading_in_small_blocks_changes_no_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    losses, _, _ = made()
    batches = la.shuffled_batches(30, 4)
    whole = losses.surfaces(batches), losses.statistics(), losses.batch_loss_std(4)
    monkeypatch.setattr(batches_module, "BLOCK_BYTES", 1)
    for before, after in zip(whole, (losses.surfaces(batches), losses.statistics(), losses.batch_loss_std(4)), strict=True):
        assert before.identical(after)


@given(st.permutations(range(9)))
def test_the_order_within_a_batch_does_not_matter(order: list[int]) -> None:
    np.testing.assert_allclose(LOSSES.surfaces([order]), LOSSES.surfaces([range(9)]), rtol=1e-14)


LOSSES = made(12, (2, 3))[0]


def test_the_law_of_the_spread_is_exact_over_all_batches() -> None:
    """All 15 batches of 2 out of 6: their variance is the law's, without any sampling."""
    losses, tensor, _ = made(6, (3, 2))
    everyone = [tensor[..., list(pair)].mean(-1) for pair in combinations(range(6), 2)]
    spread = losses.batch_loss_std(2, epochs=400, seed=1)
    np.testing.assert_allclose(spread.batch_sd_theory, np.std(everyone, axis=0), rtol=1e-12)
    np.testing.assert_allclose(spread.batch_sd, spread.batch_sd_theory, rtol=0.08)
    assert spread.attrs["batch_sd_ratio"] == pytest.approx(1, abs=0.05)
    assert spread.attrs["batches"] == 1200


def test_one_batch_of_everything_has_no_spread() -> None:
    losses, _, _ = made(6, (2, 2))
    spread = losses.batch_loss_std(6)
    np.testing.assert_allclose(spread.batch_sd, 0, atol=1e-15)
    assert (spread.batch_sd_theory == 0).all() and spread.attrs["batch_sd_ratio"] is None
    assert sampling_fpc(1, 1) == 0.0


def test_statistics_share_their_samples() -> None:
    losses, tensor, _ = made()
    found = losses.statistics()
    low = np.unravel_index(np.argmin(tensor.mean(-1)), (4, 6))
    np.testing.assert_allclose(found.loss_standard_error, tensor.std(-1, ddof=1) / np.sqrt(30), rtol=1e-12)
    np.testing.assert_allclose(found.loss_standard_error, losses.surface.loss_standard_error, rtol=1e-9)
    paired = (tensor - tensor[low]).std(-1, ddof=1) / np.sqrt(30)
    np.testing.assert_allclose(found.loss_difference_standard_error, paired, rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(found.loss_difference, tensor.mean(-1) - tensor[low].mean(), atol=1e-14)
    some = losses.statistics(population=60)
    np.testing.assert_allclose(some.loss_standard_error, found.loss_standard_error * np.sqrt(0.5), rtol=1e-12)
    with pytest.raises(la.InputError, match="population"):
        losses.statistics(population=20)


def test_stored_differences_become_hatching() -> None:
    """On a figure, a cell is doubtful where its difference from the lowest is within two standard errors of that difference."""
    objective = made()[2]
    archive = la.open_archive(None, "a")
    la.evaluate(objective, la.weight_plane(objective, ("w", 0), ("w", 1)), (-1, 1), (9, 8), METRICS, archive)
    surface = surface_from(la.SampleLossArray.open(archive).store_differences(archive))
    tensor = np.asarray(archive.samples()["sample_loss"][...])
    paired = tensor - tensor[np.unravel_index(np.argmin(tensor.mean(-1)), (9, 8))]
    expected = paired.mean(-1) <= 2 * paired.std(-1, ddof=1) / np.sqrt(30)
    found = surface.fields["loss"].doubtful
    assert found is not None and 0 < expected.sum() < expected.size
    np.testing.assert_array_equal(found, expected)


def test_any_surface_can_show_its_standard_error() -> None:
    surface = made()[0].surface
    scene = compose(surface, quantity="loss_standard_error")
    drawn = scene.surfaces[0].fields["loss_standard_error"]
    np.testing.assert_array_equal(drawn.values, surface.loss_standard_error)
    assert drawn.label.startswith("standard error of")


@pytest.mark.slow
def test_bands_of_a_subset_cover_the_full_data_at_the_nominal_rate() -> None:
    """2 standard errors of 250 out of 1,000 samples: 95.4 % of cells and subsets, within what 300 subsets can tell."""
    losses, tensor, _ = made(1000, (2, 3))
    truth, random, covered = tensor.mean(-1), np.random.default_rng(0), []
    for _ in range(300):
        chosen = random.permutation(1000)[:250]
        subset = replace(losses, losses=zarr.array(tensor[..., chosen]), weights=np.ones(250))
        found = subset.statistics(population=1000)
        covered.append(np.abs(found.loss - truth) <= 2 * found.loss_standard_error)
    assert np.mean(covered) == pytest.approx(0.954, abs=0.025)


@pytest.mark.slow
def test_standard_errors_of_a_subset_are_right_over_every_subset_there_is() -> None:
    """All 20 draws of 3 from 6: the mean squared standard error is the variance of the subset's mean, to rounding."""
    data = torch.tensor([0.0, 1.0, 1.5, 4.0, 7.0, 7.5], dtype=torch.float64)
    plane, means, errors = None, [], []
    for chosen in combinations(range(6), 3):
        objective = la.Objective(
            lambda p, x: (x - p["w"][0]) ** 2, data=data[list(chosen)], params={"w": torch.zeros(1, dtype=torch.float64)}, population=6
        )
        plane = plane or la.weight_plane(objective, ("w", 0))
        found = la.evaluate(objective, plane, (0, 3), 4)
        means.append(found.loss.values)
        errors.append(found.loss_standard_error.values)
    np.testing.assert_allclose(np.mean(np.square(errors), 0), np.var(means, 0), rtol=1e-12)
    law = ((data[:, None] - torch.linspace(0, 3, 4)) ** 2).numpy().std(0) / np.sqrt(3) * sampling_fpc(3, 6)
    np.testing.assert_allclose(np.std(means, 0), law, rtol=1e-12)


def test_all_of_the_data_have_no_standard_error_only_where_the_objective_says_so() -> None:
    data = torch.arange(30.0)

    def made_of(data: Any, population: int | None = None) -> Any:
        objective = la.Objective(lambda p, x: (x - p["w"][0]) ** 2, data=data, params={"w": torch.zeros(1)}, population=population)
        return la.evaluate(objective, la.weight_plane(objective, ("w", 0)), (0, 3), 4)

    endless, whole, drawn = made_of(data), made_of(data, 30), made_of(la.random_subset(data, 30))
    assert (endless.loss_standard_error > 0).all() and (whole.loss_standard_error == 0).all() and (drawn.loss_standard_error == 0).all()
    assert any("all there is" in note for note in surface_notes(whole))
    half = made_of(la.random_subset(torch.arange(60.0), 30, seed=1))
    assert any("for all 60 samples" in note for note in surface_notes(half)) and half.attrs["objective"]["population"] == 60
    with pytest.raises(la.InputError, match="population"):
        made_of(data, 29)


def test_the_factor_is_that_of_the_tensor_too() -> None:
    subset = la.random_subset((torch.arange(60.0),), 30, seed=2)
    objective = la.Objective(lambda p, b: (b[0] - p["w"][0]) ** 2, data=subset, params={"w": torch.zeros(1)}, dtype=torch.float64)
    archive = la.open_archive(None, "a")
    surface = la.evaluate(objective, la.weight_plane(objective, ("w", 0)), (0, 3), 4, ("loss", "sample_loss"), archive)
    found = la.SampleLossArray.open(archive).statistics()
    np.testing.assert_allclose(found.loss_standard_error, surface.loss_standard_error, rtol=1e-9)


def test_hatching_from_standard_errors_alone_is_conservative_and_says_so() -> None:
    """It marks every cell that the paired test marks, and more."""
    generator = torch.Generator().manual_seed(4)
    x, noise = (torch.randn(300, 2, generator=generator, dtype=torch.float64) for _ in "xy")
    data, start = (x, x.sum(1) + noise[:, 0]), {"w": torch.ones(2, dtype=torch.float64)}
    objective = la.Objective(lambda p, b: (b[0] @ p["w"] - b[1]) ** 2, data=data, params=start)
    archive = la.open_archive(None, "a")
    plain = la.evaluate(objective, la.weight_plane(objective, ("w", 0), ("w", 1)), ((0, 2), (0.5, 2)), (21, 11), METRICS, archive)
    losses = la.SampleLossArray.open(archive)
    loose = compose(plain, uncertainty=True).surfaces[0]
    sharp = surface_from(losses.store_differences(archive))
    marked, paired = loose.fields["loss"].doubtful, sharp.fields["loss"].doubtful
    assert marked is not None and paired is not None
    assert (marked | ~paired).all() and marked.sum() > paired.sum()
    assert any("hatches too many" in note for note in loose.notes)
    assert surface_from(plain).fields["loss"].doubtful is None
    error = plain.loss_standard_error.values
    low = np.unravel_index(plain.loss.values.argmin(), error.shape)
    np.testing.assert_array_equal(marked, plain.loss.values - plain.loss.values.min() <= 2 * np.hypot(error, error[low]))
    assert compose(archive, uncertainty=True).surfaces[0].fields["loss"].conservative is False
    with pytest.raises(la.InputError, match="standard errors"):
        compose(plain.drop_vars("loss_standard_error"), uncertainty=True)


def test_figures_warn_below_two_hundred_samples() -> None:
    few, many = made(150, (2, 2))[0].surface, made(200, (2, 2))[0].surface
    assert any("CAUTION" in note and "150 samples" in note for note in surface_notes(few))
    assert not any("CAUTION" in note for note in surface_notes(many))


@pytest.mark.parametrize("batch", [[], [30], [-1]])
def test_batches_that_are_not_there(batch: list[int]) -> None:
    with pytest.raises(la.InputError, match="batches"):
        made()[0].surfaces([batch])


def test_a_batch_larger_than_the_data() -> None:
    with pytest.raises(la.InputError, match="1 to 30"):
        la.shuffled_batches(30, 31)
    with pytest.raises(la.InputError, match="1 to 12"):
        LOSSES.batch_loss_std(13)
    with pytest.raises(la.InputError, match="epochs"):
        la.shuffled_batches(30, 3, epochs=0)


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 5), st.booleans())
def test_epochs_draw_without_replacement(samples: int, size: int, seed: int, drop: bool) -> None:
    if size > samples:
        return
    batches = la.shuffled_batches(samples, size, epochs=2, seed=seed, drop_last=drop)
    first = np.concatenate(batches[: len(batches) // 2])
    assert len(set(first.tolist())) == len(first) == (samples // size * size if drop else samples)


def test_a_random_subset_says_so() -> None:
    data = torch.arange(50.0), torch.arange(50.0)
    subset = la.random_subset(data, 20, seed=3, batch_size=6)
    x = torch.cat([batch[0] for batch in subset.batches])
    assert subset.samples == 20 and len(set(x.tolist())) == 20 and subset.note and "20 of 50 samples" in subset.note
    objective = la.Objective(lambda p, b: (b[0] - p["w"]) ** 2, data=subset, params={"w": torch.zeros(())})
    assert objective.samples == 20 and "20 of 50" in objective.description["note"]
    with pytest.raises(la.InputError, match="count"):
        la.random_subset(data, 51)
