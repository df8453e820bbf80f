"""Metrics of a recording and of its path over a plane, against plain measurements of the recorded weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import lossatlas as la

X = torch.randn(12, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
Y = (X[:, 0] > 0).long()


def largest(model: nn.Module) -> Tensor:
    return model(X).argmax(1) == Y


SCORE = la.Metric("score", largest, of="model", better="higher", units="fraction")


def record(place: Path | None, steps: int = 3, **options: Any) -> tuple[la.Recorder, nn.Module]:
    torch.manual_seed(1)
    model = nn.Linear(2, 2).double()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    objective, test = la.Objective(model, F.cross_entropy, (X, Y)), la.Objective(model, F.cross_entropy, (X[:5], Y[:5]))
    with la.Recorder(place, model, optimizer, every=1, objective=objective, test_objective=test, **options) as recorder:
        for _ in range(steps):
            optimizer.zero_grad()
            F.cross_entropy(model(X), Y).backward()
            optimizer.step()
            recorder.step()
    return recorder, model


def test_a_recorder_measures_them_at_every_step_and_leaves_the_model_alone() -> None:
    recorder, _ = record(None, metrics=("error", "kl", SCORE))
    plain, _ = record(None)
    run = recorder.trajectory.dataset
    np.testing.assert_array_equal(run.path_loss, plain.trajectory.dataset.path_loss)
    start = {n: p.numpy() for n, p in recorder.trajectory.params(0).items()}
    for row in range(4):
        p = {n: v.numpy() for n, v in recorder.trajectory.params(row).items()}
        z, z0 = (X.numpy() @ w["weight"].T + w["bias"] for w in (p, start))
        log_p, log_q = (v - np.log(np.exp(v).sum(1, keepdims=True)) for v in (z, z0))
        wrong = z.argmax(1) != Y.numpy()
        np.testing.assert_allclose(run.path_error[row], wrong.mean(), atol=1e-15)
        np.testing.assert_allclose(run.test_error[row], wrong[:5].mean(), atol=1e-15)
        np.testing.assert_allclose(run.path_score[row], 1 - wrong.mean(), atol=1e-15)
        np.testing.assert_allclose(run.path_kl[row], (np.exp(log_q) * (log_q - log_p)).sum(1).mean(), rtol=1e-9, atol=1e-16)
    assert run.path_score.attrs["better"] == "higher" and run.path_score.attrs["items"] == 12
    assert "of the iterate" in run.path_kl.attrs["long_name"] and float(run.path_kl[0]) == 0.0
    assert (run.path_score_lower <= run.path_score).all() and "path_accuracy_lower" not in run and "path_loss_standard_error" not in run


@pytest.mark.slow
def test_they_are_stored_continued_and_an_edited_one_is_refused(tmp_path: Path) -> None:
    record(tmp_path / "a.zarr", metrics=SCORE)
    model = nn.Linear(2, 2).double()
    trajectory = la.Trajectory.open(tmp_path / "a.zarr")
    state = la.open_archive(tmp_path / "a.zarr").trajectory()
    assert state.path_score.shape == (4,) and "score" in state.attrs["metric_identity"]
    model.load_state_dict(trajectory.state(-1))
    objective, test = la.Objective(model, F.cross_entropy, (X, Y)), la.Objective(model, F.cross_entropy, (X[:5], Y[:5]))
    options: dict[str, Any] = {"every": 1, "objective": objective, "test_objective": test, "resume": True}
    edited = la.Metric("score", lambda m: m(X).argmin(1) == Y, of="model")
    with pytest.raises(la.InputError, match="the code of its metric score changed"):
        la.Recorder(tmp_path / "a.zarr", model, metrics=edited, **options)
    with pytest.raises(la.InputError, match="path_score"):
        la.Recorder(tmp_path / "a.zarr", model, **options)
    with la.Recorder(tmp_path / "a.zarr", model, metrics=SCORE, **options) as recorder:
        recorder.step()
    assert len(la.open_archive(tmp_path / "a.zarr").trajectory().path_score) == 5


@pytest.mark.slow
def test_a_path_over_a_plane_carries_them(tmp_path: Path) -> None:
    recorder, model = record(tmp_path / "a.zarr")
    objective, plane = la.Objective(model, F.cross_entropy, (X, Y)), la.pca_plane(recorder.trajectory)
    path = la.project_trajectory(recorder.trajectory, plane, objective, tmp_path / "a.zarr", metrics=("error", "kl", SCORE))
    np.testing.assert_allclose(path.path_error, 1 - path.path_accuracy, atol=1e-15)
    np.testing.assert_array_equal(path.path_score, path.path_accuracy)
    assert float(path.path_kl[-1]) < 1e-12 < float(path.path_kl[0]), "the plane's own model is the end of the run"
    again = la.open_archive(tmp_path / "a.zarr").trajectory()
    np.testing.assert_array_equal(again.path_score_upper, path.path_score_upper)
    assert again.path_score.attrs["better"] == "higher"
    elsewhere = la.open_archive(None, "a")
    la.project_trajectory(recorder.trajectory, plane, objective, elsewhere, metrics=SCORE)
    np.testing.assert_array_equal(elsewhere.trajectory().path_score, path.path_score)
    with pytest.raises(la.InputError, match="metrics: got error; expected an objective"):
        la.project_trajectory(recorder.trajectory, plane, metrics="error")


@pytest.mark.slow
def test_the_sheet_of_a_run_has_a_pane_for_each() -> None:
    recorder, _ = record(None, metrics=("error", SCORE))
    figure = la.plot(recorder.trajectory.dataset)
    try:
        labels = {axes.get_ylabel() for axes in figure.axes}
        assert {"score ↑ [fraction]", "error ↓ [fraction]"} <= labels
    finally:
        plt.close(figure)


def test_a_metric_that_drifts_is_refused_before_the_training() -> None:
    calls = iter(range(100))
    with pytest.raises(la.InputError, match="gives 0 and then 1"):
        record(None, metrics=la.Metric("calls", lambda model: next(calls), of="model"))
