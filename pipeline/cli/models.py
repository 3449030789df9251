"""`outreach models`: what has been trained, which model is in use, and the way back."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from pipeline.training.registry import Entry

Models = Annotated[Path, typer.Option("--models", help="The folder of models.")]
DEFAULT_MODELS = Path("models")
Name = Annotated[str, typer.Argument(help="A model's name, or the beginning of its digest.")]

app = typer.Typer(
    help="List trained models; compare, promote and roll back.\n\n"
    "Examples:\n\n        outreach models\n\n        outreach models promote default\n\n"
    "        outreach predict mail.mbox --model models/production",
    invoke_without_command=True,
)


def register(parent: typer.Typer) -> None:
    """Add the group."""
    parent.add_typer(app, name="models")


@app.callback()
def models(context: typer.Context, folder: Models = DEFAULT_MODELS) -> None:
    if context.invoked_subcommand is not None:
        return
    from pipeline.cli.console import out
    from pipeline.training.registry import entries

    found = entries(folder)
    if not found:
        out.print(f"No models in {folder} yet; train one with `outreach train`.", markup=False)
        return
    _show(found)


@app.command()
def compare(
    names: Annotated[list[str], typer.Argument(help="Models to compare.")],
    folder: Models = DEFAULT_MODELS,
) -> None:
    """Put the reports' figures of several models side by side.

    For intervals and a test of two models on the same messages there is `outreach compare`.

    Examples:

        outreach models compare default quick

        outreach models compare production default
    """
    from rich.table import Table

    from pipeline.cli.console import out
    from pipeline.training.registry import figures, find

    found = [find(folder, name) for name in names]
    columns = [figures(entry) for entry in found]
    table = Table(box=None, pad_edge=False)
    table.add_column("figure", no_wrap=True)
    for entry in found:
        table.add_column(f"{entry.name} {entry.digest[:8]}")
    for name in dict.fromkeys(name for column in columns for name in column):
        table.add_row(name, *(column.get(name, "") for column in columns))
    out.print(table)


@app.command()
def promote(name: Name, folder: Models = DEFAULT_MODELS) -> None:
    """Keep a copy of a model and let `models/production` name it.

    Later training never touches the copy. `outreach models rollback` takes it back.

    Examples:

        outreach models promote default

        outreach models promote 3f9ac2d1
    """
    from pipeline.cli.console import out
    from pipeline.training.registry import PRODUCTION
    from pipeline.training.registry import promote as promote_model

    entry = promote_model(folder, name)
    out.print(f"{folder / PRODUCTION} is now {entry.name} {entry.digest[:12]}", markup=False)


@app.command()
def rollback(folder: Models = DEFAULT_MODELS) -> None:
    """Let `models/production` name the model that it named before.

    Examples:

        outreach models rollback
    """
    from pipeline.cli.console import out
    from pipeline.training.registry import PRODUCTION
    from pipeline.training.registry import rollback as roll_back

    entry = roll_back(folder)
    out.print(f"{folder / PRODUCTION} is now {entry.name} {entry.digest[:12]} again", markup=False)


def _show(found: "Sequence[Entry]") -> None:
    from rich.table import Table

    from pipeline.cli.console import out

    table = Table(box=None, pad_edge=False)
    for title in ("model", "digest", "made", "base", "messages", "validation", "test", "MB"):
        table.add_column(title, no_wrap=title in ("model", "digest"))
    for e in found:
        table.add_row(
            f"{e.name} (production)" if e.in_use else e.name,
            e.digest[:12],
            e.made[:16].replace("T", " "),
            Path(e.base).name,
            f"{e.trained_on:,}",
            "" if e.validation is None else f"{e.validation:.3f}",
            "" if e.test is None else f"{e.test:.3f}",
            f"{e.bytes / 1e6:.0f}",
            style="bold" if e.in_use else None,
        )
    out.print(table)
