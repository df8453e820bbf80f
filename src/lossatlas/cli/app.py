"""The Typer app: its verbs, how errors leave it, and the entry point. Each verb imports what it needs when it runs."""

from __future__ import annotations

import sys
import warnings
from typing import Annotated, Any

import typer
import typer.core

from lossatlas._util.version import __version__
from lossatlas.cli import curvature, doctor, draw, evaluate, exchange, run
from lossatlas.cli.parsing import as_options, renamed_option_error, renamed_verb_error
from lossatlas.errors import LossatlasError


class VerbGroup(typer.core.TyperGroup):
    """Errors a user can act on leave with code 2 and one line; `--debug` shows the traceback instead."""

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        verb = super().get_command(ctx, cmd_name)
        if verb is None and (error := renamed_verb_error(cmd_name)) is not None:
            raise error
        return verb

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except (LossatlasError, OSError) as error:  # what the system refuses, such as a full disk, is said in its own words
            if ctx.obj or isinstance(error, BrokenPipeError):
                raise
            typer.secho(f"error: {as_options(str(error))}", err=True, fg="red")
            raise typer.Exit(2) from None
        except KeyboardInterrupt:
            typer.secho("Stopped. What was finished is stored; the same command continues.", err=True)
            raise typer.Exit(130) from None


class Verb(typer.core.TyperCommand):
    """A verb that names the new option where an old one is given."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except Exception as error:  # Typer brings its own copy of Click or the installed one: neither's classes can be named here
            renamed = renamed_option_error(self.name or "", getattr(error, "option_name", None))
            if renamed is None:
                raise
            raise renamed from error


app = typer.Typer(
    cls=VerbGroup,
    help="Neural-network loss landscapes, optimizer paths through them, and pictures that can be trusted.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
) -> None:
    del version, debug  # the first has its callback; the second is read by `main`, so that it works in front of and behind the verb


RECIPE_OPTIONS = {"allow_extra_args": True, "ignore_unknown_options": True}
app.command(cls=Verb)(run.demo)
app.command(cls=Verb, context_settings=RECIPE_OPTIONS)(run.run)
app.command(cls=Verb)(run.train)
app.command(cls=Verb)(evaluate.evaluate)
app.command(cls=Verb)(curvature.curvature)
app.command(cls=Verb)(exchange.info)
app.command(cls=Verb)(draw.plot)
app.command(cls=Verb)(draw.animate)
app.command(cls=Verb)(draw.view)
app.command(cls=Verb)(exchange.export)
app.command("import", cls=Verb)(exchange.import_)
app.command(cls=Verb)(doctor.doctor)


def _print_warning(message: Warning | str, *_: Any) -> None:
    """A warning in one line, without the line of our code that gave it."""
    typer.secho(f"warning: {as_options(str(message))}", err=True, fg="yellow")


def main(arguments: list[str] | None = None) -> None:
    """Entry point; `--debug` may stand anywhere."""
    argv = sys.argv[1:] if arguments is None else arguments
    with warnings.catch_warnings():
        if "--debug" not in argv:
            warnings.showwarning = _print_warning
        _run(argv)


def _run(argv: list[str]) -> None:
    app([a for a in argv if a != "--debug"], obj="--debug" in argv, prog_name="lossatlas")
