"""Training as in Li et al. 2018 (METHODS.md A.2), at full length or cut short, recorded where a path is wanted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file

from lossatlas.compute.progress import progress_bar
from lossatlas.compute.record.recorder import Recorder
from lossatlas.errors import InputError
from lossatlas.recipes.li2018.setting import NORMALIZATIONS, Setting
from lossatlas.zoo.augment import augment
from lossatlas.zoo.images import normalize

DROPS = (0.5, 0.75, 0.917)
"""Shares of the training after which the learning rate falls tenfold: epochs 150, 225 and 275 of 300."""


@dataclass(frozen=True)
class Plan:
    """Data, length and optimizer of one training."""

    samples: int
    epochs: int
    batch: int = 128
    learning_rate: float = 0.1
    weight_decay: float = 5e-4
    optimizer: str = "sgd"
    augmented: bool = True

    @classmethod
    def of(cls, setting: Setting) -> Plan:
        """The plan of the plane figures' networks."""
        size = setting.size
        return cls(size.train_samples, size.epochs, learning_rate=0.05 if setting.quick else 0.1)

    @property
    def steps_per_epoch(self) -> int:
        return -(-self.samples // self.batch)

    @property
    def drops(self) -> tuple[int, ...]:
        """Steps before which the learning rate falls."""
        return tuple(round(share * self.epochs) * self.steps_per_epoch for share in DROPS)

    def make(self, module: torch.nn.Module) -> torch.optim.Optimizer:
        if self.optimizer == "adam":
            return torch.optim.Adam(module.parameters(), lr=self.learning_rate, weight_decay=self.weight_decay)
        options = {"lr": self.learning_rate, "momentum": 0.9, "nesterov": True, "weight_decay": self.weight_decay}
        return torch.optim.SGD(module.parameters(), **options)

    def words(self) -> str:
        decay = f"weight decay {self.weight_decay:g}"
        return f"{self.optimizer.upper() if self.optimizer == 'sgd' else 'Adam'}, batch {self.batch:,}, {decay}"


def train(setting: Setting, name: str, module: torch.nn.Module, plan: Plan) -> torch.nn.Module:
    """Train `module` in place, or load what an earlier run of the same plan left in ``networks/``."""
    file = setting.out / "networks" / f"{name}_{plan.samples}x{plan.epochs}_seed{setting.seed}.safetensors"
    if file.is_file():
        module.load_state_dict(load_file(file))
        return module.eval()
    run_epochs(setting, module, plan, name)
    _save(module, file)
    return module.eval()


def run_epochs(setting: Setting, module: torch.nn.Module, plan: Plan, words: str, record: Callable[..., Recorder] | None = None) -> None:
    """All epochs: a seeded shuffle each, pictures augmented as the plan says, the learning rate dropped on the way."""
    images, labels = setting.raw("train", plan.samples)
    rng, targets = np.random.default_rng(setting.seed), torch.from_numpy(labels)
    optimizer = plan.make(module)
    recorder = None if record is None else record(module, optimizer)
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, [max(1, d) for d in plan.drops], 0.1)
    module.to(setting.device).train()
    with progress_bar(words, plan.epochs * plan.steps_per_epoch, 0, setting.progress) as advance:
        for _ in range(plan.epochs):
            for chosen in np.array_split(rng.permutation(plan.samples), plan.steps_per_epoch):
                raw = augment(images[chosen], rng) if plan.augmented else images[chosen]
                x = torch.from_numpy(normalize(raw, *NORMALIZATIONS["li"])).to(setting.device)
                loss = F.cross_entropy(module(x), targets[chosen].to(setting.device))
                _refuse_divergence(loss, words)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                if recorder is not None:
                    recorder.step(loss=loss)
                schedule.step()
                advance(1)
    if recorder is not None:
        recorder.close()


def _refuse_divergence(loss: torch.Tensor, words: str) -> None:
    if not bool(torch.isfinite(loss)):
        raise InputError(
            "training", f"a loss of {float(loss.detach())} while training {words}", "a loss that stays finite", "Try another seed"
        )


def _save(module: torch.nn.Module, file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_suffix(".part")
    save_file({n: t.contiguous().cpu() for n, t in module.state_dict().items()}, temporary)
    temporary.replace(file)
