"""`outreach label rules|llm|review`: those who annotate."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli.options import DEFAULT, Config, Overrides, settings_from

Listed = Annotated[
    Path | None,
    typer.Option("--list", help="Only the messages of this list (next, issues, agreement)."),
]


def register(group: typer.Typer) -> None:
    for command in (rules, llm, review):
        group.command()(command)


def rules(
    config: Config = DEFAULT,
    overrides: Overrides = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only show the table; write nothing.")
    ] = False,
) -> None:
    """Run labelling functions over the messages and show how each does.

    Examples:

        outreach label rules

        outreach label rules --dry-run --set label.rules=[my_rules.py]
    """
    from pipeline.cli.console import TerminalProgress, err
    from pipeline.cli.label_words import say_rules
    from pipeline.labeling.log import append, latest
    from pipeline.labeling.project import open_project
    from pipeline.labeling.rules import apply_rules, fresh, load_rules, report, together

    settings = settings_from(config, overrides)
    found = load_rules(settings)
    project = open_project(settings)
    version = project.codebook.version if settings.label.codebook.exists() else ""
    progress = TerminalProgress()
    outcome = apply_rules(
        found, project.messages, settings.task, codebook=version, progress=progress
    )
    rows = report(found, outcome, project.annotations, len(project.messages), settings.task)
    say_rules(rows, together(outcome, project.annotations, settings.task), len(project.messages))
    if not dry_run:
        added = append(settings.log, fresh(outcome, latest(project.annotations)))
        err.print(f"{added} annotation(s) added to {settings.log}", markup=False)
    if outcome.failures:
        for name, kinds in outcome.failures.items():
            counted = ", ".join(f"{n} {kind}" for kind, n in kinds.items())
            err.print(f"Rule {name} failed: {counted}", style="red", markup=False)
        raise typer.Exit(1)


def llm(
    config: Config = DEFAULT,
    overrides: Overrides = None,
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many messages.")] = None,
    listed: Listed = None,
    estimate: Annotated[
        bool, typer.Option("--estimate", help="Only say what it would take.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before sending.")] = False,
) -> None:
    """Let a language model label messages; says what that costs before and after.

    Examples:

        outreach label llm --set llm.model=qwen3:8b --set llm.base_url=http://localhost:11434/v1

        outreach label llm --estimate --set llm.input_price=0.15 --set llm.output_price=0.6
    """
    from pipeline.cli.console import TerminalProgress
    from pipeline.cli.label_words import say_estimate, say_llm
    from pipeline.labeling.lists import items_of
    from pipeline.labeling.llm import estimate as estimate_run
    from pipeline.labeling.llm import label_with_llm, to_ask
    from pipeline.labeling.project import open_project

    progress = TerminalProgress()
    project = open_project(settings_from(config, overrides))
    only = [item.message for item in items_of(listed, project.by_id, progress)] if listed else []
    messages = to_ask(project, limit, only)
    say_estimate(estimate_run(project, messages), project.settings.llm)
    if estimate or not messages:
        return
    if not yes:
        typer.confirm("Send them?", abort=True)
    run = label_with_llm(project, messages, progress=progress)
    say_llm(run)
    if run.failures:
        raise typer.Exit(1)


def review(
    config: Config = DEFAULT,
    overrides: Overrides = None,
    listed: Listed = None,
    outdated: Annotated[
        bool, typer.Option("--outdated", help="Answers older than the codebook, again.")
    ] = False,
    overlap: Annotated[
        float, typer.Option(min=0, max=1, help="Share that several people label.")
    ] = 0.2,
    readers: Annotated[int, typer.Option(min=1, help="How many label each of those.")] = 2,
    gold: Annotated[
        bool, typer.Option("--gold", help="Answers override everybody else's.")
    ] = False,
    model: Annotated[Path | None, typer.Option(help="Model folder for suggestions.")] = None,
    host: Annotated[str, typer.Option(help="Address to serve at.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535)] = 8765,
) -> None:
    """Serve a page on which people label one message at a time.

    Examples:

        outreach label review

        outreach label review --list data/processed/default/next.jsonl --overlap 0.3

        outreach label review --host 0.0.0.0 --model models/default
    """
    from pipeline.cli.console import TerminalProgress
    from pipeline.labeling.project import open_project
    from pipeline.labeling.review.server import review as serve

    serve(
        open_project(settings_from(config, overrides)),
        messages=listed,
        outdated=outdated,
        overlap=overlap,
        readers=readers,
        gold=gold,
        model=model,
        host=host,
        port=port,
        progress=TerminalProgress(),
    )
