"""Trainings of a run: which networks its figures need, how each is trained, and how long that takes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from lossatlas.archive import open_archive
from lossatlas.errors import InputError
from lossatlas.recipes.common import print_line
from lossatlas.recipes.li2018.config import RunConfig
from lossatlas.recipes.li2018.published import published_file, surface_file
from lossatlas.zoo.checkpoints import load_checkpoint
from lossatlas.zoo.networks import network
from lossatlas.zoo.training import Training, train
from lossatlas.zoo.training.checkpoint import ADDED_SETTINGS
from lossatlas.zoo.training.loop import ARCHIVE, SUMMARY, WEIGHTS
from lossatlas.zoo.weight_archive import PUBLISHED_ARCHIVES, fetch_archive, unpack_trainings

DECAYS = (0.0, 5e-4)
NOT_OF_THE_RESULT = ("record_every", "precision", "channels_last", "test_samples")
"""Settings in which a finished training may differ from the one that is wanted: rounding, rows and measurement."""
MILLISECONDS = {
    "vgg9_quarter": 60,
    "vgg16": 1090,
    "resnet20": 175,
    "resnet20_noshort": 150,
    "wrn8_1": 75,
    "wrn8_1_noshort": 60,
    "wrn8_2": 155,
    "wrn8_2_noshort": 140,
}
"""Of an update with 128 pictures on one core, bfloat16 and channels last, torch 2.13: 4th-generation Xeon with AMX; fewer on newer ones."""
FLOAT32_FACTOR = 2.2
"""How much longer an update takes in float32 there (1.9 to 2.5 over the networks above)."""


@dataclass(frozen=True)
class PlannedTraining:
    """A training and the name of its folder."""

    key: str
    training: Training

    @property
    def core_minutes(self) -> float | None:
        """Minutes of one core, measured as `MILLISECONDS` says; None for a network that was not."""
        milliseconds = MILLISECONDS.get(self.training.network)
        if milliseconds is None:
            return None
        slower = 1.0 if self.training.precision == "bfloat16" else FLOAT32_FACTOR
        return self.training.epochs * (self.training.samples or 50_000) / 128 * milliseconds * slower / 60_000


def solution_training(setting: RunConfig, batch: int, decay: float, optimizer: Literal["sgd", "adam"] = "sgd") -> PlannedTraining:
    """VGG-9 with the paper's schedule, whose drops figure 9 shows."""
    size = setting.size
    rate = size.vgg_rate if optimizer == "sgd" else None
    training = Training(
        size.vgg,
        size.vgg_epochs,
        size.train_samples,
        size.test_samples,
        batch,
        rate,
        decay,
        optimizer,
        setting.seed,
        size.record_every,
        precision=setting.precision,
        channels_last=size.channels_last,
    )
    return PlannedTraining(f"{size.vgg}_{optimizer}_batch{batch}_decay{decay:g}".replace("0.0005", "5e-4"), training)


def network_training(setting: RunConfig, name: str) -> PlannedTraining:
    """A network of the other figures: the paper's schedule, or one cycle at a laptop's size."""
    size = setting.size
    options: dict[str, Any] = {"epochs": size.epochs, **size.trainings.get(name, {})}
    training = Training(
        name,
        samples=size.train_samples,
        test_samples=size.test_samples,
        seed=setting.seed,
        precision=setting.precision,
        channels_last=size.channels_last,
        **options,
    )
    return PlannedTraining(name, training)


def planned_trainings(setting: RunConfig, figures: Iterable[str]) -> tuple[PlannedTraining, ...]:
    """Trainings that the figures need, each network once, minima of small and large batches first."""
    plans: dict[str, PlannedTraining] = {}
    for figure in sorted(figures, key=tuple(NEEDS).index):
        plans |= {plan.key: plan for plan in NEEDS[figure](setting)}
    return tuple(plans.values())


def train_once(setting: RunConfig, plan: PlannedTraining, needs_path: bool = False) -> torch.nn.Module:
    """Train into ``trainings/KEY``, or go on with what an earlier run or an archive of weights left there.

    Args:
        needs_path: weights alone do not do, the recorded trajectory must be there too.

    Raises:
        InputError: the folder holds another training.
    """
    out = folder(setting, plan.key)
    if not is_done(setting, plan, needs_path):
        train(plan.training, out, setting.data, device=setting.device, progress=setting.progress)
    return load_checkpoint(out / WEIGHTS, network(plan.training.network, 0)).eval()


def train_all(setting: RunConfig, plans: Iterable[PlannedTraining]) -> None:
    """One network after the other; those that are done are left alone."""
    for plan in plans:
        if not is_done(setting, plan, needs_path=True):
            print_line(f"training {plan.key} …")
            train_once(setting, plan, needs_path=True)


def unpack_weights(setting: RunConfig, plans: Iterable[PlannedTraining], addresses: str | None) -> None:
    """Put trainings of archives of weights into this run's folder: those asked for, and published ones at a laptop's size.

    Args:
        addresses: paths or addresses with commas between.
    """
    published = PUBLISHED_ARCHIVES if setting.size.name == "laptop" else ()
    names = [plan.key for plan in plans]
    for address in (*(addresses.split(",") if addresses else ()), *published):
        unpacked = unpack_trainings(fetch_archive(address.strip()), setting.out / "trainings", names)
        print_line(f"trained weights from {address}: {', '.join(unpacked) or 'none of these networks'}")


def recorded_trainings(setting: RunConfig) -> list[PlannedTraining]:
    """Those of any figure that this run's folder holds with their paths; folders of other trainings are no concern here."""
    recorded = []
    for plan in planned_trainings(setting, NEEDS):
        with suppress(InputError):
            recorded += [plan] if is_done(setting, plan, needs_path=True) else []
    return recorded


def is_done(setting: RunConfig, plan: PlannedTraining, needs_path: bool = False) -> bool:
    """Whether the folder holds what the training would leave.

    Raises:
        InputError: it holds another training.
    """
    out = folder(setting, plan.key)
    if not ((out / WEIGHTS).is_file() and (out / SUMMARY).is_file()):
        return False
    stored = {**ADDED_SETTINGS, **json.loads((out / SUMMARY).read_text(encoding="utf-8"))}
    wanted = {name: value for name, value in plan.training.as_dict().items() if name not in NOT_OF_THE_RESULT}
    if other := [f"{name} {stored.get(name)} instead of {value}" for name, value in wanted.items() if stored.get(name) != value]:
        raise InputError("out", f"{out} with another training ({', '.join(other)})", "a new folder, or that of the same training")
    return not needs_path or _has_whole_path(out / ARCHIVE, plan.training.network, stored["steps"])


def folder(setting: RunConfig, key: str) -> Path:
    """Folder of a training of this run."""
    return setting.out / "trainings" / key


def trains_here(setting: RunConfig, name: str) -> bool:
    """Whether this run trains a network: always where the size says so, else where nothing published is at hand."""
    return lacks_weights(setting, name) and imported_surface(setting, name) is None


def lacks_weights(setting: RunConfig, name: str) -> bool:
    """Whether a figure that needs the network itself, not its surface, has to train it."""
    return name in setting.size.trainings or published_file(setting.data, name) is None


def imported_surface(setting: RunConfig, name: str) -> Path | None:
    """The surface of another that is drawn where there are no weights; None for networks with weights, and in a full run."""
    if not setting.size.imports or name in setting.size.trainings or published_file(setting.data, name):
        return None
    return surface_file(setting.data, name)


def _has_whole_path(archive: Path, name: str, steps: int) -> bool:
    """Whether the trajectory reaches the last step: beside weights of another origin a training may have begun only."""
    if not archive.exists():
        return False
    opened = open_archive(archive)
    return name in opened.trajectories and int(opened.trajectory(name).step[-1]) == steps


def print_plan(setting: RunConfig, plans: Iterable[PlannedTraining]) -> None:
    """A line a training and the sum, without training anything."""
    total = 0.0
    for plan in plans:
        training, minutes = plan.training, plan.core_minutes
        total += minutes or 0.0
        state = "done" if is_done(setting, plan) else "unknown time" if minutes is None else f"about {minutes:.0f} minutes of one core"
        print_line(
            f"{plan.key}: {training.epochs} epochs of {training.samples or 50_000:,} pictures, batch {training.batch_size:,}, "
            f"{training.optimizer}, {training.schedule}, rate {training.learning_rate:g}, {training.precision}: {state}"
        )
    print_line(f"in all about {total / 60:.1f} hours of one core with bfloat16 (AMX, AVX-512 BF16); more on others. Nothing was trained.")


def _solutions(optimizer: Literal["sgd", "adam"], decays: tuple[float, ...] = DECAYS) -> Callable[[RunConfig], list[PlannedTraining]]:
    def plans(setting: RunConfig) -> list[PlannedTraining]:
        batches = (setting.size.small_batch, setting.size.large_batch)
        return [solution_training(setting, batch, decay, optimizer) for decay in decays for batch in batches]

    return plans


def _networks(
    names: Callable[[RunConfig], Iterable[str]], trains: Callable[[RunConfig, str], bool]
) -> Callable[[RunConfig], list[PlannedTraining]]:
    return lambda setting: [network_training(setting, name) for name in names(setting) if trains(setting, name)]


def relief_networks(setting: RunConfig) -> tuple[str, str]:
    """Figure 1: ResNet-56 without and with shortcuts, or ResNet-20 where a laptop lacks the published weights."""
    has_weights = all(published_file(setting.data, name) for name in ("resnet56_noshort", "resnet56"))
    depth = 20 if setting.size.name == "laptop" and not has_weights else 56
    return f"resnet{depth}_noshort", f"resnet{depth}"


def depth_networks(setting: RunConfig) -> tuple[str, ...]:
    """Figure 5; a laptop leaves out what it would have to train beyond its plan."""
    size = setting.size
    return tuple(name for name in size.depths if size.name != "laptop" or name in size.trainings or not trains_here(setting, name))


def rough_and_smooth_networks(setting: RunConfig) -> tuple[str, ...]:
    """Figure 4: ResNet-110 without shortcuts and DenseNet-121; on a laptop another's surfaces of them beside a shallower network."""
    names = ("resnet110_noshort", "densenet121")
    if setting.size.name != "laptop":
        return names
    return (relief_networks(setting)[0], *(name for name in names if imported_surface(setting, name)))


def width_networks(setting: RunConfig) -> tuple[str, ...]:
    """Figure 6: with shortcuts, then without."""
    return tuple(width + tail for tail in ("", "_noshort") for width in setting.size.widths)


NEEDS: dict[str, Callable[[RunConfig], list[PlannedTraining]]] = {
    "2": _solutions("sgd"),
    "3": _solutions("sgd"),
    "8": _solutions("sgd", (DECAYS[1],)),
    "repeat": _solutions("sgd", (DECAYS[1],)),
    "7": _networks(lambda setting: setting.size.ratio_networks, lacks_weights),
    "1": _networks(relief_networks, lacks_weights),
    "6": _networks(width_networks, lacks_weights),
    "5": _networks(depth_networks, trains_here),
    "4": _networks(rough_and_smooth_networks, trains_here),
    "9": lambda setting: [plan for optimizer in setting.size.optimizers for plan in _solutions(optimizer)(setting)],
}
"""By figure, in the order of training: minima first, then shortcuts, widths and depths, Adam last."""
