"""What labeling found, as tables and lines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table

from pipeline.cli.console import err, out

if TYPE_CHECKING:
    from pipeline.labeling.agreement import Agreement, Figure
    from pipeline.labeling.lists import Item
    from pipeline.labeling.llm import Estimate, LlmRun
    from pipeline.labeling.rules import RuleReport
    from pipeline.settings import Llm

_MOST = 15


def say_rules(rows: Sequence[RuleReport], together: Mapping[str, float], messages: int) -> None:
    """The table of rules."""
    table = _table("rule", "asks", "coverage", "overlap", "conflict", "right", "of", "failed")
    for row in rows:
        table.add_row(
            row.rule,
            ", ".join(row.asks) or ("none" if row.coverage else "–"),
            *(f"{share:.1%}" for share in (row.coverage, row.overlap, row.conflict)),
            _share(row.accuracy),
            str(row.compared),
            str(row.failures or ""),
        )
    out.print(table)
    line = f"Together they speak on {together['covered']:,} of {messages:,} messages"
    if together["compared"]:
        line += (
            f"; against people on {together['compared']:,}: primary right "
            f"{together['primary']:.1%}, all asks right {together['asks']:.1%}"
        )
    out.print(line + ".")


def say_annotators(rows: Sequence[Mapping[str, Any]]) -> None:
    """The table of annotators, those who differ most from the others first."""
    ranked = sorted(rows, key=lambda r: (r["with_others"] is None, r["with_others"] or 0))
    table = _table("annotator", "role", "messages", "sure", "like the others", "right (gold)")
    for row in ranked[:_MOST]:
        table.add_row(
            row["annotator"],
            row["role"],
            f"{row['messages']:,}",
            f"{row['sure']:.0%}",
            _share(row["with_others"]),
            _share(row["with_gold"]),
        )
    out.print(table)
    if len(ranked) > _MOST:
        out.print(f"[dim]… and {len(ranked) - _MOST} more in annotators.json[/]")


def say_agreement(found: Agreement) -> None:
    """Alpha per ask and kappa per pair."""
    out.print(f"{found.messages:,} messages with several answers, {found.annotators} annotators")
    table = _table("Krippendorff's alpha", "", "95 % interval")
    for name, figure in found.alpha.items():
        table.add_row(name, f"{figure.value:.3f}", _interval(figure))
    out.print(table)
    pairs = sorted(found.kappa.items(), key=lambda entry: entry[1].value)
    if pairs:
        table = _table("Cohen's kappa, lowest first", "", "95 % interval", "messages")
        for (one, other), figure in pairs[:_MOST]:
            count = str(figure.messages)
            table.add_row(f"{one} – {other}", f"{figure.value:.3f}", _interval(figure), count)
        out.print(table)
        if len(pairs) > _MOST:
            out.print(f"[dim]… and {len(pairs) - _MOST} more pairs[/]")
    if found.suggested:
        out.print(f"{found.suggested} answer(s) given after a suggestion were left out.")


def say_list(items: Sequence[Item], path: Path) -> None:
    """How many messages a list has, why, and where it is."""
    reasons = ", ".join(f"{n} {reason}" for reason, n in Counter(i.reason for i in items).items())
    out.print(f"{len(items)} message(s) listed ({reasons or 'none'}) → {path}", markup=False)
    if items:
        err.print(f"Look at them: outreach label review --list {path}", markup=False)


def say_estimate(found: Estimate, settings: Llm) -> None:
    """What a run of a language model would take."""
    usage = found.usage
    out.print(
        f"{found.messages:,} messages to label with {settings.model or '(no llm.model)'}: about "
        f"{usage.input_tokens:,} tokens read, {usage.output_tokens:,} written, "
        + _cost(found.cost),
        markup=False,
    )


def say_llm(run: LlmRun) -> None:
    """What a run of a language model did."""
    out.print(
        f"{run.labelled:,} labelled ({run.from_cache:,} from the cache); "
        f"{run.usage.requests:,} requests, {run.usage.input_tokens:,} tokens read, "
        f"{run.usage.output_tokens:,} written, " + _cost(run.cost),
        markup=False,
    )
    if run.suspicious:
        listed = ", ".join(run.suspicious[:10])
        out.print(
            f"{len(run.suspicious)} message(s) seem to address the labeller ({listed}); "
            f"{run.withheld} of them got no label, because it hung on those words.",
            markup=False,
        )
    for reason, count in run.failures.items():
        err.print(f"{count} without an answer: {reason}", style="red", markup=False)


def _cost(cost: float | None) -> str:
    return (
        "price unknown (llm.input_price, llm.output_price)" if cost is None else f"cost {cost:.4f}"
    )


def _interval(figure: Figure) -> str:
    return f"{figure.low:.3f} to {figure.high:.3f}"


def _share(share: float | None) -> str:
    return "–" if share is None else f"{share:.1%}"


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for i, column in enumerate(columns):
        table.add_column(column, justify="left" if i < 2 else "right")
    return table
