"""Label Studio: tasks with annotations and predictions, as its JSON export writes them.

Of an annotation it keeps the results and who completed it, which must be one of its own users; so
everything of ours, the annotator's name too, travels in the first result's ``meta``. That it takes
this in and gives it back was checked against Label Studio 1.23 itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from xml.sax.saxutils import quoteattr

from pipeline.labeling.exchange.rows import (
    QUESTION,
    Row,
    asks_of,
    choices_of,
    extras_with_abstention,
    row_of,
)
from pipeline.labeling.resolve import GOLD, MACHINES
from pipeline.records import NONE, Annotation, Message, render
from pipeline.settings import Task

_PRIMARY = "primary"


def interface(task: Task) -> str:
    """The labelling interface that a project there needs, to be pasted as its code."""
    several = task.multi_label
    names = [*task.labels, *([NONE] if several else [])]
    lines = ["<View>", '  <Text name="text" value="$text"/>']
    lines += [
        '  <Header value="What does it ask its reader for?"/>',
        f'  <Choices name="{QUESTION}" toName="text" '
        f'choice="{"multiple" if several else "single"}" required="true">',
        *(f"    <Choice value={quoteattr(name)}/>" for name in names),
        "  </Choices>",
    ]
    if several:
        lines += [
            '  <Header value="If several: which one would it lose its point without?"/>',
            f'  <Choices name="{_PRIMARY}" toName="text" choice="single">',
            *(f"    <Choice value={quoteattr(name)}/>" for name in task.labels),
            "  </Choices>",
        ]
    return "\n".join([*lines, "</View>"]) + "\n"


def write(message: Message, given: Sequence[Annotation], task: Task) -> Iterator[Row]:
    """A task with people's answers as annotations and machines' as predictions."""
    yield {
        "data": {"text": render(message.subject, message.text), "outreach_id": message.id},
        "annotations": [
            {
                "result": _results(a, task),
                "was_cancelled": a.asks is None,
                "ground_truth": a.role == GOLD,
            }
            for a in given
            if a.role not in MACHINES
        ],
        "predictions": [
            {"result": _results(a, task), "model_version": a.annotator, "score": a.confidence}
            for a in given
            if a.role in MACHINES
        ],
    }


def _results(annotation: Annotation, task: Task) -> list[Row]:
    choices = choices_of(annotation.asks, task)
    ours = {"annotator": annotation.annotator, **extras_with_abstention(annotation)}
    first = {**_result(QUESTION, choices), "meta": {"outreach": {**ours, "choices": choices}}}
    if len(annotation.asks or ()) < 2:
        return [first]
    return [first, _result(_PRIMARY, [str(annotation.primary)])]


def _result(question: str, choices: Sequence[str]) -> Row:
    value = {"choices": list(choices)}
    return {"from_name": question, "to_name": "text", "type": "choices", "value": value}


def read(row: Row) -> Iterator[Row]:
    """The answers of one task; drafts and tasks without an answer have none."""
    message = row["data"]["outreach_id"]
    for entry in row.get("annotations", []):
        results = entry["result"]
        ours = _ours(results)
        if ours is not None:
            yield row_of(message, ours["annotator"], asks_of(ours["choices"], ours), ours)
            continue
        asks = None if entry.get("was_cancelled") else asks_of(_chosen(results, QUESTION), {})
        extras = {
            "role": GOLD if entry.get("ground_truth") else "reader",
            "time": entry.get("updated_at") or entry.get("created_at") or "",
            "primary": next(iter(_chosen(results, _PRIMARY)), None) if asks else None,
        }
        yield row_of(message, _who(entry.get("completed_by", "")), asks, extras)
    for entry in row.get("predictions", []):
        if isinstance(entry, int):
            continue  # its export names predictions by number; they came from us
        results = entry["result"]
        extras = _ours(results) or {"role": "model", "confidence": entry.get("score")}
        asks = asks_of(_chosen(results, QUESTION), extras)
        yield row_of(message, entry["model_version"], asks, extras)


def _ours(results: Sequence[Row]) -> Row | None:
    """What we sent along, unless somebody has changed the answer there since: then it is theirs."""
    for result in results:
        meta = result.get("meta")
        ours = meta.get("outreach") if isinstance(meta, Mapping) else None
        if ours and ours["choices"] == _chosen(results, QUESTION):
            primaries = _chosen(results, _PRIMARY)
            return dict(ours) if primaries in ([], [ours.get("primary")]) else None
    return None


def _chosen(results: Sequence[Row], question: str) -> list[str]:
    """The choices of a question; results of other interfaces count as answers to the first."""
    found = [r for r in results if r.get("type") == "choices"]
    if question == QUESTION:
        mine = [r for r in found if r.get("from_name") != _PRIMARY]
    else:
        mine = [r for r in found if r.get("from_name") == question]
    return [choice for result in mine for choice in result["value"]["choices"]]


def _who(completed_by: object) -> str:
    if isinstance(completed_by, Mapping):
        return str(completed_by.get("email", ""))
    return f"label-studio {completed_by}"
