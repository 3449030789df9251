"""`outreach evaluate`: from a model and labelled messages to a report."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli.options import DEFAULT, Config, Force, Overrides, settings_from

if TYPE_CHECKING:
    from pipeline.settings import Settings


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
    against: Annotated[
        Path | None,
        typer.Option(
            help="New mail without labels: does it look like what the model was measured on?"
        ),
    ] = None,
    config: Config = DEFAULT,
    overrides: Overrides = None,
    force: Force = False,
) -> None:
    """Measure a model on messages it has not seen and write a report.

    Examples:

        outreach evaluate

        outreach evaluate models/default --data my-labelled.jsonl --output my-report

        outreach evaluate --against last-month.jsonl
    """
    from pipeline.cli.console import TerminalProgress
    from pipeline.cli.words import say_headline, say_stage
    from pipeline.evaluation.stage import evaluate as evaluate_stage

    settings = settings_from(config, overrides)
    if against is not None:
        _say_drift(settings, against, model, data, output)
        return
    result = evaluate_stage(
        settings, model=model, data=data, output=output, force=force, progress=TerminalProgress()
    )
    say_stage(result)
    say_headline(result.output_dir)


def _say_drift(
    settings: "Settings", against: Path, model: Path | None, data: Path | None, output: Path | None
) -> None:
    from pipeline.cli.console import TerminalProgress, out
    from pipeline.evaluation.drift import drift

    found = drift(
        settings, against, model=model, data=data, output=output, progress=TerminalProgress()
    )
    out.print(f"{found.after:,} new messages against {found.before:,} measured ones")
    for s in found.shifts:
        out.print(
            f"  {s.name:<22} median {s.before:.3g} → {s.after:.3g}, "
            f"stability index {s.stability:.3f} ({s.verdict})"
        )
    before, after = found.unknown_words
    out.print(f"  unknown words          {100 * before:.1f} % → {100 * after:.1f} %")
    folder = output or (model or settings.model_dir) / "drift"
    out.print(f"written to {folder / 'drift.html'}", markup=False)
