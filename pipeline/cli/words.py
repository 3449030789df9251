"""Results of the stages in words."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.cli.console import out

if TYPE_CHECKING:
    from pipeline.settings import Settings
    from pipeline.store import StageResult


def say_stage(result: "StageResult") -> None:
    """One line a stage: what it made, from the manifest's counts, and how long it took."""
    counts = ", ".join(
        f"{_number(v)} {k.replace('_', ' ')}"
        for k, v in result.counts.items()
        if isinstance(v, int | float)
    )
    ending = "unchanged, skipped" if result.skipped else _duration(result.seconds)
    out.print(f"[bold]{result.stage:<9}[/] {counts} [dim]({ending})[/] → {result.output_dir}")


def say_headline(report_dir: Path) -> None:
    """The report's headline figures."""
    from pipeline.evaluation.headline import headline

    metrics = json.loads((report_dir / "metrics.json").read_text(encoding="utf-8"))
    for line in headline(metrics):
        out.print(f"  {line}", markup=False)


def say_finished(settings: "Settings", results: Sequence["StageResult"]) -> None:
    """What a newcomer needs after `make train`: figures, paths, and a line to paste."""
    if all(result.skipped for result in results):
        out.print("Nothing has changed since the last run; every stage was skipped.")
    report = results[-1].output_dir
    out.print()
    say_headline(report)
    out.print()
    out.print(f"model   {settings.model_dir}", markup=False)
    out.print(f"report  {report / 'index.html'}", markup=False)
    example = "Could you introduce me to your editor?"
    out.print(f'try     .venv/bin/outreach predict "{example}"', markup=False)


def _number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:.3f}"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{seconds:.1f} s"
