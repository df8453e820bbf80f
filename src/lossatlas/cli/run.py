"""The verbs that run a whole study: `demo`, `run` (a recipe) and `train`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

OutputFolder = Annotated[Path, typer.Option("--out", help="Folder for the archive, figures and summary.json.")]
DataFolder = Annotated[Path | None, typer.Option("--data", help="Folder with the data sets; default LOSSATLAS_DATA.")]


def demo(out: OutputFolder = Path("out/demo"), quick: Annotated[bool, typer.Option(help="Coarser and shorter.")] = False) -> None:
    """Gradient descent on the loss surface of a small network for handwritten digits; no download, under a minute."""
    from lossatlas.recipes.demo import run as run_demo

    run_demo(out, quick=quick)
    _print_results_in(out)


def run(
    context: typer.Context,
    recipe: Annotated[str | None, typer.Argument(help="Which system to reproduce; see --list.")] = None,
    data: DataFolder = None,
    out: Annotated[Path | None, typer.Option("--out", help="Folder for the results; default out/RECIPE.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="A smaller run of the same shape.")] = False,
    list_: Annotated[bool, typer.Option("--list", help="Name the recipes and their options.")] = False,
) -> None:
    """Reproduce one of the published systems of figures. Options of a recipe follow its name; --list names them."""
    from lossatlas.recipes import RECIPES, recipe_named

    if list_ or recipe is None:
        for known in RECIPES.values():
            typer.echo(known.text())
        return
    chosen = recipe_named(recipe)
    folder = out or Path("out") / recipe
    chosen.load()(folder, data=data, quick=quick, **chosen.parse(context.args))
    _print_results_in(folder)


def train(
    network: Annotated[str, typer.Argument(help="resnet20, resnet56_noshort, vgg9, densenet121, lenet (on MNIST), …")],
    out: Annotated[Path | None, typer.Option("--out", help="Folder of the results; default out/train/NETWORK.")] = None,
    data: DataFolder = None,
    epochs: Annotated[int, typer.Option(help="The rate falls to a tenth after 1/2, 3/4 and 11/12 of them.")] = 300,
    samples: Annotated[int | None, typer.Option(help="Only the first so many training pictures.")] = None,
    test_samples: Annotated[int | None, typer.Option(help="Only the first so many test pictures.")] = None,
    batch_size: Annotated[int, typer.Option(help="Pictures an update.")] = 128,
    learning_rate: Annotated[float | None, typer.Option(help="Default: the paper's, 0.1 for sgd and 0.001 for adam.")] = None,
    weight_decay: Annotated[float, typer.Option(help="L2.")] = 5e-4,
    optimizer: Annotated[str, typer.Option(help="sgd (Nesterov momentum 0.9) or adam.")] = "sgd",
    seed: Annotated[int, typer.Option(help="Of first weights, order and augmentation.")] = 0,
    record_every: Annotated[int, typer.Option(help="Epochs between recorded rows; 0 makes about 50.")] = 0,
    schedule: Annotated[
        str, typer.Option(help="steps (the paper's), or one-cycle: up to the rate and down to zero, for short trainings.")
    ] = "steps",
    precision: Annotated[str, typer.Option(help="float32, or bfloat16 where the processor is fast in it.")] = "float32",
    channels_last: Annotated[bool, typer.Option("--channels-last", help="Memory layout that most processors are faster with.")] = False,
    device: Annotated[str | None, typer.Option(help="cpu or cuda; default: a GPU where there is one.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Start anew.")] = False,
) -> None:
    """Train a network as Li et al. 2018 did, recorded. The same command continues a stopped or killed training."""
    from lossatlas.zoo.training import Training
    from lossatlas.zoo.training import train as train_network

    settings: Any = (network, epochs, samples, test_samples, batch_size, learning_rate, weight_decay, optimizer, seed, record_every)
    settings = (*settings, schedule, precision, channels_last)
    folder = out or Path("out") / "train" / network
    summary = train_network(Training(*settings), folder, data, device=device, overwrite=overwrite)
    typer.echo(f"test error {summary['test_error']:.2%} (loss {summary['test_loss']:.4f} nats) on {summary['test_samples']:,} pictures")
    typer.echo(f"Results in {folder}: weights.safetensors, archive.zarr (trajectory {network}), training.png, summary.json")


def _print_results_in(folder: Path) -> None:
    typer.echo(f"Results in {folder}: see summary.json, the figures and archive.zarr")
