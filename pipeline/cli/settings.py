"""`outreach settings`: what a run would use, and what each setting means."""

import typer

from pipeline.cli.options import DEFAULT, Config, Overrides, settings_from


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(settings)


def settings(config: Config = DEFAULT, overrides: Overrides = None) -> None:
    """Show every setting with its value and its meaning, as a settings file.

    Examples:

        outreach settings

        outreach settings --config configs/quick.yaml > mine.yaml
    """
    from pipeline.settings import to_yaml

    typer.echo(to_yaml(settings_from(config, overrides)), nl=False)
