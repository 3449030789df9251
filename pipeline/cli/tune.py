"""`outreach tune`: search for better settings."""

from typing import Annotated

import typer

from pipeline.cli.options import DEFAULT, Base, Config, Overrides, settings_from

SHOWN = 15


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(tune)


def tune(
    minutes: Annotated[float | None, typer.Option(help="How long, all sessions together.")] = None,
    trials: Annotated[int | None, typer.Option(help="At most so many trials.")] = None,
    folds: Annotated[
        int | None, typer.Option(help="Score by cross-validation instead of on validation.")
    ] = None,
    base: Base = None,
    config: Config = DEFAULT,
    overrides: Overrides = None,
) -> None:
    """Search for better training settings, never looking at the test split.

    What may be tried stands in the settings under tune.space. The first trial is the settings as
    they are. An interrupted search goes on where it was. The whole table and the best settings are
    kept; train with those afterwards.

    Examples:

        outreach tune --minutes 120

        outreach tune --minutes 30 --folds 3 --set training.none_share=1

        outreach tune --set 'tune.space={training.epochs: [1, 2, 3]}'

        outreach train --config data/processed/default/tune/best.yaml
    """
    from rich.table import Table

    from pipeline.cli.console import TerminalProgress, out
    from pipeline.training.tune import BEST, TABLE
    from pipeline.training.tune import tune as search

    given = {"tune.minutes": minutes, "tune.trials": trials, "tune.folds": folds}
    wanted = [f"{key}={value}" for key, value in given.items() if value is not None]
    settings = settings_from(config, [*(overrides or []), *wanted], base)
    found = search(settings, progress=TerminalProgress())
    names = list(settings.tune.space)
    table = Table("trial", "macro-F1", "min", *(n.rpartition(".")[2] for n in names), box=None)
    for t in found.trials[:SHOWN]:
        score = "" if t.score is None else f"{t.score:.4f}"
        values = [str(t.settings.get(name, "")) for name in names]
        label = str(t.number) if t.state == "complete" else f"{t.number} ({t.state})"
        table.add_row(label, score, f"{t.minutes:.1f}", *values)
    out.print(table)
    out.print(
        f"{len(found.trials)} trials, {max(0, found.seconds_left) / 60:.0f} min left; trial 0 is "
        "the settings as they were.",
        markup=False,
    )
    out.print(f"table    {found.folder / TABLE}", markup=False)
    out.print(f"train    outreach train --config {found.folder / BEST}", markup=False)
