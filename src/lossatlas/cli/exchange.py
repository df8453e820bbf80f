"""The verbs that say what an archive holds and exchange surfaces with other programs: `info`, `export` and `import`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lossatlas.cli.options import ArchiveArgument
from lossatlas.errors import InputError

if TYPE_CHECKING:
    import xarray as xr

    from lossatlas.archive import Archive

FORMAT_HELP = "h5 (Li et al.), vtp (ParaView), csv, npz, glb (Blender) or stl (printing); default: the ending of --out."


def info(
    archive: Annotated[Path, typer.Argument(metavar="ARCHIVE|FIGURE", help="An archive, or a figure or animation drawn of one.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON: surfaces, trajectories, shapes and attributes.")] = False,
) -> None:
    """Say what an archive holds and how it was made; of a figure, its full caption and the archive it came from."""
    from lossatlas.archive import open_archive
    from lossatlas.viz.metadata.reading import is_figure, read_metadata
    from lossatlas.viz.summary import describe_archive, describe_figure

    if is_figure(archive) and not archive.is_dir():
        metadata = read_metadata(archive)
        typer.echo(metadata.to_json() if as_json else describe_figure(metadata))
        return
    if as_json:
        from lossatlas.cli.archive_json import archive_json

        typer.echo(archive_json(open_archive(archive)))
        return
    typer.echo(describe_archive(open_archive(archive)))


def export(
    archive: ArchiveArgument,
    to: Annotated[str | None, typer.Option("--to", help=FORMAT_HELP)] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="The file; default: the surface's name.")] = None,
    surface: Annotated[str | None, typer.Option("--surface", help="Which surface, where there are several.")] = None,
    millimeters: Annotated[float, typer.Option(help="Longest side of a mesh (glb, stl).")] = 100.0,
    scale: Annotated[str, typer.Option(help="linear or log heights of a mesh.")] = "linear",
    clip: Annotated[float | None, typer.Option(help="Cut a mesh above this value.")] = None,
) -> None:
    """Write a surface for another program; a .vtp carries every metric, and the paths on the surface."""
    from lossatlas.archive import open_archive
    from lossatlas.formats import export_surface

    to = to or (out.suffix[1:].lower() if out is not None else "")
    if not to:
        raise InputError("--to", None, "a format: h5, vtp, csv, npz, glb or stl", "Or name a file that ends in one: --out surface.vtp")
    opened = open_archive(archive)
    name = surface or (opened.surfaces[0] if len(opened.surfaces) == 1 else None)
    options: dict[str, Any] = {"size_mm": millimeters, "scale": scale, "clip": clip} if to in ("glb", "stl") else {}
    if to == "vtp":
        options = {"paths": _paths_on(opened, name)}
    written = export_surface(opened.surface(name), out or Path(f"{name}.{to}"), **options)
    typer.echo(f"Wrote {written}")


def _paths_on(archive: Archive, surface: str | None) -> list[xr.Dataset]:
    """The projected trajectories that lie on a surface of the archive."""
    from lossatlas.viz.compose.inputs import read_surfaces, stored_paths, surfaces_under

    entries = read_surfaces([archive])
    lying = [(path, surfaces_under(path, archive, entries)) for _, path, _ in stored_paths([archive])]
    return [path for path, below in lying if any(entry.stored == surface for entry in below)]


def import_(
    files: Annotated[list[Path], typer.Argument(help="Surfaces of other tools: .h5 (Li et al.), .vtp, .csv or .npz.")],
    archive: Annotated[Path, typer.Option("--archive", help="The archive to add them to.")] = Path("imported.zarr"),
) -> None:
    """Read surfaces that other tools computed into an archive; nothing in a file is executed."""
    from lossatlas.archive import open_archive
    from lossatlas.formats import import_surface

    surfaces = {path.stem: import_surface(path) for path in files}
    target = open_archive(archive, "a")
    for name, surface in surfaces.items():
        target.write_surface(name, surface)
    typer.echo(f"{', '.join(surfaces)} in {archive}. Next: lossatlas plot {archive}")
