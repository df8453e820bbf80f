"""Options that several verbs share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

ArchiveArgument = Annotated[Path, typer.Argument(metavar="ARCHIVE", help="An archive, such as out/archive.zarr.")]
ArchiveArguments = Annotated[list[Path], typer.Argument(metavar="ARCHIVE...", help="One or more archives, such as out/archive.zarr.")]
ObjectiveReference = Annotated[
    str, typer.Argument(metavar="MODULE:OBJECTIVE", help="A module or file and the name of an Objective, or of a function that makes one.")
]
SurfaceNames = Annotated[list[str] | None, typer.Option("--surface", help="A surface of the archive; may be repeated. Default: all.")]
TrajectoryNames = Annotated[
    list[str] | None, typer.Option("--trajectory", help="A trajectory of the archive; may be repeated. Default: all.")
]
Scale = Annotated[str, typer.Option(help="auto (log where a linear scale would show one dark pool), linear or log.")]
Colormap = Annotated[str | None, typer.Option(help="Any matplotlib or cmcrameri map.")]
Caption = Annotated[str, typer.Option(help="short (a line, and a line of caution), full (everything that is known) or none.")]
Clip = Annotated[float | None, typer.Option(help="Cut heights above this value; the figure says what share.")]

Bounds = Annotated[str | None, typer.Option(help="LOW,HIGH for every axis, or A0,A1,B0,B1; default: around the recorded paths, or -1,1.")]
Resolution = Annotated[str, typer.Option(help="Points along each axis: 51, or 51x31.")]
Seed = Annotated[int, typer.Option(help="Of the random directions.")]
Normalize = Annotated[
    str | None,
    typer.Option(help="filter, layer, weight or none; default: filter, and none for a function of a vector, which has no filters."),
]
ParamNames = Annotated[list[str] | None, typer.Option(help="Move only these parameters (names, modules or globs).")]
Biases = Annotated[bool, typer.Option("--biases", help="Also move biases and the scales of BatchNorm; the paper does not.")]
Recordings = Annotated[
    list[Path] | None,
    typer.Option("--recording", help="A recorded training: lay the plane through its path. Repeat it for several on a shared plane."),
]
CheckpointFiles = Annotated[
    list[str] | None,
    typer.Option(
        "--checkpoints",
        help="A quoted glob or a folder of checkpoints in place of a recording: 'ck/*.pt', .ckpt of Lightning, .safetensors, or folders"
        " of save_pretrained (Transformers, PEFT). May be repeated.",
    ),
]
RunNames = Annotated[list[str] | None, typer.Option("--trajectory", help="Which run of the recording; may be repeated. Default: all.")]
PlaneKind = Annotated[
    str | None, typer.Option("--plane", help="random (the default) or hessian; through recorded paths pca (the default) or start-end.")
]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", help="NAME=VALUE, an argument of the objective's function, in the type of its annotation; may be repeated."),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace a different surface of that name.")]

Mode = Annotated[
    str | None,
    typer.Option(
        help="BatchNorm and dropout: eval (the model's own statistics), recalibrated (estimated anew at each point), anchored (each"
        " model's own), batch, train, or auto (the default)."
    ),
]
Device = Annotated[str | None, typer.Option(help="Where to compute, such as cpu or cuda:0; default: the objective's own.")]
Dtype = Annotated[str | None, typer.Option(help="Cast model and data: float64, float32, bfloat16 or float16.")]
BatchSize = Annotated[int | None, typer.Option("--batch-size", help="Samples a batch; it changes no value beyond rounding.")]
Samples = Annotated[int | None, typer.Option(help="Only the first so many samples of the objective's data.")]
