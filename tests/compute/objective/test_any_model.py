"""Any PyTorch model: the surface equals loading every point's weights into the model and running it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import lossatlas as la
from cases import CASES, F64, case
from oracles import by_loading

X, Y = torch.randn(12, 5, dtype=F64, generator=torch.Generator().manual_seed(0)), torch.arange(12) % 3


def check(model: nn.Module, objective: la.Objective, plane: la.Plane, run: Callable[[nn.Module], Tensor], rel: float = 1e-12) -> None:
    surface = la.evaluate(objective, plane, resolution=(3, 4))
    points = [(a, b) for a in surface.alpha.values for b in surface.beta.values]
    assert surface.loss.values.ravel() == pytest.approx(by_loading(model, plane, run, points), rel=rel)


class Counting(nn.Module):
    """Writes into a buffer at every call, and into its input."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(5, 3)
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        x.mul_(0.5)
        self.calls += 1
        return self.layer(x) * self.calls


def test_a_model_that_writes_into_buffers_and_inputs_sees_the_same_ones_at_every_point() -> None:
    torch.manual_seed(0)
    model, x = Counting().to(F64), X.clone()
    objective = la.Objective(model, F.cross_entropy, (x, Y))
    assert torch.equal(x, X) and model.calls == 0
    expected = float(F.cross_entropy(model.layer(X * 0.5), Y).detach())
    surface = la.evaluate(objective, la.random_plane(objective), resolution=5, engine=la.Engine(evaluator="loop"))
    assert float(surface.loss[2, 2]) == pytest.approx(expected, rel=1e-13)
    check_again = la.evaluate(objective, la.random_plane(objective), resolution=5, engine=la.Engine(evaluator="loop"))
    np.testing.assert_array_equal(surface.loss, check_again.loss)
    assert torch.equal(x, X) and model.calls == 0


def test_frozen_parameters_move_and_stay_frozen() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 3)).to(F64)
    model[0].requires_grad_(False)
    objective = la.Objective(model, F.cross_entropy, (X, Y))
    check(model, objective, la.random_plane(objective, seed=1), lambda m: F.cross_entropy(m(X), Y))
    assert [p.requires_grad for p in model.parameters()] == [False, False, True, True]


class Mixed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.third = nn.Linear(5, 4), nn.Linear(4, 4).to(torch.bfloat16), nn.Linear(4, 3).to(F64)

    def forward(self, x: Tensor) -> Tensor:
        return self.third(self.second(self.first(x.float()).bfloat16()).double())


def test_parameters_of_several_dtypes() -> None:
    torch.manual_seed(0)
    model = Mixed()
    objective = la.Objective(model, F.cross_entropy, (X, Y))
    check(model, objective, la.random_plane(objective, seed=1), lambda m: F.cross_entropy(m(X), Y), rel=1e-9)
    assert {p.dtype for p in objective.params.values()} == {torch.float32, torch.bfloat16, F64}


@pytest.mark.filterwarnings("ignore")  # TorchScript is deprecated; users still have such models
def test_torchscript() -> None:
    torch.manual_seed(0)
    model = torch.jit.script(nn.Sequential(nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 3)).to(F64))
    objective = la.Objective(model, F.cross_entropy, (X, Y))
    plane = la.random_plane(objective, seed=1)
    check(model, objective, plane, lambda m: F.cross_entropy(m(X), Y))
    many = la.evaluate(objective, plane, resolution=(3, 4), engine=la.Engine(executor="threads", workers=3, tile=1))
    np.testing.assert_array_equal(many.loss, la.evaluate(objective, plane, resolution=(3, 4)).loss)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # importing the compiler warns of its own deprecations
def test_a_compiled_module_is_the_module_inside() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 3)).to(F64)
    objective = la.Objective(torch.compile(model), F.cross_entropy, (X, Y))
    assert list(objective.params) == [name for name, _ in model.named_parameters()]
    assert objective.loss() == la.Objective(model, F.cross_entropy, (X, Y)).loss()


class OwnLoss(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(5, 3)

    def forward(self, x: Tensor, y: Tensor) -> dict[str, Tensor]:
        logits = self.layer(x)
        return {"loss": F.cross_entropy(logits, y), "logits": logits}


def test_a_model_that_returns_its_own_loss() -> None:
    torch.manual_seed(0)
    model = OwnLoss().to(F64)
    objective = la.Objective(model, None, (X, Y), batch_size=5)
    check(model, objective, la.random_plane(objective, seed=1), lambda m: m(X, Y)["loss"])


class Field(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(1, 8), nn.Tanh(), nn.Linear(8, 1))

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)


def oscillator(model: nn.Module, x: Tensor) -> Tensor:
    """Residual of u'' = -u, by differentiating the network in its input."""
    x = x.clone().requires_grad_()
    u = model(x)
    (first,) = torch.autograd.grad(u.sum(), x, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), x, create_graph=True)
    return (second + u).square().squeeze(1)


class Physics(nn.Module):
    """A model whose output is its own residual, sample by sample; there are no labels."""

    def __init__(self) -> None:
        super().__init__()
        self.field = Field()

    def forward(self, x: Tensor) -> Tensor:
        return oscillator(self.field, x)


def test_a_physics_informed_loss_without_labels() -> None:
    torch.manual_seed(0)
    model, x = Physics().to(F64), torch.linspace(0, 3, 15, dtype=F64)[:, None]
    objective = la.Objective(model, None, x, batch_size=6)
    assert objective.per_sample
    check(model, objective, la.random_plane(objective, seed=1), lambda m: torch.enable_grad()(m)(x).mean())
    several = la.evaluate(
        objective, la.random_plane(objective, seed=1), resolution=(3, 4), engine=la.Engine(executor="threads", workers=2, tile=2)
    )
    assert np.isfinite(several.loss).all()


@pytest.mark.parametrize("name", CASES)
def test_planes_of_named_parameters_move_nothing_else(name: str) -> None:
    objective = case(name)
    chosen = next(iter(objective.params))
    plane = la.random_plane(objective, seed=1, params=chosen, biases=True)
    assert plane.moving_names == (chosen,)
    surface = la.evaluate(objective, plane, resolution=(3, 4))
    alpha, beta = float(surface.alpha[2]), float(surface.beta[1])
    moved = objective.params[chosen] + alpha * plane.directions[0].params[chosen] + beta * plane.directions[1].params[chosen]
    assert float(surface.loss[2, 1]) == pytest.approx(objective.loss({chosen: moved}), rel=1e-10)


def test_a_glob_names_a_module() -> None:
    objective = case("conv-batchnorm")
    assert la.random_plane(objective, params="5.*").moving_names == ("5.weight",)
    assert la.random_plane(objective, params="5", biases=True).moving_names == ("5.weight", "5.bias")


# -- Hugging Face, whose models compute the loss in float32 whatever their weights are ----------------


def language_model() -> Any:
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = transformers.GPT2Config(vocab_size=31, n_positions=12, n_embd=16, n_layer=2, n_head=2, bos_token_id=0, eos_token_id=0)
    return transformers.GPT2LMHeadModel(config).double().eval()


def sentences() -> dict[str, Tensor]:
    """Padded to the right: nothing is asked of the padding (label -100)."""
    generator = torch.Generator().manual_seed(1)
    tokens = torch.randint(1, 31, (7, 12), generator=generator)
    mask = (torch.arange(12)[None] < torch.tensor([12, 9, 5, 12, 4, 7, 11])[:, None]).long()
    return {"input_ids": tokens, "attention_mask": mask, "labels": torch.where(mask.bool(), tokens, -100)}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # transformers warns of its own deprecations
def test_a_language_model_with_masked_labels_in_uneven_batches() -> None:
    model, batch = language_model(), sentences()
    objective = la.Objective(model, None, batch, batch_size=3)
    assert objective.loss() == pytest.approx(float(model(**batch).loss), rel=1e-6), "mean over all tokens, not over batches"
    plane = la.random_plane(objective, seed=1, params="transformer.h.*")
    check(model, objective, plane, lambda m: m(**batch).loss, rel=1e-6)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_tied_embeddings_move_once() -> None:
    model = language_model()
    objective = la.Objective(model, None, sentences())
    assert "lm_head.weight" not in objective.params
    check(model, objective, la.random_plane(objective, seed=1), lambda m: m(**sentences()).loss, rel=1e-6)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_lora_over_adapters_and_over_merged_deltas() -> None:
    peft = pytest.importorskip("peft")
    base, batch = language_model(), sentences()
    adapted = peft.get_peft_model(copy.deepcopy(base), peft.LoraConfig(r=2, target_modules=["c_attn"], fan_in_fan_out=True)).double().eval()
    with torch.no_grad():
        for name, parameter in adapted.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=0.3)
    objective = la.Objective(adapted, None, batch, batch_size=3)
    plane = la.random_plane(objective, seed=1, params="*lora_*")
    assert all("lora_" in name for name in plane.moving_names) and len(plane.moving_names) == 4
    check(adapted, objective, plane, lambda m: m(**batch).loss, rel=1e-6)

    merged = copy.deepcopy(adapted).merge_and_unload()
    line = la.plane_through(base, merged)
    assert set(line.moving_names) == {"transformer.h.0.attn.c_attn.weight", "transformer.h.1.attn.c_attn.weight"}
    deltas = la.evaluate(la.Objective(base, None, batch, batch_size=3), line, bounds=(0, 1), resolution=3)
    assert float(deltas.loss[0]) == pytest.approx(float(base(**batch).loss), rel=1e-6)
    assert float(deltas.loss[-1]) == pytest.approx(float(adapted(**batch).loss), rel=1e-6)
