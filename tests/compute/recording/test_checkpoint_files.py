"""Checkpoints in a folder: their order, their formats, and that nothing in them runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from lossatlas.compute.params.params import params_of
from lossatlas.compute.recording.storage.checkpoint_files import checkpoint_files
from lossatlas.compute.recording.trajectory import Trajectory
from lossatlas.errors import InputError, InputTypeError


def network(seed: int) -> torch.nn.Module:
    torch.manual_seed(seed)
    return torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4), torch.nn.Linear(4, 2))


@pytest.mark.parametrize(
    ("names", "ordered", "steps"),
    [
        (("s_10.pt", "s_9.pt", "s_100.pt"), ("s_9.pt", "s_10.pt", "s_100.pt"), [9, 10, 100]),
        (("epoch=1-step=20.ckpt", "epoch=0-step=10.ckpt"), ("epoch=0-step=10.ckpt", "epoch=1-step=20.ckpt"), [10, 20]),
        (("resnet18_e2_loss0.52.pt", "resnet18_e1_loss0.61.pt"), ("resnet18_e1_loss0.61.pt", "resnet18_e2_loss0.52.pt"), [1, 2]),
        (("b.pt", "a.pt"), ("a.pt", "b.pt"), None),
        (("x1a.pt", "x1b.pt"), ("x1a.pt", "x1b.pt"), None),
    ],
)
def test_files_come_in_the_order_of_training(tmp_path: Path, names: Any, ordered: Any, steps: Any) -> None:
    for name in names:
        (tmp_path / name).touch()
    for source in (str(tmp_path / "*"), tmp_path):
        paths, known = checkpoint_files(source)
        assert tuple(path.name for path in paths) == ordered and known == steps


def test_a_list_keeps_its_order_and_takes_steps_that_increase(tmp_path: Path) -> None:
    assert checkpoint_files(["init.pt", "step5.pt"]) == ([Path("init.pt"), Path("step5.pt")], None)
    assert checkpoint_files(["step2.pt", "step5.pt"])[1] == [2, 5] and checkpoint_files(["step5.pt", "step2.pt"])[1] is None


SAVERS: dict[str, Any] = {
    "s{}.pt": lambda model, path: torch.save(model.state_dict(), path),
    "step={}.ckpt": lambda model, path: torch.save(
        {"epoch": 1, "state_dict": {f"backbone.{n}": t for n, t in model.state_dict().items()}}, path
    ),
    "wrapped-{}.pth": lambda model, path: torch.save({"model": {f"module.{n}": t for n, t in model.state_dict().items()}}, path),
    "s{}.safetensors": lambda model, path: save_file(model.state_dict(), path),
    "checkpoint-{}": lambda model, path: (path.mkdir(), save_file(model.state_dict(), path / "model.safetensors")),
}


@pytest.mark.parametrize("form", SAVERS)
def test_every_format_gives_the_weights_and_statistics_that_were_saved(tmp_path: Path, form: str) -> None:
    models = {step: network(step) for step in (2, 10, 5)}
    for step, model in models.items():
        SAVERS[form](model, tmp_path / form.format(step))
    run = Trajectory.from_checkpoints(str(tmp_path / "*"), module=network(0))
    assert run.steps.tolist() == [2, 5, 10] and set(run.layout.names) == set(params_of(models[2]))
    for row, step in enumerate((2, 5, 10)):
        assert all(torch.equal(run.state(row)[name], value) for name, value in models[step].state_dict().items())


def test_shards_of_save_pretrained_are_joined(tmp_path: Path) -> None:
    state = network(0).state_dict()
    half = len(state) // 2
    for part, names in enumerate((list(state)[:half], list(state)[half:])):
        save_file({name: state[name] for name in names}, tmp_path / f"model-{part}.safetensors")
    files = {name: f"model-{int(k >= half)}.safetensors" for k, name in enumerate(state)}
    (tmp_path / "model.safetensors.index.json").write_text(str({"weight_map": files}).replace("'", '"'))
    run = Trajectory.from_checkpoints([tmp_path, tmp_path], module=network(1))
    assert all(torch.equal(run.state(0)[name], value) for name, value in state.items())
    (tmp_path / "model.safetensors.index.json").write_text('{"weight_map": {"a": "../secret.safetensors"}}')
    with pytest.raises(InputError, match="shards outside their folder"):
        Trajectory.from_checkpoints([tmp_path])


def test_an_adapter_holds_its_own_weights_alone(tmp_path: Path) -> None:
    class Adapted(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.base = torch.nn.Linear(2, 2)
            self.lora_A = torch.nn.ModuleDict({"default": torch.nn.Linear(2, 1, bias=False)})

    for step in (1, 2):
        (tmp_path / f"checkpoint-{step}").mkdir()
        save_file({"lora_A.weight": torch.full((1, 2), float(step))}, tmp_path / f"checkpoint-{step}" / "adapter_model.safetensors")
    model = Adapted()
    run = Trajectory.from_checkpoints(tmp_path, module=model)
    assert torch.equal(run.params(0)["base.weight"], model.base.weight), "those that the adapter leaves alone are the model's"
    assert run.layout.names == ("lora_A.default.weight",) and run.params(1)["lora_A.default.weight"].tolist() == [[2.0, 2.0]]


class Hostile:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.target,)


def test_nothing_in_a_checkpoint_runs(tmp_path: Path) -> None:
    torch.save({"state_dict": network(0).state_dict(), "extra": Hostile(tmp_path / "harm")}, tmp_path / "s1.pt")
    with pytest.raises(InputError, match="Python objects"):
        Trajectory.from_checkpoints(str(tmp_path / "*.pt"))
    assert not (tmp_path / "harm").exists()


def test_what_is_no_checkpoint_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"There is no folder"):
        Trajectory.from_checkpoints(str(tmp_path / "no" / "*.pt"))
    for name in ("epoch1.pt", "epoch2.pt", "last.pt"):
        torch.save(network(0).state_dict(), tmp_path / name)
    with pytest.raises(InputError, match=r"Did you mean epoch1\.pt\?"):
        Trajectory.from_checkpoints(str(tmp_path / "epoch1.pth"))
    with pytest.raises(InputError, match=r"last\.pt among them; expected names that all carry their step, as epoch1\.pt does"):
        Trajectory.from_checkpoints(str(tmp_path / "*.pt"))
    with pytest.raises(InputError, match=r"a checkpoint without weight.*epoch1\.pt.*holds 0\.weight"):
        Trajectory.from_checkpoints(str(tmp_path / "epoch*.pt"), module=torch.nn.Linear(3, 4))
    with pytest.raises(InputTypeError, match="several checkpoints"):
        Trajectory.from_checkpoints(network(0))  # type: ignore[arg-type]
