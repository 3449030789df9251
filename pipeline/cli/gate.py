"""`outreach gate`: does a measured model reach what the settings demand?"""

from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli.options import DEFAULT, Config, Overrides, settings_from


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(gate)


def gate(
    model: Annotated[
        Path | None,
        typer.Argument(help="Model or report folder; default: the one the settings name."),
    ] = None,
    suggest: Annotated[
        bool,
        typer.Option("--suggest", help="Print demands that this model meets, and check none."),
    ] = False,
    config: Config = DEFAULT,
    overrides: Overrides = None,
) -> None:
    """Check a report's figures against `evaluation.gate` and `evaluation.max_flip_rate`.

    Ends with exit code 3 if one is not met; measures nothing itself.

    Examples:

        outreach gate

        outreach gate models/mine --set "evaluation.gate.minimum={model.all.exact_match: 0.7}"

        outreach gate models/mine --set evaluation.max_flip_rate=0.1

        outreach gate models/mine --suggest
    """
    from pipeline.cli.console import out
    from pipeline.errors import GateError
    from pipeline.evaluation.gate import gate as demands_of
    from pipeline.evaluation.gate import suggest as suggestion

    settings = settings_from(config, overrides)
    folder = model or settings.model_dir
    report = folder / "report" if (folder / "report").is_dir() else folder
    if suggest:
        out.print(suggestion(report, settings.evaluation), markup=False, highlight=False)
        return
    demands = demands_of(report, settings.evaluation)
    for d in demands:
        sign = "≥" if d.at_least else "≤"
        verdict = "[green]met[/]" if d.met else "[red]not met[/]"
        out.print(f"{d.figure} {d.found:.4f} {sign} {d.limit:g}  {verdict}")
    missed = sum(not d.met for d in demands)
    if missed:
        raise GateError(f"{missed} of {len(demands)} demands are not met.")
