"""`outreach compare`: two reports side by side."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli.options import DEFAULT, Config, Overrides, settings_from


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(compare)


def compare(
    first: Annotated[Path, typer.Argument(help="Model folder or report folder, the one before.")],
    second: Annotated[Path, typer.Argument(help="The one after.")],
    output: Annotated[
        Path | None, typer.Option(help="Also write compare.html and compare.json here.")
    ] = None,
    config: Config = DEFAULT,
    overrides: Overrides = None,
) -> None:
    """Compare two models that were measured on the same messages.

    Examples:

        outreach compare models/default models/mine

        outreach compare models/default models/mine --output comparison
    """
    from rich.table import Table

    from pipeline.cli.console import out
    from pipeline.evaluation.compare import compare as compare_reports

    settings = settings_from(config, overrides)
    found = compare_reports(first, second, settings.evaluation, seed=settings.seed, output=output)
    table = Table("figure", *found.names, "difference", "interval", box=None, pad_edge=False)
    for name, change in found.differences.items():
        if change.value != change.value:  # not defined
            continue
        low, high = change.low, change.high
        table.add_row(
            name,
            f"{found.first[name].value:.3f}",
            f"{found.second[name].value:.3f}",
            f"{change.value:+.3f}",
            "" if low is None or high is None else f"{low:+.3f} to {high:+.3f}",
            style="bold" if found.is_clear(name) else None,
        )
    out.print(table)
    out.print(
        f"{found.messages:,} messages; primaries fixed {len(found.fixed)}, broke "
        f"{len(found.broke)}; McNemar's exact test p = {found.p_value:.3g}. "
        "Bold: the interval leaves out zero."
    )
    if output is not None:
        out.print(f"written to {output / 'compare.html'}", markup=False)
