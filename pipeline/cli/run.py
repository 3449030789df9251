"""`outreach run`: all stages, one after the other."""

import typer

from pipeline.cli.options import DEFAULT, Base, Config, Force, Overrides, settings_from


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(run)


def run(
    base: Base = None,
    config: Config = DEFAULT,
    overrides: Overrides = None,
    force: Force = False,
) -> None:
    """Ingest, label, train and evaluate; a stage whose inputs have not changed is skipped.

    Examples:

        outreach run

        outreach run --config configs/banking77.yaml

        outreach run --set training.epochs=2

        outreach run --base path/to/another/base --set name=other
    """
    from pipeline.cli.console import TerminalProgress
    from pipeline.cli.words import say_finished, say_stage
    from pipeline.errors import SettingsError
    from pipeline.stages import run as run_stages
    from pipeline.training.processes import count

    settings = settings_from(config, overrides, base)
    if count() > 1:
        raise SettingsError(
            "`outreach run` runs in one process. Run `outreach ingest` and `outreach label "
            "resolve` first, then only the training in several: torchrun … -m pipeline train."
        )
    results = []
    for result in run_stages(settings, force=force, progress=TerminalProgress()):
        say_stage(result)
        results.append(result)
    say_finished(settings, results)
