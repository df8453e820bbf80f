"""Principal planes against scikit-learn and a dense SVD, the random-walk null, and paths no plane can be laid through."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA

from lossatlas.analysis.random_walk import expected_cosine, joint_random_walk_null, random_walk_null, start_end_null
from lossatlas.compute.params.arithmetic import dot
from lossatlas.compute.paths.principal_planes import joint_pca_plane, pca_plane, start_end_plane
from lossatlas.compute.paths.projection import project_points, project_trajectory
from lossatlas.compute.recording.trajectory import Trajectory
from lossatlas.errors import InputError


def path_of(points: np.ndarray, dtype: torch.dtype = torch.float64) -> Trajectory:
    """A trajectory of two tensors whose entries, in order, are the rows of `points`."""
    half = points.shape[1] // 2
    rows = (torch.tensor(row, dtype=dtype) for row in points)
    return Trajectory.from_checkpoints({"a": row[:half], "b": row[half:].reshape(-1, 1)} for row in rows)


def flat(params: Mapping[str, torch.Tensor]) -> np.ndarray:
    return torch.cat([p.reshape(-1) for p in params.values()]).double().numpy()


def curved(points: int, parameters: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.standard_normal((points, parameters)).cumsum(0) * np.geomspace(5, 0.1, parameters)


@pytest.mark.parametrize("memory", [2**9, 2**29])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_centered_components_are_those_of_scikit_learn(memory: int, dtype: torch.dtype) -> None:
    points = torch.tensor(curved(17, 40), dtype=dtype).double().numpy()
    theirs = PCA(2, svd_solver="full").fit(points)
    ours = pca_plane(path_of(points, dtype), centered=True, memory=memory)
    for direction, component in zip(ours.directions, theirs.components_, strict=True):
        assert abs(flat(direction.params) @ component) >= 1 - 1e-6
    assert ours.construction["explained_variance_ratio"] == pytest.approx(theirs.explained_variance_ratio_, abs=1e-7)


def test_components_about_the_last_point_are_those_of_a_dense_svd() -> None:
    points = curved(23, 60)
    _, singular, right = np.linalg.svd(points - points[-1], full_matrices=False)
    ours = pca_plane(path_of(points))
    for direction, component in zip(ours.directions, right, strict=False):
        assert abs(flat(direction.params) @ component) == pytest.approx(1, abs=1e-12)
    assert ours.construction["explained_variance_ratio"] == pytest.approx(singular[:2] ** 2 / (singular**2).sum(), abs=1e-12)
    assert ours.cosine == pytest.approx(0, abs=1e-14)
    np.testing.assert_array_equal(flat(ours.center), points[-1])


def test_signs_are_fixed_the_path_comes_from_the_negative_side() -> None:
    points = curved(12, 30)
    first, mirrored = (project_points(path_of(p), pca_plane(path_of(p))).coordinates for p in (points, 2 * points[-1] - points))
    assert (first[0] < 0).all()
    np.testing.assert_allclose(first, mirrored, atol=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize(("centered", "expected"), [(True, (0.6079, 0.1520)), (False, (0.8106, 0.0901))])
def test_a_pure_random_walk_gives_the_shares_of_theory(centered: bool, expected: tuple[float, float]) -> None:
    points = np.random.default_rng(0).standard_normal((400, 20_000)).cumsum(0)
    recipe = pca_plane(path_of(points), centered=centered, memory=2**25).construction
    assert recipe["explained_variance_ratio"] == pytest.approx(expected, abs=4e-3)
    assert recipe["random_walk_null"] == pytest.approx(expected, abs=2e-3)
    assert min(recipe["walk_correlation"]) > 0.998


def test_the_null_has_a_closed_form_for_equal_distances() -> None:
    n, k = 30, np.arange(1, 30)
    centered = 1 / np.sin(k * math.pi / (2 * n)) ** 2
    assert random_walk_null(n, centered=True).ratio == pytest.approx(centered[:2] / centered.sum(), rel=1e-10)
    about_end = 1 / np.sin((2 * k - 1) * math.pi / (2 * (2 * (n - 1) + 1))) ** 2
    assert random_walk_null(n).ratio == pytest.approx(about_end[:2] / about_end.sum(), rel=1e-10)
    cosine = np.cos(math.pi * (np.arange(n) + 0.5) / n)
    assert random_walk_null(n, centered=True).correlation(cosine[None]) == pytest.approx((1.0,))


def test_the_null_knows_unequal_distances_between_recorded_steps() -> None:
    steps = np.array([0, 1, 2, 4, 8, 16, 32, 64, 100])
    walk = np.random.default_rng(1).standard_normal((101, 40_000)).cumsum(0)[steps]
    found = np.linalg.eigvalsh((walk - walk[-1]) @ (walk - walk[-1]).T)[::-1][:2]
    shares = found / ((walk - walk[-1]) ** 2).sum()
    assert random_walk_null(steps).ratio == pytest.approx(shares, abs=0.01)
    assert random_walk_null(9).ratio != pytest.approx(shares, abs=0.01)


@pytest.mark.parametrize(("n", "value"), [(10, 0.2592), (100, 0.0802), (1000, 0.0247), (10_000, 0.0078)])
def test_expected_cosine_between_random_directions(n: int, value: float) -> None:
    rng = np.random.default_rng(2)
    a, b = rng.standard_normal((2, 2000, n)) if n <= 1000 else rng.standard_normal((2, 200, n))
    cosines = np.abs((a * b).sum(1)) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    assert expected_cosine(n) == pytest.approx(cosines.mean(), abs=4 * cosines.std() / math.sqrt(len(cosines)))
    assert expected_cosine(n) == pytest.approx(value, rel=0.03)


def test_start_end_plane_puts_the_ends_at_zero_and_one_and_splits_the_motion() -> None:
    points = curved(9, 14)
    path = path_of(points)
    plane = start_end_plane(path)
    found = project_points(path, plane)
    np.testing.assert_allclose(found.coordinates[[0, -1]], [[0, 0], [1, 0]], atol=1e-12)
    assert plane.cosine == pytest.approx(0, abs=1e-14)
    lengths = [direction.norm for direction in plane.directions]
    assert lengths == pytest.approx([np.linalg.norm(points[-1] - points[0])] * 2)
    unit = (points[-1] - points[0]) / lengths[0]
    off = points - points[0] - np.outer((points - points[0]) @ unit, unit)
    _, singular, right = np.linalg.svd(off, full_matrices=False)
    assert abs(flat(plane.directions[1].params) @ right[0]) == pytest.approx(lengths[0])
    shares = plane.construction["explained_variance_ratio"]
    total = ((points - points[-1]) ** 2).sum()
    assert shares == pytest.approx([(((points - points[-1]) @ unit) ** 2).sum() / total, singular[0] ** 2 / total])
    # About one and the same point no plane shows more than the principal one.
    assert found.explained_variance <= project_points(path, pca_plane(path)).explained_variance + 1e-12
    assert found.explained_variance == pytest.approx(sum(shares))


def test_shared_plane_is_the_principal_plane_of_all_runs_about_their_start() -> None:
    first, second = curved(8, 20, 1), curved(11, 20, 2)
    second = second - second[0] + first[0]
    joint = np.concatenate([first, second]) - first[0]
    _, singular, right = np.linalg.svd(joint, full_matrices=False)
    plane = joint_pca_plane([path_of(first), path_of(second)])
    assert [abs(flat(d.params) @ r) for d, r in zip(plane.directions, right, strict=False)] == pytest.approx([1, 1])
    shares = [project_points(path_of(p), plane).explained_variance for p in (first, second)]
    weights = [((p - first[0]) ** 2).sum() for p in (first, second)]
    assert np.dot(shares, weights) / sum(weights) == pytest.approx((singular[:2] ** 2).sum() / (singular**2).sum())


@pytest.mark.parametrize("times", [np.arange(25), np.array([0, 1, 2, 4, 8, 16, 32, 64, 100])])
def test_the_null_of_a_start_end_plane_is_that_of_simulated_walks(times: np.ndarray) -> None:
    rng, found, walk = np.random.default_rng(5), [], np.zeros((0, 0))
    for _ in range(8):
        walk = rng.standard_normal((int(times[-1]) + 1, 5000)).cumsum(0)[times]
        unit = (walk[-1] - walk[0]) / np.linalg.norm(walk[-1] - walk[0])
        left = walk - walk[-1]
        off = left - np.outer(left @ unit, unit)
        top = np.linalg.svd(off, compute_uv=False)[0] ** 2
        found.append(np.array([((left @ unit) ** 2).sum(), top]) / (left**2).sum())
    assert start_end_null(times) == pytest.approx(np.mean(found, 0), abs=0.01)
    plane = start_end_plane(Trajectory.from_checkpoints(({"w": torch.tensor(row)} for row in walk), steps=times.tolist()))
    assert plane.construction["random_walk_null"] == pytest.approx(start_end_null(times))
    assert plane.construction["explained_variance_ratio"] == pytest.approx(found[-1], rel=1e-9)


@pytest.mark.parametrize("dimensions", [40, 300])
def test_the_joint_null_is_that_of_simulated_walks(dimensions: int) -> None:
    times, spreads = [np.arange(12), np.array([0, 2, 3, 7, 11, 12])], [1.0, 3.0]
    rng, ratio, shares = np.random.default_rng(6), [], []
    for _ in range(150):
        walks = [rng.standard_normal((13, dimensions)).cumsum(0)[t] for t in times]
        walks = [w - w[0] for w in walks]
        walks = [w * np.sqrt(s / (w**2).sum()) for w, s in zip(walks, spreads, strict=True)]
        _, singular, right = np.linalg.svd(np.concatenate(walks), full_matrices=False)
        ratio.append(singular[:2] ** 2 / sum(spreads))
        shares.append([((w @ right[:2].T) ** 2).sum(0) / s for w, s in zip(walks, spreads, strict=True)])
    null = joint_random_walk_null(times, spreads, dimensions)
    assert null.ratio == pytest.approx(np.mean(ratio, 0), abs=0.015)
    np.testing.assert_allclose(null.shares, np.mean(shares, 0), atol=0.03)


def test_a_walk_alone_has_the_null_of_one_walk() -> None:
    null = joint_random_walk_null([np.arange(30)], [1.0], 100_000)
    assert null.ratio == pytest.approx(random_walk_null(30).ratio, abs=2e-3)
    assert null.shares[0] == pytest.approx(null.ratio)


def test_a_null_needs_two_points() -> None:
    for steps in (0, 1, np.array([], int), np.array([5])):
        with pytest.raises(InputError, match="at least two points"):
            random_walk_null(steps)


def test_a_path_says_its_own_share_of_a_shared_plane_beside_the_joint_one() -> None:
    runs = [curved(8, 20, 1), curved(11, 20, 2), 3 * curved(9, 20, 3)]
    runs = [run - run[0] for run in runs]
    paths = [path_of(run) for run in runs]
    plane = joint_pca_plane(paths)
    axes = np.stack([flat(d.params) for d in plane.directions])
    joint = np.concatenate(runs)
    for path, run, null in zip(paths, runs, plane.construction["random_walk_nulls"], strict=True):
        told = project_trajectory(path, plane).attrs
        assert told["explained_variance_ratio"] == pytest.approx(((run @ axes.T) ** 2).sum(0) / (run**2).sum())
        assert told["joint_explained_variance_ratio"] == pytest.approx(((joint @ axes.T) ** 2).sum(0) / (joint**2).sum())
        assert told["random_walk_null"] == null and told["joint_random_walk_null"] == plane.construction["random_walk_null"]
    expected = joint_random_walk_null([np.arange(len(r)) for r in runs], [(r**2).sum() for r in runs], 20)
    assert plane.construction["random_walk_null"] == pytest.approx(expected.ratio)
    apart = [path_of(runs[0]), path_of(runs[1] + 1.0)]
    assert "random_walk_null" not in joint_pca_plane(apart).construction


def test_another_runs_plane_lends_a_path_neither_shares_nor_null() -> None:
    first, second = curved(8, 20, 1), curved(11, 20, 2)
    plane = pca_plane(path_of(first))
    told = project_trajectory(path_of(second), plane).attrs
    axes, offset = np.stack([flat(d.params) for d in plane.directions]), second - first[-1]
    assert told["explained_variance_ratio"] == pytest.approx(((offset @ axes.T) ** 2).sum(0) / (offset**2).sum())
    assert told["random_walk_null"] is None and told["walk_correlation"] is None


def test_half_precision_models_get_axes_in_single_precision() -> None:
    plane = pca_plane(path_of(curved(6, 10), torch.bfloat16))
    assert {p.dtype for p in [*plane.center.values(), *plane.directions[0].params.values()]} == {torch.float32}
    assert dot(plane.directions[0].params, plane.directions[1].params) == pytest.approx(0, abs=1e-7)


STILL = np.ones((5, 8))
LINE = np.outer(np.arange(6.0) ** 2, np.arange(8.0)) + 7
LOOP = np.stack([np.cos(t) * np.eye(8)[0] + np.sin(t) * np.eye(8)[1] for t in np.linspace(0, 2 * np.pi, 13)])
LOOP[-1] = LOOP[0]


@pytest.mark.parametrize("make", [pca_plane, start_end_plane, lambda t: joint_pca_plane([t])])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    ("points", "words"), [(STILL[:1], "1 recorded point"), (STILL, "all the same"), (LINE, "straight line"), (LINE[:2], "straight line")]
)
def test_paths_without_a_plane_are_refused_in_words(make, dtype: torch.dtype, points: np.ndarray, words: str) -> None:
    with pytest.raises(InputError, match=words):
        make(path_of(points / 3, dtype))


def test_a_closed_loop_has_principal_axes_but_no_start_end_line() -> None:
    assert sum(pca_plane(path_of(LOOP)).construction["explained_variance_ratio"]) == pytest.approx(1)
    with pytest.raises(InputError, match="ends where it began"):
        start_end_plane(path_of(LOOP))


def test_nan_weights_are_named_by_their_step_and_can_be_left_out() -> None:
    points = curved(7, 10)
    points[4:, 3] = np.nan
    with pytest.raises(InputError, match=r"step 4.*until\(3\)"):
        pca_plane(path_of(points))
    assert pca_plane(path_of(points).until(3)).construction["points"] == 4


def test_runs_of_different_models_share_no_plane() -> None:
    with pytest.raises(InputError, match=r"trajectories\[1\].*a is \(6,\), not \(5,\).*runs of one model"):
        joint_pca_plane([path_of(curved(5, 10)), path_of(curved(5, 12))])
    other = Trajectory.from_checkpoints({"a": torch.ones(5), "c": torch.ones(5, 1) * k} for k in range(3))
    with pytest.raises(InputError, match="lacks b; brings c"):
        joint_pca_plane([path_of(curved(5, 10)), other])
    with pytest.raises(InputError, match=r"trajectory: got dict.*recorder\.trajectory"):
        pca_plane({"w": torch.ones(2)})  # pyright: ignore[reportArgumentType]
