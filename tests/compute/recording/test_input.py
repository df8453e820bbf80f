"""What a recorder is given is parsed once, at the edge, and refused in words."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lossatlas.compute.recording.recorder import Recorder
from lossatlas.errors import InputError


def test_bad_words_to_a_recorder_are_refused(training) -> None:
    model = training.model()
    for options, words in (
        ({"every": "10"}, "every: got 10; expected a positive number of steps"),
        ({"every": 2.5}, "every: got 2.5"),
        ({"every": float("nan")}, "every: got nan"),
        ({"every": True}, "every: got True"),
        ({"every_epochs": float("nan"), "steps_per_epoch": 4}, "every_epochs: got nan"),
        ({"every_epochs": "1", "steps_per_epoch": 4}, "every_epochs: got 1"),
        ({"at": 3}, r"at: got 3; expected a list of steps. Pass at=\[3\]"),
        ({"at": [-2]}, "at: got -2; expected steps from 0 on"),
        ({"at": [1.5]}, "at: got 1.5"),
        ({"steps_per_epoch": 2.5}, "steps_per_epoch: got 2.5"),
        ({"flush_seconds": -1}, "flush_seconds: got -1"),
        ({"flush_seconds": float("nan")}, "flush_seconds: got nan"),
    ):
        with pytest.raises(InputError, match=words):
            Recorder(None, model, **options)
    for wrong, words in ((dict(model.state_dict()), "model: got dict; expected an nn.Module"), (torch.nn.Tanh(), "at least one parameter")):
        with pytest.raises(InputError, match=words):
            Recorder(None, wrong)
    with pytest.raises(InputError, match="optimizer: got adam"):
        Recorder(None, model, "adam")  # type: ignore[arg-type]
    assert Recorder(None, model, every=np.int64(3)).trajectory.steps.tolist() == [0]


@pytest.mark.parametrize("loss", [torch.ones(3), "low", object()])
def test_a_loss_that_is_no_number_is_refused_and_costs_no_row(training, loss) -> None:
    recorder = Recorder(None, training.model(), every=1)
    with pytest.raises(InputError, match=r"loss: got .*one number"):
        recorder.step(loss=loss)
    recorder.step(loss=0.5)
    assert recorder.trajectory.steps.tolist() == [0, 2]
