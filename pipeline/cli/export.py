"""`outreach export`: a model folder as others may have it."""

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(export)


def export(
    output: Annotated[Path, typer.Argument(help="FILE.zip, or a new folder for a hub.")],
    model: Annotated[Path, typer.Option("--model", "-m", help="Model folder.")] = Path(
        "models/default"
    ),
) -> None:
    """Copy a trained model without anything that tells of your messages or this machine.

    What a loader needs goes along, with the report's figures in the card; the report's pages and
    predictions, training logs and local paths stay.

    Examples:

        outreach export model.zip

        outreach export for-hub && hf upload OWNER/NAME for-hub
    """
    from pipeline.cli.console import out
    from pipeline.inference.pack import export as write

    names = write(model, output)
    folder = output if output.is_dir() else None
    size = output.stat().st_size if not folder else sum((folder / n).stat().st_size for n in names)
    out.print(f"{len(names)} files, {size / 1e6:.0f} MB → {output}", markup=False)
