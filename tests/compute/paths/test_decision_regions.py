"""Decision areas against the classifier itself, for every recorded step."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from lossatlas.compute.objective.objective import Objective
from lossatlas.compute.paths.decision_regions import decision_regions
from lossatlas.errors import InputError


def test_every_cell_is_what_the_model_says_there_at_that_step(training) -> None:
    recorder, model, _ = training.record(None, 6, every=3, objective=training.objective(training.model()))
    found = decision_regions(model, recorder.trajectory, ((-2, 1), (0, 3)), (4, 7), data=(training.x, training.y), save=True)
    assert found.area_class.shape == (3, 4, 7) and found.step.values.tolist() == [0, 3, 6]
    model.eval()
    with torch.no_grad():
        for i, x in enumerate(found.area_x.values):
            for j, y in enumerate(found.area_y.values):
                assert int(found.area_class[-1, i, j]) == int(model(torch.tensor([[x, y]], dtype=torch.float32)).argmax())
    stored = recorder.trajectory.dataset
    np.testing.assert_array_equal(stored.area_class, found.area_class)
    np.testing.assert_array_equal(stored.data_class, training.y)
    assert decision_regions(model, bounds=((-2, 1), (0, 3)), resolution=(4, 7)).area_class.equals(
        found.area_class[-1:].assign_coords(step=[0])
    )


def test_maps_of_a_model_alone_have_nowhere_to_be_saved() -> None:
    with pytest.raises(InputError, match="trajectory="):
        decision_regions(torch.nn.Linear(2, 3), save=True)


def test_the_model_is_left_as_it_was(training) -> None:
    model = training.model().train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    decision_regions(model, resolution=3)
    assert model.training and all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_undefined_outputs_are_no_class() -> None:
    model = torch.nn.Linear(2, 3)
    torch.nn.init.constant_(model.bias, float("nan"))
    assert (decision_regions(model, resolution=3).area_class == -1).all()


def test_models_of_other_data_are_refused() -> None:
    with pytest.raises(InputError, match=r"inputs of shape \(samples, 2\)"):
        decision_regions(torch.nn.Linear(3, 2), resolution=3)
    with pytest.raises(InputError, match="Draw the metric's curves"):
        decision_regions(torch.nn.Linear(2, 1), resolution=3)
    callable_objective = Objective(lambda p, batch: F.relu(p["w"]).sum(), params={"w": torch.ones(2)})
    with pytest.raises(InputError, match="callable"):
        decision_regions(callable_objective)


def test_what_does_not_go_together_is_named(training) -> None:
    recorder, model, _ = training.record(None, 2, every=1)
    with pytest.raises(InputError, match="model and trajectory"):
        decision_regions(torch.nn.Linear(2, 3), recorder.trajectory, resolution=3)
    with pytest.raises(InputError, match=r"model: got cross_entropy.*nn\.Module"):
        decision_regions(F.cross_entropy, resolution=3)  # pyright: ignore[reportArgumentType]
    with pytest.raises(InputError, match=r"trajectory: got Recorder.*recorder\.trajectory"):
        decision_regions(model, recorder, resolution=3)  # pyright: ignore[reportArgumentType]
    wrong = [
        (training.x, r"data: got Tensor.*data=\(x, y\)"),
        ((training.x, training.y[:-1]), "as many classes"),
        ((torch.ones(4, 3), torch.zeros(4)), r"points \(4, 3\)"),
    ]
    for data, words in wrong:
        with pytest.raises(InputError, match=words):
            decision_regions(model, resolution=3, data=data)
    arrays = decision_regions(model, resolution=3, data=(training.x.numpy(), training.y.numpy()))
    np.testing.assert_array_equal(arrays.data_x, training.x[:, 0])


def test_a_partial_recording_takes_the_rest_from_the_model(training) -> None:
    recorder, model, _ = training.record(None, 2, every=1, params="3")
    found = decision_regions(model, recorder.trajectory, resolution=4)
    assert found.area_class[-1:].equals(decision_regions(model, resolution=4).area_class.assign_coords(step=[2]))
