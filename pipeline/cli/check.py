"""`outreach check`: the behaviour suite against a model."""

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(check)


def check(
    model: Annotated[Path, typer.Argument(help="Model folder.")] = Path("models/default"),
    minimum: Annotated[
        float, typer.Option(help="Fail if a smaller share of the cases passes, 0 to 1.")
    ] = 0.0,
    failures: Annotated[bool, typer.Option("--failures", help="Show the cases that failed.")] = (
        False
    ),
) -> None:
    """Run the behaviour suite: small cases that every reader of outreach must get right.

    Examples:

        outreach check

        outreach check models/mine --failures

        outreach check models/mine --minimum 0.9
    """
    from rich.markup import escape
    from rich.table import Table

    from pipeline.cli.console import out
    from pipeline.errors import GateError
    from pipeline.evaluation.behaviour import flat, load_cases, run_suite
    from pipeline.evaluation.stage import open_model

    opened = open_model(model)
    results = run_suite(opened.labels, opened.thresholds, opened.score, load_cases())
    table = Table("test", "kind", "passed", box=None, pad_edge=False)
    for test in results:
        colour = "green" if test.passed == len(test.outcomes) else "red"
        table.add_row(test.name, test.kind, f"[{colour}]{test.passed}/{len(test.outcomes)}[/]")
    out.print(table)
    if failures:
        for outcome in (o for test in results for o in test.outcomes if not o.passed):
            out.print(f"[bold]{escape(outcome.case.test)}[/]")
            for text, found in zip(outcome.case.texts, outcome.found, strict=True):
                out.print(f"  {text!r} → {found}", markup=False)
    numbers = flat(results)
    share = numbers["behaviour.rate"]
    out.print(
        f"{numbers['behaviour.passed']} of {numbers['behaviour.cases']} cases passed "
        f"({100 * share:.1f} %)"
    )
    if share < minimum:
        raise GateError(
            f"{100 * share:.1f} % of the cases passed; --minimum is {100 * minimum:g} %."
        )
