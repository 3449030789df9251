"""`outreach label`: from messages and annotations to three splits, and what leads there."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli import label_annotators, label_exchange
from pipeline.cli.options import DEFAULT, Config, Force, Overrides, settings_from

if TYPE_CHECKING:
    from pipeline.labeling.project import Project

By = Annotated[str, typer.Option(help="mixed, uncertainty, disagreement, diversity or random.")]
Count = Annotated[int, typer.Option("--count", "-n", min=1, help="How many messages.")]
Output = Annotated[
    Path | None, typer.Option(help="The list to write; default: beside the stage outputs.")
]


def register(app: typer.Typer) -> None:
    group = typer.Typer(
        no_args_is_help=True,
        help="Labels: rules, language models and people annotate; resolve makes the splits.",
    )
    label_annotators.register(group)
    for command in (next_, resolve, agreement, issues):
        group.command(name=command.__name__.rstrip("_"))(command)
    label_exchange.register(group)
    app.add_typer(group, name="label")


def resolve(config: Config = DEFAULT, overrides: Overrides = None, force: Force = False) -> None:
    """Resolve the annotations and split into train, validation and test.

    Examples:

        outreach label resolve

        outreach label resolve --set label.method=dawid_skene

        outreach label resolve --set label.split_by=time --set label.validation=0.2
    """
    import json

    from pipeline.cli.console import TerminalProgress
    from pipeline.cli.label_words import say_annotators
    from pipeline.cli.words import say_stage
    from pipeline.labeling.stage import label

    result = label(settings_from(config, overrides), force=force, progress=TerminalProgress())
    say_stage(result)
    file = result.output_dir / "annotators.json"
    if not result.skipped and file.exists():
        say_annotators(json.loads(file.read_text(encoding="utf-8")))


def next_(
    config: Config = DEFAULT,
    overrides: Overrides = None,
    count: Count = 50,
    by: By = "mixed",
    output: Output = None,
) -> None:
    """List the messages to label next: unsure, disputed, unlike the others, and some at random.

    Examples:

        outreach label next

        outreach label next --by uncertainty --count 100 --output week2.jsonl

        outreach label review --list data/processed/default/next.jsonl
    """
    from typing import get_args

    from pipeline.errors import SettingsError
    from pipeline.labeling.lists import write_list
    from pipeline.labeling.queue import By as Strategies
    from pipeline.labeling.queue import next_messages

    if by not in get_args(Strategies):
        raise SettingsError(f"--by {by}: expected one of {', '.join(get_args(Strategies))}.")
    project = _project(config, overrides)
    items = next_messages(project, count, by)  # type: ignore[arg-type]
    path = output or _list_path(project, "next")
    write_list(path, items)
    _say_list(items, path)


def agreement(
    config: Config = DEFAULT,
    overrides: Overrides = None,
    machines: Annotated[
        bool, typer.Option("--machines", help="Count language models and models too.")
    ] = False,
    count: Count = 50,
    output: Output = None,
) -> None:
    """Measure how far annotators agree, and list the messages they dispute most.

    Examples:

        outreach label agreement

        outreach label agreement --machines
    """
    from pipeline.cli.label_words import say_agreement
    from pipeline.labeling.agreement import agreement as measure
    from pipeline.labeling.agreement import disputed
    from pipeline.labeling.codebook import outdated_in_words
    from pipeline.labeling.lists import write_list

    project = _project(config, overrides)
    found = measure(project.annotations, project.settings.task, machines=machines)
    say_agreement(found)
    items = disputed(project.annotations, count)
    path = output or _list_path(project, "disputed")
    write_list(path, items)
    _say_list(items, path)
    if project.settings.label.codebook.exists():
        from pipeline.cli.console import err

        older = outdated_in_words(project.annotations, project.codebook)
        err.print(older, markup=False, end="\n" if older else "")


def issues(
    config: Config = DEFAULT,
    overrides: Overrides = None,
    outliers: Annotated[int, typer.Option(min=0, help="How many odd messages to list too.")] = 20,
    output: Output = None,
) -> None:
    """List likely label errors and outliers for people to look at; changes nothing.

    Examples:

        outreach label issues

        outreach label review --list data/processed/default/issues.jsonl --gold
    """
    from pipeline.labeling.issues import find_issues
    from pipeline.labeling.lists import write_list

    project = _project(config, overrides)
    items = find_issues(project, outliers)
    path = output or _list_path(project, "issues")
    write_list(path, items)
    _say_list(items, path)


def _project(config: Path, overrides: list[str] | None) -> "Project":
    from pipeline.labeling.project import open_project

    return open_project(settings_from(config, overrides))


def _list_path(project: "Project", name: str) -> Path:
    settings = project.settings
    return settings.data.processed / settings.name / f"{name}.jsonl"


def _say_list(items: object, path: Path) -> None:
    from pipeline.cli.label_words import say_list

    say_list(items, path)  # type: ignore[arg-type]
