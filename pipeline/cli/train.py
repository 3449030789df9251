"""`outreach train`: from labelled messages to a model folder."""

import typer

from pipeline.cli.options import DEFAULT, Config, Force, Overrides, settings_from


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(train)


def train(config: Config = DEFAULT, overrides: Overrides = None, force: Force = False) -> None:
    """Fine-tune the base model on the labelled messages.

    An interrupted run goes on from its last checkpoint.

    Examples:

        outreach train

        outreach train --config configs/quick.yaml

        outreach train --set training.epochs=2 --set name=two-epochs
    """
    from pipeline.cli.console import TerminalProgress
    from pipeline.cli.words import say_stage
    from pipeline.training.stage import train as train_stage

    settings = settings_from(config, overrides)
    say_stage(train_stage(settings, force=force, progress=TerminalProgress()))
