"""`outreach run`: all stages, one after the other."""

import typer

from pipeline.cli.options import DEFAULT, Config, Force, Overrides, settings_from


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(run)


def run(config: Config = DEFAULT, overrides: Overrides = None, force: Force = False) -> None:
    """Ingest, label, train and evaluate; a stage whose inputs have not changed is skipped.

    Examples:

        outreach run

        outreach run --config configs/banking77.yaml

        outreach run --set training.epochs=2
    """
    from pipeline.cli.console import TerminalProgress
    from pipeline.cli.words import say_finished, say_stage
    from pipeline.stages import run as run_stages

    settings = settings_from(config, overrides)
    results = []
    for result in run_stages(settings, force=force, progress=TerminalProgress()):
        say_stage(result)
        results.append(result)
    say_finished(settings, results)
