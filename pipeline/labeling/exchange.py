"""To and from other labelling tools: Label Studio, Argilla, Prodigy, doccano, and CSV.

Each format is a pair of plain functions between our records and that tool's rows. What a tool has
no place for travels in its metadata under ``outreach``, so that a round trip loses nothing.
"""

from __future__ import annotations

import csv
import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pipeline.errors import InputError
from pipeline.labeling.log import latest
from pipeline.labeling.parse import annotation_from
from pipeline.records import NONE, Annotation, Message, Rejection, render
from pipeline.settings import Task
from pipeline.store import atomic_path

Format = Literal["label-studio", "argilla", "prodigy", "doccano", "csv"]
Row = dict[str, Any]

_QUESTION = "asks"
_FIELDS = ("primary", "role", "sure", "confidence", "time", "codebook", "suggested", "note")


@dataclass(frozen=True)
class Imported:
    """What a file of another tool held."""

    annotations: list[Annotation]
    rejected: list[Rejection]


def export_annotations(
    path: Path,
    format_: Format,
    messages: Sequence[Message],
    annotations: Iterable[Annotation],
    task: Task,
) -> int:
    """Write messages and their annotations as another tool reads them; returns the rows written.

    Tools that keep one annotator a row (Prodigy, doccano, CSV) get a row for each annotation, and
    one without an answer for each message that has none.

    Args:
        path: the file to write.
        format_: whose format.
        messages: all messages to write.
        annotations: the log; each annotator's standing answer is written.
        task: names the labels.
    """
    given: dict[str, list[Annotation]] = defaultdict(list)
    for annotation in latest(annotations):
        given[annotation.message].append(annotation)
    rows = [row for m in messages for row in _WRITERS[format_](m, given.get(m.id, []), task)]
    with atomic_path(path) as temporary:
        if format_ == "csv":
            _write_csv(temporary, rows)
        elif format_ == "label-studio":
            temporary.write_text(json.dumps(rows, ensure_ascii=False, indent=1), encoding="utf-8")
        else:
            lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in rows]
            temporary.write_text("".join(lines), encoding="utf-8")
    return len(rows)


def import_annotations(path: Path, format_: Format, known: Iterable[str], task: Task) -> Imported:
    """Read another tool's annotations of messages that we know.

    A row about an unknown message, with an unknown label or in another shape is rejected with its
    place and reason; the rest is taken.

    Args:
        path: the file.
        format_: whose format.
        known: the ids of the messages there are.
        task: names the labels.

    Raises:
        InputError: the file cannot be read as that format at all.
    """
    ids = set(known)
    annotations: list[Annotation] = []
    rejected: list[Rejection] = []
    for number, row in enumerate(_rows(path, format_), start=1):
        try:
            for found in _READERS[format_](row):
                if found["message"] not in ids:
                    raise LookupError  # noqa: TRY301 - told apart from a bad row below
                annotations.append(annotation_from(found, task))
        except LookupError as error:
            reason = "missing_field" if isinstance(error, KeyError) else "unknown_message"
            detail = (
                f"no {error}" if isinstance(error, KeyError) else "its id is not in the project"
            )
            rejected.append(Rejection(str(path), f"row {number}", reason, detail))
        except (ValueError, TypeError, AttributeError) as error:
            detail = str(error) if isinstance(error, ValueError) else "not of that tool's shape"
            rejected.append(Rejection(str(path), f"row {number}", "bad_annotation", detail))
    return Imported(annotations, rejected)


def _rows(path: Path, format_: Format) -> list[Row]:
    try:
        text = path.read_text(encoding="utf-8-sig")
        if format_ == "csv":
            return list(csv.DictReader(text.splitlines(keepends=True)))
        if format_ == "label-studio":
            rows = json.loads(text)
        else:
            rows = [json.loads(line) for line in text.split("\n") if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read ({type(error).__name__}).") from None
    except ValueError as error:
        raise InputError(
            f"{path}: not a {format_} file ({str(error).partition(':')[0]}). "
            f"Export it from there as {'JSON' if format_ == 'label-studio' else 'JSON Lines'}."
        ) from None
    if not isinstance(rows, list):
        raise InputError(f"{path}: expected a list of tasks, found {type(rows).__name__}.")
    return rows


def _extras(annotation: Annotation) -> Row:
    """What the tools have no place for."""
    return {name: getattr(annotation, name) for name in _FIELDS}


def _annotation(message: object, annotator: object, asks: object, extras: object) -> Row:
    more = dict(extras) if isinstance(extras, Mapping) else {}
    return {**more, "message": message, "annotator": annotator, "asks": asks}


def _choices(asks: Sequence[str] | None, task: Task) -> list[str]:
    """As tools show it: an answer of no ask is the choice `none`."""
    return [NONE] if asks == () and task.multi_label else list(asks or ())


def _asks(choices: Iterable[str] | None, extras: object) -> list[str] | None:
    if choices is None or (isinstance(extras, Mapping) and extras.get("abstained")):
        return None
    found = list(choices)
    return [] if found == [NONE] else found


def _abstained(annotation: Annotation) -> Row:
    return {**_extras(annotation), **({"abstained": True} if annotation.asks is None else {})}


def _to_label_studio(message: Message, given: Sequence[Annotation], task: Task) -> Iterator[Row]:
    def result(annotation: Annotation) -> list[Row]:
        value = {"choices": _choices(annotation.asks, task)}
        return [{"from_name": _QUESTION, "to_name": "text", "type": "choices", "value": value}]

    people = [a for a in given if a.role not in ("rule", "llm", "model")]
    machines = [a for a in given if a.role in ("rule", "llm", "model")]
    yield {
        "data": {"text": render(message.subject, message.text), "outreach_id": message.id},
        "annotations": [
            {
                "result": result(a),
                "was_cancelled": a.asks is None,
                "completed_by": {"email": a.annotator},
                "meta": {"outreach": _extras(a)},
            }
            for a in people
        ],
        "predictions": [
            {
                "result": result(a),
                "model_version": a.annotator,
                "score": a.confidence,
                "meta": {"outreach": _abstained(a)},
            }
            for a in machines
        ],
    }


def _from_label_studio(row: Row) -> Iterator[Row]:
    message = row["data"]["outreach_id"]
    for entry in row.get("annotations", []):
        who = entry.get("completed_by", "")
        name = who.get("email", "") if isinstance(who, Mapping) else f"label-studio {who}"
        asks = None if entry.get("was_cancelled") else _chosen(entry["result"])
        extras = _meta(entry, time=entry.get("updated_at") or entry.get("created_at") or "")
        yield _annotation(message, name, asks, extras)
    for entry in row.get("predictions", []):
        extras = _meta(entry, role="model", confidence=entry.get("score"))
        yield _annotation(
            message, entry["model_version"], _asks(_chosen(entry["result"]), extras), extras
        )


def _chosen(result: Sequence[Row]) -> list[str]:
    found = [c for r in result if r.get("type") == "choices" for c in r["value"]["choices"]]
    return [] if found == [NONE] else found


def _meta(entry: Row, **otherwise: Any) -> Row:
    meta = entry.get("meta")
    ours = meta.get("outreach") if isinstance(meta, Mapping) else None
    return dict(ours) if ours else {"role": "reader", **otherwise}


def _to_argilla(message: Message, given: Sequence[Annotation], task: Task) -> Iterator[Row]:
    yield {
        "id": message.id,
        "fields": {"text": render(message.subject, message.text)},
        "responses": {
            _QUESTION: [
                {
                    "user_id": a.annotator,
                    "value": _choices(a.asks, task),
                    "status": "discarded" if a.asks is None else "submitted",
                }
                for a in given
            ]
        },
        "metadata": {"outreach": json.dumps({a.annotator: _extras(a) for a in given})},
    }


def _from_argilla(row: Row) -> Iterator[Row]:
    kept = json.loads(row.get("metadata", {}).get("outreach", "{}"))
    for response in row.get("responses", {}).get(_QUESTION, []):
        name = response["user_id"]
        value = response["value"]
        value = [value] if isinstance(value, str) else value
        asks = _asks(None if response.get("status") == "discarded" else value, {})
        yield _annotation(row["id"], name, asks, kept.get(name, {"role": "reader"}))


def _to_prodigy(message: Message, given: Sequence[Annotation], task: Task) -> Iterator[Row]:
    base = {
        "text": render(message.subject, message.text),
        "options": [{"id": name, "text": name} for name in (*task.labels, NONE)],
        "meta": {"outreach_id": message.id},
    }
    for a in given:
        yield {
            **base,
            "accept": _choices(a.asks, task),
            "answer": "ignore" if a.asks is None else "accept",
            "_annotator_id": a.annotator,
            "meta": {"outreach_id": message.id, "outreach": _extras(a)},
        }
    if not given:
        yield base


def _from_prodigy(row: Row) -> Iterator[Row]:
    if "answer" not in row:
        return
    name = row.get("_annotator_id") or row.get("_session_id") or "prodigy"
    accepted = None if row["answer"] != "accept" else row["accept"]
    meta = row["meta"]
    extras = meta.get("outreach", {"role": "reader"})
    yield _annotation(meta["outreach_id"], name, _asks(accepted, extras), extras)


def _to_doccano(message: Message, given: Sequence[Annotation], task: Task) -> Iterator[Row]:
    base = {"text": render(message.subject, message.text), "outreach_id": message.id}
    for a in given:
        mine = {"label": _choices(a.asks, task), "annotator": a.annotator}
        yield {**base, **mine, "outreach": _abstained(a)}
    if not given:
        yield {**base, "label": []}


def _from_doccano(row: Row) -> Iterator[Row]:
    extras = row.get("outreach", {"role": "reader"})
    if not row["label"] and "annotator" not in row:
        return  # not annotated yet
    name = row.get("annotator") or row.get("username") or "doccano"
    yield _annotation(row["outreach_id"], name, _asks(row["label"], extras), extras)


def _to_csv(message: Message, given: Sequence[Annotation], task: Task) -> Iterator[Row]:
    base = {"id": message.id, "text": _safe(render(message.subject, message.text))}
    for a in given:
        asks = "" if a.asks is None else ";".join(_choices(a.asks, task))
        yield {**base, "annotator": a.annotator, "asks": asks, **_extras(a)}
    if not given:
        yield {**base, "annotator": "", "asks": "", **dict.fromkeys(_FIELDS, "")}


def _from_csv(row: Row) -> Iterator[Row]:
    if not row["annotator"]:
        return
    asks = None if not row["asks"] else _asks(row["asks"].split(";"), {})
    extras: Row = {name: row[name] for name in _FIELDS if row.get(name)}
    for name in ("sure", "suggested"):
        if name in extras:
            extras[name] = {"true": True, "false": False}.get(extras[name].lower(), extras[name])
    if "confidence" in extras:
        extras["confidence"] = float(extras["confidence"])
    yield _annotation(row["id"], row["annotator"], asks, extras)


def _safe(text: str) -> str:
    """A cell that no spreadsheet takes for a formula."""
    return "'" + text if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


def _write_csv(path: Path, rows: Sequence[Row]) -> None:
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, ["id", "text", "annotator", "asks", *_FIELDS])
        writer.writeheader()
        writer.writerows(rows)


_WRITERS: Mapping[str, Callable[[Message, Sequence[Annotation], Task], Iterator[Row]]] = {
    "label-studio": _to_label_studio,
    "argilla": _to_argilla,
    "prodigy": _to_prodigy,
    "doccano": _to_doccano,
    "csv": _to_csv,
}
_READERS: Mapping[str, Callable[[Row], Iterator[Row]]] = {
    "label-studio": _from_label_studio,
    "argilla": _from_argilla,
    "prodigy": _from_prodigy,
    "doccano": _from_doccano,
    "csv": _from_csv,
}
