"""`outreach evaluate`: from a model and labelled messages to a report."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli.options import DEFAULT, Config, Force, Overrides, settings_from


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(evaluate)


def evaluate(
    model: Annotated[
        Path | None, typer.Argument(help="Model folder; default: the one the settings name.")
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="Labelled messages; default: the test split.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="Folder for the report; default: in the model folder.")
    ] = None,
    config: Config = DEFAULT,
    overrides: Overrides = None,
    force: Force = False,
) -> None:
    """Measure a model on messages it has not seen and write a report.

    Examples:

        outreach evaluate

        outreach evaluate models/default --data my-labelled.jsonl --output my-report
    """
    from pipeline.cli.console import TerminalProgress
    from pipeline.cli.words import say_headline, say_stage
    from pipeline.evaluation.stage import evaluate as evaluate_stage

    settings = settings_from(config, overrides)
    result = evaluate_stage(
        settings, model=model, data=data, output=output, force=force, progress=TerminalProgress()
    )
    say_stage(result)
    say_headline(result.output_dir)
