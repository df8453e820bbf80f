"""Claim: a laptop's training takes less than half the processor time of a plain PyTorch loop, most of it in the network.

The plain loop is the usual one: a Dataset of PIL pictures with torchvision's transforms written out sample by sample (pad by 4,
random crop, flip, to tensor, normalize), a DataLoader without workers, float32 in torch's usual memory layout. Ours cuts and mirrors a
batch of bytes at once. Contenders are interleaved in one process, one thread; milliseconds are the fastest of the rounds in
processor time, so that a busy machine matters little. Exactness: the angle between gradients in bfloat16 and in float32.

    python -m benchmarks.training_beats_a_plain_loop
"""

from __future__ import annotations

import argparse
import json
import platform
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageOps
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from lossatlas.zoo.data.cifar import LI_MEAN, LI_STD
from lossatlas.zoo.networks import network
from lossatlas.zoo.training import Training
from lossatlas.zoo.training.batches import TrainingImages, batches
from lossatlas.zoo.training.loop import make_optimizer

BATCH = 128
RESULTS = Path(__file__).parent / "results" / "training_beats_a_plain_loop.json"
Batches = Iterator[tuple[Tensor, Tensor]]


class PlainDataset(Dataset[tuple[Tensor, int]]):
    """As torchvision's CIFAR10 with RandomCrop(32, padding=4), RandomHorizontalFlip, ToTensor and Normalize."""

    def __init__(self, images: np.ndarray, labels: np.ndarray) -> None:
        self.pixels, self.labels = images.transpose(0, 2, 3, 1).copy(), labels
        self.mean, self.std = torch.tensor(LI_MEAN).view(3, 1, 1), torch.tensor(LI_STD).view(3, 1, 1)

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        image = ImageOps.expand(Image.fromarray(self.pixels[index]), 4)
        top, left = random.randint(0, 8), random.randint(0, 8)
        image = image.crop((left, top, left + 32, top + 32))
        if random.random() < 0.5:
            image = ImageOps.mirror(image)
        tensor = torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous().float().div(255)
        return tensor.sub(self.mean).div(self.std), int(self.labels[index])


def endless(make: Callable[[], Batches]) -> Batches:
    while True:
        yield from (batch for batch in make() if len(batch[1]) == BATCH)


def milliseconds(run: Callable[[], object]) -> float:
    began = time.process_time()
    run()
    return 1e3 * (time.process_time() - began)


class Contender:
    """A network with its optimizer and its batches."""

    def __init__(self, training: Training, source: Batches) -> None:
        memory_format = torch.channels_last if training.channels_last else torch.contiguous_format
        self.model = network(training.network, 0).to(memory_format=memory_format).train()
        self.optimizer, self.source = make_optimizer(self.model, training), source
        self.half = training.precision == "bfloat16"

    def loss(self, x: Tensor, y: Tensor) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16, enabled=self.half):
            output = self.model(x)
        return F.cross_entropy(output.float(), y)

    def round(self) -> tuple[float, float]:
        """Milliseconds of loading a batch and of an update."""
        batch: list[tuple[Tensor, Tensor]] = []
        loading = milliseconds(lambda: batch.append(next(self.source)))

        def update() -> None:
            loss = self.loss(*batch[0])
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()
            float(loss.detach())
            self.optimizer.step()

        return loading, milliseconds(update)


def contenders(name: str, pictures: TrainingImages) -> dict[str, Contender]:
    plain = Training(name)
    options = {
        "ours, float32": plain,
        "ours, channels last": Training(name, channels_last=True),
        "ours, channels last, bfloat16": Training(name, channels_last=True, precision="bfloat16"),
    }
    loader = DataLoader(PlainDataset(pictures.images, pictures.labels), BATCH, shuffle=True)
    ours = {key: Contender(one, endless(lambda one=one: batches(pictures, one, 0, 0, "cpu"))) for key, one in options.items()}
    return {"plain loop": Contender(plain, endless(lambda: iter(loader))), **ours}


def gradient_angle(name: str, pictures: TrainingImages) -> float:
    """Degrees between the gradients of one batch in bfloat16 and float32, at the initial weights."""
    gradients = []
    for precision in ("float32", "bfloat16"):
        one = Contender(Training(name, precision=precision, channels_last=True), iter(()))
        one.loss(*pictures.tensors(BATCH)).backward()
        gradients.append(torch.cat([p.grad.flatten().double() for p in one.model.parameters() if p.grad is not None]))
    return float(torch.rad2deg(torch.acos(torch.clamp(F.cosine_similarity(*gradients, dim=0), -1, 1))))


def measure(name: str, pictures: TrainingImages, rounds: int) -> dict[str, Any]:
    several = contenders(name, pictures)
    times: dict[str, list[tuple[float, float]]] = {key: [] for key in several}
    for _ in range(rounds):
        for key, one in several.items():
            times[key].append(one.round())
    best = {key: np.array(rows).min(0) for key, rows in times.items()}
    plain = float(best["plain loop"].sum())
    rows = {
        key: {"loading_ms": float(load), "update_ms": float(update), "times_the_plain_loop": plain / float(load + update)}
        for key, (load, update) in best.items()
    }
    return {"rows": rows, "bfloat16_gradient_degrees": gradient_angle(name, pictures)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    generator = np.random.default_rng(0)  # noise: speed does not depend on the pictures
    images = generator.integers(0, 256, (8 * BATCH, 3, 32, 32), dtype=np.uint8)
    pictures = TrainingImages(images, generator.integers(0, 10, len(images)), LI_MEAN, LI_STD)
    results = {name: measure(name, pictures, options.rounds) for name in ("vgg9_quarter", "resnet20")}
    capability = torch.backends.cpu.get_cpu_capability()
    tiles = bool(getattr(torch.cpu, "_is_amx_tile_supported", lambda: False)())
    machine = f"{platform.machine()}, {capability}, AMX {'yes' if tiles else 'no'}, 1 thread, torch {torch.__version__}"
    text = json.dumps({"machine": machine, "batch": BATCH, "rounds": options.rounds, "networks": results}, indent=1)
    print(text)
    options.out.write_text(text + "\n")
    slowest = min(one["rows"]["ours, channels last, bfloat16"]["times_the_plain_loop"] for one in results.values())
    assert slowest > 2 or not tiles, f"the claim does not hold: {slowest:.2f} times"


if __name__ == "__main__":
    main()
