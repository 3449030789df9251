"""`outreach train`: from labelled messages to a model folder."""

import typer

from pipeline.cli.options import DEFAULT, Base, Config, Force, Overrides, settings_from


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(train)


def train(
    base: Base = None,
    config: Config = DEFAULT,
    overrides: Overrides = None,
    force: Force = False,
) -> None:
    """Fine-tune the base model on the labelled messages.

    An interrupted run goes on from its last checkpoint.

    Examples:

        outreach train

        outreach train --config configs/quick.yaml

        outreach train --set training.epochs=2 --set name=two-epochs

        outreach train --config configs/gpu.yaml

        torchrun --nproc-per-node 4 -m pipeline train --config configs/gpu.yaml
    """
    from pipeline.cli.console import TerminalProgress
    from pipeline.cli.words import say_stage
    from pipeline.progress import SILENT
    from pipeline.training.processes import is_first
    from pipeline.training.stage import train as train_stage

    settings = settings_from(config, overrides, base)
    first = is_first()
    result = train_stage(settings, force=force, progress=TerminalProgress() if first else SILENT)
    if first:
        say_stage(result)
