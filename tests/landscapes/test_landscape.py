"""`la.landscape` and `la.compare` give what objective, plane and evaluation give one by one, for every kind of data."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import lossatlas as la

# A training of six steps ends before BatchNorm's running averages have caught up with the weights, and the library says so.
pytestmark = pytest.mark.filterwarnings("ignore:At .* that model's own is:UserWarning")

X = torch.randn(24, 3, generator=torch.Generator().manual_seed(1))
Y = (X[:, 0] > 0).long()
SMALL = {"resolution": (3, 5), "progress": False}


def net(seed: int = 0) -> torch.nn.Module:
    torch.manual_seed(seed)
    return torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4), torch.nn.Tanh(), torch.nn.Linear(4, 2))


def record(kind: type[torch.optim.Optimizer], rate: float, archive: object = None, steps: int = 6) -> la.Trajectory:
    model = net()
    optimizer = kind(model.parameters(), lr=rate)  # pyright: ignore[reportCallIssue]
    with la.Recorder(archive, model, optimizer) as recorder:  # pyright: ignore[reportArgumentType]
        for _ in range(steps):
            optimizer.zero_grad()
            loss = F.cross_entropy(model(X), Y)
            loss.backward()
            optimizer.step()
            recorder.step(loss)
    return recorder.trajectory


@pytest.fixture(scope="module")
def runs() -> dict[str, la.Trajectory]:
    return {"SGD": record(torch.optim.SGD, 0.5), "Adam": record(torch.optim.Adam, 0.05, steps=4)}


class Pairs(torch.utils.data.Dataset):
    def __len__(self) -> int:
        return len(X)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        return X[index], Y[index]


@pytest.mark.parametrize(
    "data",
    [
        (X, Y),
        (X.numpy(), Y.numpy()),
        Pairs(),
        torch.utils.data.DataLoader(Pairs(), batch_size=7),
        [(X[:10], Y[:10]), (X[10:], Y[10:])],
    ],
    ids=["tensors", "arrays", "dataset", "loader", "batches"],
)
def test_it_is_objective_plane_and_evaluation_in_one(data) -> None:
    model = net()
    result = la.landscape(model, F.cross_entropy, data, seed=3, **SMALL)
    objective = la.Objective(net(), F.cross_entropy, (X, Y))
    expected = la.evaluate(objective, la.random_plane(objective, 3), resolution=(3, 5), metrics=("loss", "accuracy"), progress=False)
    np.testing.assert_allclose(result.surface.loss, expected.loss, rtol=1e-5)
    np.testing.assert_array_equal(result.surface.accuracy, expected.accuracy)
    model.eval()
    with torch.no_grad():
        assert float(result.surface.loss.sel(alpha=0, beta=0)) == pytest.approx(float(F.cross_entropy(model(X), Y)), rel=1e-6)
    assert result.metrics == ("loss", "accuracy") and "3 x 5 cells" in repr(result)


def test_a_loss_that_is_no_classification_has_no_accuracy() -> None:
    result = la.landscape(torch.nn.Linear(3, 1), F.mse_loss, (X, X[:, :1]), **SMALL)
    assert result.metrics == ("loss",) and "accuracy" not in result.surface


@pytest.mark.slow
def test_a_second_call_with_the_same_archive_reads_what_is_there(tmp_path: Path) -> None:
    tiles = []
    first, second = (
        la.landscape(net(), F.cross_entropy, (X, Y), archive=tmp_path / "a.zarr", resolution=3, engine=la.Engine(evaluator="loop"))
        for _ in range(2)
    )
    la.evaluate(first.objective, first.plane, resolution=3, metrics=("loss", "accuracy"), archive=tmp_path / "a.zarr", on_tile=tiles.append)
    assert tiles == [] and first.surface.identical(second.surface)


@pytest.mark.slow
def test_figures_pages_and_archives_hold_the_paths(runs, tmp_path: Path) -> None:
    result = la.compare(runs, net(5), F.cross_entropy, (X, Y), **SMALL)
    figure = result.plot(tmp_path / "a.png", quantity=("loss", "accuracy"), caption="none")
    assert [axes.get_xlabel()[:5] for axes in figure.axes if axes.get_xlabel()] == ["joint", "joint"]
    assert result._repr_png_().startswith(b"\x89PNG")
    page = result.view(export=tmp_path / "a.html")
    assert "Adam" in Path(page).read_text()
    archive = result.save(tmp_path / "a.zarr")
    assert archive.surfaces == ("surface",) and archive.trajectories == ("Adam", "SGD")
    np.testing.assert_array_equal(archive.surface().loss, result.surface.loss)
    with pytest.raises(la.InputError, match=r"Adam.*overwrite=True"):
        result.save(tmp_path / "a.zarr", name="other")
    result.save(tmp_path / "a.zarr", overwrite=True)


@pytest.mark.slow
def test_the_animation_plays_the_paths(runs, tmp_path: Path) -> None:
    assert la.compare(runs, net(), F.cross_entropy, (X, Y), **SMALL).animate(tmp_path / "a.gif", frames=3).exists()


def test_compared_runs_share_plane_window_and_their_own_statistics(runs) -> None:
    result = la.compare(runs, net(5), F.cross_entropy, (X, Y), **SMALL)
    plane = la.joint_pca_plane(list(runs.values()))
    assert [model.label for model in result.plane.models] == ["the common start", "the end of SGD", "the end of Adam"]
    assert list(result.paths) == ["SGD", "Adam"] and result.plane.window == plane.window
    for label, run in runs.items():
        path = result.paths[label]
        places = np.array([plane.project(run.params(row)).coordinates for row in range(len(run))])
        np.testing.assert_allclose(np.stack([path.path_alpha, path.path_beta], 1), places, atol=1e-5)
        low, high = np.array(plane.window).T
        assert (places > low).all() and (places < high).all()
        model = net(9)
        model.load_state_dict(run.state(-1))
        model.eval()
        with torch.no_grad():
            assert path.path_loss.values[-1] == pytest.approx(float(F.cross_entropy(model(X), Y)), rel=1e-5)


@pytest.mark.slow
def test_a_recording_is_drawn_on_the_plane_of_its_path(tmp_path: Path) -> None:
    run = record(torch.optim.SGD, 0.5, tmp_path / "run.zarr")
    result = la.landscape(net(), F.cross_entropy, (X, Y), recording=tmp_path / "run.zarr", archive=tmp_path / "path.zarr", **SMALL)
    assert result.plane.kind == "pca" and list(result.paths) == ["run"]
    stored = la.open_archive(tmp_path / "path.zarr")
    assert stored.surfaces == ("surface",) and stored.trajectories == ("run",)
    np.testing.assert_array_equal(stored.trajectory("run").step, run.steps)


@pytest.mark.slow
def test_long_paths_are_measured_at_some_of_their_points(monkeypatch: pytest.MonkeyPatch, runs, tmp_path: Path) -> None:
    from lossatlas.landscapes import landscape

    monkeypatch.setattr(landscape, "PATH_POINTS", 3)
    result = la.landscape(net(), F.cross_entropy, (X, Y), recording=runs["SGD"], archive=tmp_path / "a.zarr", **SMALL)
    assert result.paths["run"].step.values.tolist() == [0, 3, 6]
    stored = la.open_archive(tmp_path / "a.zarr").trajectory("run")
    np.testing.assert_array_equal(stored.path_loss, result.paths["run"].path_loss)
    np.testing.assert_array_equal(stored.step, [0, 3, 6])


def test_of_a_model_that_is_frozen_in_part_the_plane_moves_what_trains() -> None:
    model = net()
    model[0].requires_grad_(False)
    assert la.landscape(model, F.cross_entropy, (X, Y), **SMALL).plane.moving_names == ("3.weight",)
    model.requires_grad_(False)[3].bias.requires_grad_(True)
    assert la.landscape(model, F.cross_entropy, (X, Y), **SMALL).plane.moving_names == ("3.bias",)
    assert la.landscape(model.requires_grad_(False), F.cross_entropy, (X, Y), **SMALL).plane.moving_names == ("0.weight", "3.weight")


@pytest.mark.slow
def test_compared_runs_are_kept_and_the_second_call_continues(runs, tmp_path: Path) -> None:
    first, second = (la.compare(runs, net(), F.cross_entropy, (X, Y), archive=tmp_path / "a.zarr", **SMALL) for _ in range(2))
    archive = la.open_archive(tmp_path / "a.zarr")
    assert archive.trajectories == ("Adam", "SGD") and first.surface.identical(second.surface)
    la.plot(archive, tmp_path / "a.png")


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: la.landscape(net(), F.cross_entropy), "data: got None; expected what the loss is measured on"),
        (lambda: la.landscape(F.cross_entropy, net(), (X, Y)), "The order is model, loss, data"),
        (lambda: la.landscape(la.Objective(net(), F.cross_entropy, (X, Y)), F.cross_entropy), "an Objective beside loss"),
        (lambda: la.compare({}, net(), F.cross_entropy, (X, Y)), "runs: got 0 runs; expected at least two"),
        (lambda: la.compare(["a.zarr"], net(), F.cross_entropy, (X, Y)), "recordings by label"),  # type: ignore[arg-type]
        (lambda: la.compare({"a": "nowhere.zarr", "b": "b.zarr"}, net(), F.cross_entropy, (X, Y)), "nowhere.zarr"),
    ],
)
def test_mistakes_are_named(call, words: str) -> None:
    with pytest.raises(la.LossatlasError, match=words):
        call()
