"""The `outreach` command: its groups, and what happens when something goes wrong."""

import errno
import os
import sys
import traceback
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from pipeline import __version__
from pipeline.cli import (
    check,
    compare,
    evaluate,
    explain,
    export,
    gate,
    ingest,
    label,
    models,
    predict,
    run,
    serve,
    settings,
    train,
    tune,
)
from pipeline.errors import InputError, PipelineError

_USAGE_ERRORS = typer.BadParameter.__bases__
"""Wrong options and the like, which Typer words itself; it exports only this child of them."""


_OF_THE_MACHINE = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM}
"""What the machine refuses, wherever it happens: no room, no permission. No defect of ours."""


class _Boundary(TyperGroup):
    """Turns what the library raises into a message and an exit code."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except PipelineError as error:
            if ctx.params.get("debug"):
                raise
            _say(f"Error: {error}")
            raise typer.Exit(error.exit_code) from None
        except KeyboardInterrupt:
            _say("Stopped. What was finished is kept; the same command goes on from there.")
            raise typer.Exit(130) from None
        except BrokenPipeError:  # the reader of our output has gone: `outreach predict … | head`
            sys.stderr.close()
            raise typer.Exit(141) from None
        except (typer.Exit, typer.Abort):
            raise
        except Exception as error:
            if isinstance(error, OSError) and error.errno in _OF_THE_MACHINE:
                _say(_refused(error))
                raise typer.Exit(InputError.exit_code) from None
            if ctx.params.get("debug") or isinstance(error, _USAGE_ERRORS):
                raise
            _say(_unexpected(error))
            raise typer.Exit(70) from None


app = typer.Typer(
    cls=_Boundary,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,  # its tracebacks would show whole messages
    help="What does an outreach message ask of its reader: "
    "[b]information[/b], [b]influence[/b], a [b]job lead[/b], several, or none?",
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"outreach-intent {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    debug: Annotated[
        bool, typer.Option("--debug", envvar="OUTREACH_DEBUG", help="Show tracebacks.")
    ] = False,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    pass


for module in (
    run,
    ingest,
    label,
    train,
    tune,
    models,
    evaluate,
    check,
    compare,
    gate,
    predict,
    serve,
    export,
    explain,
    settings,
):
    module.register(app)


def main() -> None:
    """Run the command line; `--debug` may stand anywhere."""
    arguments = sys.argv[1:]
    if "--debug" in arguments:
        arguments = ["--debug", *(a for a in arguments if a != "--debug")]
    app(arguments)


def _say(text: str) -> None:
    typer.secho(text, err=True, fg=typer.colors.RED)


def _refused(error: OSError) -> str:
    """What to say where the machine refuses a file."""
    where = f"{error.filename}: " if error.filename else ""
    return (
        f"Error: {where}{os.strerror(error.errno or 0)}. Nothing that was there is harmed; make "
        "room or give permission, and run the same command again."
    )


def _unexpected(error: Exception) -> str:
    """What to say of a bug: where it happened, but never the text that an exception may carry."""
    place = traceback.extract_tb(error.__traceback__)[-1]
    return (
        f"Unexpected {type(error).__name__} at {place.filename}:{place.lineno}. This is a defect "
        "of outreach-intent; run again with --debug for the traceback and please report it."
    )
