"""`outreach label export|import|merge`: other tools, and other machines."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli.options import DEFAULT, Config, Overrides, settings_from

if TYPE_CHECKING:
    from pipeline.labeling.exchange.files import Format

FormatOption = Annotated[
    str, typer.Option("--format", "-f", help="label-studio, argilla, prodigy, doccano or csv.")
]


def register(group: typer.Typer) -> None:
    group.command()(export)
    group.command(name="import")(import_)
    group.command()(merge)


def export(
    path: Annotated[Path, typer.Argument(help="File to write; it will hold message texts.")],
    format_: FormatOption,
    config: Config = DEFAULT,
    overrides: Overrides = None,
) -> None:
    """Write messages and annotations for another labelling tool.

    Examples:

        outreach label export tasks.json --format label-studio

        outreach label export sheet.csv --format csv
    """
    from pipeline.cli.console import err
    from pipeline.labeling.exchange.files import export_annotations
    from pipeline.labeling.project import open_project

    project = open_project(settings_from(config, overrides))
    rows = export_annotations(
        path, _format(format_), project.messages, project.annotations, project.settings.task
    )
    err.print(f"{rows} row(s) written to {path}", markup=False)
    if format_ == "label-studio":
        from pipeline.labeling.exchange.label_studio import interface

        code = path.with_suffix(".xml")
        code.write_text(interface(project.settings.task), encoding="utf-8")
        err.print(
            f"The labelling interface is in {code}: paste it in the project's Settings, Labeling "
            "Interface, Code, before you import the tasks.",
            markup=False,
        )


def import_(
    path: Annotated[Path, typer.Argument(help="File that another tool exported.")],
    format_: FormatOption,
    config: Config = DEFAULT,
    overrides: Overrides = None,
) -> None:
    """Add another tool's annotations to the log; those already there are not added again.

    Examples:

        outreach label import project-1.json --format label-studio
    """
    from pipeline.cli.console import err
    from pipeline.labeling.exchange.files import import_annotations
    from pipeline.labeling.log import append
    from pipeline.labeling.project import open_project

    project = open_project(settings_from(config, overrides))
    found = import_annotations(path, _format(format_), project.by_id, project.settings.task)
    have = set(project.annotations)
    added = append(project.settings.log, [a for a in found.annotations if a not in have])
    err.print(f"{added} annotation(s) added to {project.settings.log}", markup=False)
    for rejection in found.rejected[:20]:
        err.print(f"  {rejection.position}: {rejection.reason}, {rejection.detail}", markup=False)
    if found.rejected:
        err.print(f"{len(found.rejected)} row(s) could not be taken.", style="red", markup=False)
        raise typer.Exit(1)


def merge(
    paths: Annotated[list[Path], typer.Argument(help="Logs of other machines.")],
    config: Config = DEFAULT,
    overrides: Overrides = None,
) -> None:
    """Take other machines' annotation logs into this project's log, each annotation once.

    Examples:

        outreach label merge laptop.jsonl desktop.jsonl
    """
    from pipeline.cli.console import err
    from pipeline.labeling.log import merge as merge_logs

    settings = settings_from(config, overrides)
    added, rejected = merge_logs(paths, settings.log, settings.task)
    err.print(f"{added} annotation(s) added to {settings.log}", markup=False)
    for rejection in rejected[:20]:
        place = f"{rejection.source}, {rejection.position}"
        err.print(f"  {place}: {rejection.reason}, {rejection.detail}", markup=False)
    if rejected:
        raise typer.Exit(1)


def _format(name: str) -> "Format":
    from typing import get_args

    from pipeline.errors import SettingsError
    from pipeline.labeling.exchange.files import Format

    if name not in get_args(Format):
        raise SettingsError(f"--format {name}: expected one of {', '.join(get_args(Format))}.")
    return name  # type: ignore[return-value]
