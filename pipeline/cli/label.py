"""`outreach label`: from messages and annotations to three splits."""

import typer

from pipeline.cli.options import DEFAULT, Config, Force, Overrides, settings_from


def register(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(no_args_is_help=True, help="Labels: resolve annotations, and more.")
    group.command()(resolve)
    app.add_typer(group, name="label")


def resolve(config: Config = DEFAULT, overrides: Overrides = None, force: Force = False) -> None:
    """Resolve the annotations by majority and split into train, validation and test.

    Examples:

        outreach label resolve

        outreach label resolve --set label.validation=0.2
    """
    from pipeline.cli.console import TerminalProgress
    from pipeline.cli.words import say_stage
    from pipeline.labeling.stage import label

    say_stage(label(settings_from(config, overrides), force=force, progress=TerminalProgress()))
