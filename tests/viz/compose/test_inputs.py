"""Which surface a path lies on is decided once, for figures, animations and pages alike."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional as F

import lossatlas as la
from lossatlas.errors import InputError
from lossatlas.viz.compose.compose import compose
from lossatlas.viz.compose.inputs import read_surfaces, surfaces_under
from lossatlas.viz.compose.pages import combine


@pytest.fixture(scope="module")
def archive() -> la.Archive:
    """Planes A and B through one model, and a training projected on B without saying so; no test writes to it."""
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 2))
    x, y = torch.randn(20, 3), torch.randint(0, 2, (20,))
    store = la.open_archive(None, "a")
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    with la.Recorder(store, model, name="run", every=1) as recorder:
        for _ in range(6):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
            recorder.step()
    objective = la.Objective(model, F.cross_entropy, (x, y))
    planes = {"A": la.random_plane(objective, seed=0), "B": la.pca_plane(la.Trajectory.open(store, "run"))}
    for name, plane in planes.items():
        la.evaluate(objective, plane, resolution=(4, 3), archive=store, name=name)
    la.project_trajectory(la.Trajectory.open(store, "run"), planes["B"], objective, store)
    return store


def test_figures_and_pages_draw_a_path_on_its_own_plane_alone(archive: la.Archive) -> None:
    scene = compose(archive)
    assert {pane.surfaces: pane.paths for pane in scene.panes} == {("A",): (), ("B",): ("run",)}
    page = combine([archive])
    assert [(path.name, path.surface) for path in page.paths] == [("run", "B")]
    assert page.panes[0].surfaces == ("B",)


def test_a_path_asked_for_beside_another_plane_is_refused(archive: la.Archive) -> None:
    with pytest.raises(InputError, match="another plane"):
        compose(archive, surfaces="A", trajectories=["run"])
    with pytest.raises(InputError, match="another plane"):
        compose(archive.surface("A"), trajectories=[archive.trajectory("run")])
    assert compose(archive, surfaces="A").paths == ()
    assert combine([archive.surface("A"), archive.trajectory("run")]).paths == ()


def test_planes_of_equal_directions_about_other_models_are_two(archive: la.Archive) -> None:
    run, (_, below) = archive.trajectory("run"), read_surfaces([archive])
    assert [s.stored for s in surfaces_under(run, archive, [below])] == ["B"]
    moved = below.dataset.assign_attrs(plane={**below.dataset.attrs["plane"], "center_hash": "another"})
    assert not surfaces_under(run, moved, read_surfaces([moved]))


def test_one_path_runs_on_each_surface_of_its_plane_unless_it_names_one(archive: la.Archive) -> None:
    twice = archive.surface("B").assign_attrs(name="again")
    twice = twice.assign(loss=twice.loss * 2)
    scene = compose([archive, twice], surfaces=["B"])
    assert [path.name for path in scene.paths] == ["run"], "a stored path stays in its archive"
    run = archive.trajectory("run")
    scene = compose([archive.surface("B"), twice, run.drop_vars([name for name in run if "plane" in str(name)])])
    assert [path.name for path in scene.paths] == ["run", "run on again"]
    first, second = (path.plane_loss for path in scene.paths)
    assert first is not None and second is not None
    np.testing.assert_allclose(second, 2 * first)
