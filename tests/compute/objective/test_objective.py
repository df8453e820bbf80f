"""Objectives: the same data at every point, per-sample losses, and refusals that help."""

from __future__ import annotations

import copy
import functools
import pickle
import warnings
from collections import UserDict
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset, TensorDataset

import lossatlas as la
from oracles import by_loading, classifier


class Augmenting(Dataset):
    """Gives another picture each time it is asked."""

    def __init__(self, x: torch.Tensor, y: torch.Tensor) -> None:
        self.x, self.y = x, y

    def __len__(self) -> int:
        return len(self.y)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        return self.x[index] + torch.randn(5, dtype=self.x.dtype), self.y[index]


def test_tensors_arrays_datasets_and_loaders_agree() -> None:
    model, x, y = classifier()
    expected = F.cross_entropy(model(x), y).item()
    dataset = TensorDataset(x, y)
    for data in ((x, y), (x.numpy(), y.numpy()), [x, y], dataset, DataLoader(dataset, 7), iter([(x[:20], y[:20]), (x[20:], y[20:])])):
        objective = la.Objective(model, F.cross_entropy, data)
        assert objective.samples == 60
        assert objective.loss() == pytest.approx(expected, rel=1e-12)


def test_a_shuffling_loader_is_frozen_and_says_so() -> None:
    model, x, y = classifier()
    with pytest.warns(UserWarning, match="shuffles.*frozen"):
        objective = la.Objective(model, F.cross_entropy, DataLoader(TensorDataset(x, y), 16, shuffle=True))
    assert objective.loss() == objective.loss() == pytest.approx(F.cross_entropy(model(x), y).item(), rel=1e-12)
    assert "shuffles" in objective.description["note"]


def test_an_augmenting_dataset_is_frozen_and_says_so() -> None:
    model, x, y = classifier()
    for data in (Augmenting(x, y), DataLoader(Augmenting(x, y), 8)):
        with pytest.warns(UserWarning, match="augments"):
            objective = la.Objective(model, F.cross_entropy, data)
        assert objective.loss() == objective.loss()


@pytest.mark.parametrize("loss", [F.cross_entropy, nn.CrossEntropyLoss(), nn.MultiMarginLoss(), F.multi_margin_loss])
def test_per_sample_losses_are_found(loss) -> None:
    model, x, y = classifier()
    objective = la.Objective(model, loss, (x, y), batch_size=9)
    assert objective.per_sample
    assert objective.loss() == pytest.approx(loss(model(x), y).item(), rel=1e-12)


def test_weighted_loss_keeps_its_own_mean() -> None:
    model, x, y = classifier()
    loss = nn.CrossEntropyLoss(weight=torch.tensor([1.0, 5.0, 0.2], dtype=torch.float64))
    objective = la.Objective(model, loss, (x, y), batch_size=len(y))
    assert not objective.per_sample
    assert objective.loss() == pytest.approx(loss(model(x), y).item(), rel=1e-12)


def test_regression_averages_over_outputs_too() -> None:
    layer, x, y = nn.Linear(4, 3).double(), torch.randn(20, 4).double(), torch.randn(20, 3).double()
    objective = la.Objective(layer, F.mse_loss, (x, y), batch_size=6)
    assert objective.per_sample
    assert objective.loss() == pytest.approx(F.mse_loss(layer(x), y).item(), rel=1e-12)


def test_a_model_may_return_its_own_loss_from_dict_batches() -> None:
    class Own(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(4, 2)

        def forward(self, x: torch.Tensor, labels: torch.Tensor) -> dict[str, torch.Tensor]:
            logits = self.layer(x)
            return {"loss": F.cross_entropy(logits, labels), "logits": logits}

    model, x, y = Own(), torch.randn(10, 4), torch.randint(0, 2, (10,))
    objective = la.Objective(model, None, {"x": x, "labels": y}, batch_size=10)
    assert objective.loss() == pytest.approx(F.cross_entropy(model.layer(x), y).item(), rel=1e-6)


def test_later_training_does_not_move_the_objective() -> None:
    model, x, y = classifier()
    objective = la.Objective(model, F.cross_entropy, (x, y))
    before = objective.loss()
    with torch.no_grad():
        model[0].weight.add_(1.0)
    assert objective.loss() == before


def test_float64_on_request_and_first_samples_only() -> None:
    model, x, y = classifier(dtype=torch.float32)
    objective = la.Objective(model, F.cross_entropy, (x, y), dtype=torch.float64, samples=17)
    assert objective.description["dtype"] == "float64"
    assert objective.samples == 17
    assert objective.loss() == pytest.approx(F.cross_entropy(model.double()(x[:17].double()), y[:17]).item(), rel=1e-12)


def test_the_gradient_along_the_plane_is_a_finite_difference() -> None:
    model, x, y = classifier()
    objective = la.Objective(model, F.cross_entropy, (x, y), batch_size=11)
    plane = la.random_plane(objective, seed=0)
    path = la.optimize_on_plane(objective, plane, (0.1, -0.2), learning_rate=1.0, steps=1)
    h = 1e-4
    for axis, coordinates in enumerate((path.path_alpha.values, path.path_beta.values)):
        shift = np.eye(2)[axis] * h
        high, low = (objective.loss(plane.point(*(np.array([0.1, -0.2]) + s * shift))) for s in (1, -1))
        assert coordinates[0] - coordinates[1] == pytest.approx((high - low) / (2 * h), rel=1e-6)


class Telling(nn.Linear):
    """Returns words instead of a loss."""

    def __init__(self) -> None:
        super().__init__(2, 2)

    def forward(self, x: torch.Tensor) -> dict[str, str]:
        return {"words": "no loss here"}


def bad_model() -> nn.Module:
    model, *_ = classifier()
    with torch.no_grad():
        model[2].weight[0, 0] = float("nan")
    return model


MODEL, X, Y = classifier()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: la.Objective(MODEL, F.cross_entropy, (X[:0], Y[:0])), "no samples"),
        (lambda: la.Objective(MODEL, F.cross_entropy, TensorDataset(X[:0], Y[:0])), "no samples"),
        (lambda: la.Objective(MODEL, F.cross_entropy, (X, Y[:5])), "same number of samples"),
        (lambda: la.Objective(MODEL, F.cross_entropy, (X[:, :3], Y)), "runs on a batch of shapes"),
        (lambda: la.Objective(MODEL, lambda o, t: torch.zeros(3), (X, Y)), "loss"),
        (lambda: la.Objective(MODEL, nn.CrossEntropyLoss(reduction="sum"), (X, Y)), "reduction"),
        (lambda: la.Objective(bad_model(), F.cross_entropy, (X, Y)), "NaN or infinite weights in 2.weight"),
        (lambda: la.Objective(MODEL, F.cross_entropy, (X, Y), batch_size=0), "batch_size"),
        (lambda: la.Objective(MODEL, F.cross_entropy, (X, Y), samples=0), "samples"),
        (lambda: la.Objective(MODEL, F.cross_entropy, (X, Y), mode="sleep"), "mode"),
        (lambda: la.Objective(lambda p, b: 0.0, data=X), "params="),
        (lambda: la.Objective(nn.ReLU(), F.cross_entropy, (X, Y)), "at least one parameter"),
        (lambda: la.Objective(MODEL, F.cross_entropy, (X, Y), params={"bogus": X}), "names of the model"),
        (lambda: la.Objective(MODEL, None, X), "a scalar or one loss a sample"),
        (lambda: la.Objective(Telling(), None, X), "a loss function"),
    ],
)
def test_what_cannot_work_is_said_before_the_run(make, words: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(la.InputError, match=words):
            make()


@pytest.mark.parametrize("labels", [[0, 1, 3, 0, 1], [0, 1, 2, 0, -1]])
@pytest.mark.parametrize("loss", [F.cross_entropy, torch.nn.CrossEntropyLoss(), functools.partial(F.cross_entropy, label_smoothing=0.1)])
@pytest.mark.parametrize("batch_size", [2, 5])
def test_labels_beyond_the_models_outputs_are_named_in_any_batch(labels: list[int], loss: Any, batch_size: int) -> None:
    data = (torch.randn(5, 4), torch.tensor(labels))
    with pytest.raises(la.InputError, match=r"data: got label (3|-1) in batch .* labels from 0 to 2, for the model has 3 outputs"):
        la.Objective(torch.nn.Linear(4, 3), loss, data, batch_size=batch_size)


def test_ignored_labels_and_losses_that_count_no_classes_pass() -> None:
    x, y = torch.randn(5, 4), torch.tensor([0, -100, 2, 1, 1])
    assert la.Objective(torch.nn.Linear(4, 3), F.cross_entropy, (x, y), batch_size=2).samples == 5
    own = lambda output, target: (output.sum(1) - target).square().mean()  # noqa: E731
    assert la.Objective(torch.nn.Linear(4, 3), own, (x, y + 7), batch_size=2).samples == 5


class Sampling(nn.Module):
    """Random in eval mode too, as a variational autoencoder is."""

    def __init__(self, numpy: bool = False) -> None:
        super().__init__()
        self.layer, self.numpy = nn.Linear(5, 3).double(), numpy

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        noise = torch.from_numpy(np.random.randn(len(x), 3)) if self.numpy else torch.randn(len(x), 3, dtype=x.dtype)  # noqa: NPY002
        return self.layer(x) + noise


def test_a_model_that_is_random_in_eval_mode_warns_and_sees_the_same_noise_everywhere() -> None:
    _, x, y = classifier()
    model, state = Sampling(), torch.get_rng_state()
    with pytest.warns(UserWarning, match="random in eval mode.*same noise"):
        objective = la.Objective(model, F.cross_entropy, (x, y))
    assert torch.equal(state, torch.get_rng_state())
    assert "random" in objective.description["note"]
    one, two = (la.evaluate(objective, la.random_plane(objective), resolution=3) for _ in range(2))
    np.testing.assert_array_equal(one.loss, two.loss)
    assert float(one.loss[1, 1]) == objective.loss()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        expected = float(F.cross_entropy(model(x), y).detach())
    assert objective.loss() == pytest.approx(expected, rel=1e-12)
    torch.manual_seed(3)
    state = torch.get_rng_state()
    la.evaluate(objective, la.random_plane(objective), resolution=3)
    assert torch.equal(state, torch.get_rng_state())
    with pytest.warns(UserWarning, match="elsewhere than torch"):
        la.Objective(Sampling(numpy=True), F.cross_entropy, (x, y))
    with pytest.warns(UserWarning) as found:
        la.Objective(Sampling(), lambda o, t: F.cross_entropy(o, t), (x, y), batch_size=7)
    assert len(found) == 1


def test_reading_data_leaves_the_callers_random_numbers_alone() -> None:
    model, x, y = classifier()
    state, dataset = torch.get_rng_state(), TensorDataset(x, y)
    for data in (dataset, DataLoader(dataset, 7)):
        la.Objective(model, F.cross_entropy, data)
        assert torch.equal(state, torch.get_rng_state())


def test_a_generator_that_fills_one_buffer_again_gives_every_batch() -> None:
    model, x, y = classifier()

    def batches() -> Any:
        inputs, targets = torch.empty_like(x[:10]), torch.empty_like(y[:10])
        for start in range(0, 60, 10):
            yield inputs.copy_(x[start : start + 10]), targets.copy_(y[start : start + 10])

    assert la.Objective(model, F.cross_entropy, batches()).loss() == pytest.approx(F.cross_entropy(model(x), y).item(), rel=1e-12)


def test_a_pickled_objective_carries_its_data_once() -> None:
    x = torch.randn(4000, 5, dtype=torch.float64)
    data = la.Objective(lambda p, b: ((b - p["w"]) ** 2).mean(1), data=x, params={"w": torch.zeros(5)}, batch_size=50).data
    packed = pickle.dumps(data)
    assert len(packed) < 1.5 * x.nbytes
    assert all(torch.equal(a, b) for a, b in zip(pickle.loads(packed).batches, data.batches, strict=True))


def test_a_list_of_batches_is_read_as_batches() -> None:
    model, x, y = classifier()
    expected = F.cross_entropy(model(x), y).item()
    for parts in ([25, 25, 10], [30, 30]):
        batches = list(zip(x.split(parts), y.split(parts), strict=True))
        for data in (batches, [list(b) for b in batches]):
            objective = la.Objective(model, F.cross_entropy, data)
            assert objective.loss() == pytest.approx(expected, rel=1e-12)
            assert objective.samples == 60
    with pytest.raises(la.InputError, match="DataLoader"):
        la.Objective(model, F.cross_entropy, list(zip(x, y, strict=True)))


def test_a_tokenizers_batch_is_a_dict() -> None:
    class Named(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(5, 3).double()

        def forward(self, x: torch.Tensor, labels: torch.Tensor) -> dict[str, torch.Tensor]:
            return {"loss": F.cross_entropy(self.layer(x), labels)}

    _, x, y = classifier()
    model = Named()
    expected = F.cross_entropy(model.layer(x), y).item()
    for data in (UserDict(x=x, labels=y), [UserDict(x=x, labels=y)]):
        assert la.Objective(model, None, data).loss() == pytest.approx(expected, rel=1e-12)


def test_models_without_weights_and_data_that_are_none_are_refused() -> None:
    model, x, y = classifier()
    for make, words in (
        (lambda: la.Objective(nn.Linear(5, 3, device="meta"), F.cross_entropy, (x, y)), "meta device"),
        (lambda: la.Objective(nn.LazyLinear(3), F.cross_entropy, (x, y)), "Run it once"),
        (lambda: la.Objective(model, (x, y), F.cross_entropy), "order"),
        (lambda: la.Objective(model, F.cross_entropy, F.mse_loss), "order"),
        (lambda: la.Objective(model, F.cross_entropy, [(x, "name", y)]), "Leave text"),
    ):
        with pytest.raises(la.InputError, match=words):
            make()


@pytest.mark.filterwarnings("ignore::FutureWarning")  # weight_norm of the old kind
@pytest.mark.parametrize("norm", [nn.utils.spectral_norm, nn.utils.weight_norm])
def test_old_spectral_and_weight_norm_are_copied_and_move(norm: Any) -> None:
    _, x, y = classifier()
    torch.manual_seed(0)
    model = nn.Sequential(norm(nn.Linear(5, 4)), nn.Tanh(), nn.Linear(4, 3)).double()
    model(x)
    model.eval()
    objective = la.Objective(model, F.cross_entropy, (x, y))
    plane = la.random_plane(objective, seed=1)
    surface = la.evaluate(objective, plane, resolution=(2, 3))
    assert objective.loss() == pytest.approx(F.cross_entropy(model(x), y).item(), rel=1e-12)
    other = copy.deepcopy(objective.module)
    points = [(a, b) for a in surface.alpha.values for b in surface.beta.values]
    expected = by_loading(other, plane, lambda m: F.cross_entropy(m(x), y), points)
    assert surface.loss.values.ravel() == pytest.approx(expected, rel=1e-12)


def test_each_pattern_must_match_some_weight() -> None:
    with pytest.raises(la.InputError, match="typo"):
        la.random_plane(classifier()[0], params=["0.*", "typo.*"])
