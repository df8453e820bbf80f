"""ResNet-56, 51 x 51 cells, 50,000 CIFAR-10 images on a GPU: the plane of Li et al. 2018, about an hour on four GPUs then.

Usage: python -m benchmarks.gpu [--images 50000] [--resolution 51] [--precision full|bf16] [--compile] [--tf32] [--peak TFLOPS]

Needs a CUDA device and `LOSSATLAS_DATA`. Prints seconds, cells a second and the share of the given peak. It was written
without a GPU at hand and was run with `--device cpu` on a few images only.
"""

from __future__ import annotations

import argparse
import json
import time

import torch
from torch.nn import functional as F

import lossatlas as la
from lossatlas.zoo.checkpoints import load_checkpoint
from lossatlas.zoo.data.datasets import LI_MEAN, LI_STD, data_root, load_cifar10, normalize
from lossatlas.zoo.networks import network

GFLOP_AN_IMAGE = 0.2516
"""Twice the multiply-adds of ResNet-56 on 32 x 32 pixels."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=50_000)
    parser.add_argument("--resolution", type=int, default=51)
    parser.add_argument("--batch", type=int, default=10_000)
    parser.add_argument("--precision", default="full")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--tf32", action="store_true")
    parser.add_argument("--tol", type=float)
    parser.add_argument("--peak", type=float, help="TFLOP/s of the device at this precision, from its data sheet")
    options = parser.parse_args()
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = options.tf32
    torch.backends.cudnn.benchmark = True
    data = load_cifar10(data_root(), "train", options.images)
    x, y = torch.from_numpy(normalize(data.images, LI_MEAN, LI_STD)), torch.from_numpy(data.labels)
    model = load_checkpoint(data_root() / "nets_cifar10_li2018" / "resnet56_model_300.t7", network("resnet56"))
    objective = la.Objective(
        model.to(memory_format=torch.channels_last), F.cross_entropy, (x, y), batch_size=options.batch, device=options.device
    )
    began = time.perf_counter()
    surface = la.evaluate(
        objective,
        la.random_plane(objective, seed=123),
        resolution=options.resolution,
        engine=la.Engine(precision=options.precision, compile=options.compile),
        tol=options.tol,
    )
    seconds, done = time.perf_counter() - began, int(surface.done.sum())
    rate = done * options.images * GFLOP_AN_IMAGE / 1e3 / seconds
    found = {"seconds": seconds, "cells": done, "cells_per_second": done / seconds, "tflops": rate, "engine": surface.attrs["engine"]}
    print(json.dumps(found | ({"share_of_peak": rate / options.peak} if options.peak else {}), indent=1))


if __name__ == "__main__":
    main()
