"""`outreach ingest`: from files to messages."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli.options import DEFAULT, Config, Force, Overrides, settings_from


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(ingest)


def ingest(
    config: Config = DEFAULT,
    overrides: Overrides = None,
    force: Force = False,
    public: Annotated[
        bool, typer.Option("--public", help="Fetch the public mail's texts now, or fail.")
    ] = False,
    from_: Annotated[
        Path | None,
        typer.Option("--from", help="Take the public texts from this folder or JSONL file."),
    ] = None,
) -> None:
    """Read messages from files into one clean table.

    Examples:

        outreach ingest

        outreach ingest --set data.messages=[mail.jsonl,export.csv]

        outreach ingest --public --from ~/copies/texts.jsonl
    """
    from pipeline.cli.console import TerminalProgress
    from pipeline.cli.words import say_stage
    from pipeline.ingestion.stage import ingest as ingest_stage

    settings = settings_from(config, overrides)
    result = ingest_stage(
        settings, force=force, public=public, public_from=from_, progress=TerminalProgress()
    )
    say_stage(result)
