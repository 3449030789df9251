"""Files of other tools: which format is whose, writing one, and reading one that came back."""

from __future__ import annotations

import csv
import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pipeline.errors import InputError
from pipeline.labeling.exchange import argilla, doccano, label_studio, prodigy, table
from pipeline.labeling.exchange.rows import FIELDS, Row
from pipeline.labeling.log import latest
from pipeline.labeling.parse import annotation_from
from pipeline.records import Annotation, Message, Rejection
from pipeline.settings import Task
from pipeline.store import atomic_path

Format = Literal["label-studio", "argilla", "prodigy", "doccano", "csv"]

_WRITERS: Mapping[str, Callable[[Message, Sequence[Annotation], Task], Iterator[Row]]] = {
    "label-studio": label_studio.write,
    "argilla": argilla.write,
    "prodigy": prodigy.write,
    "doccano": doccano.write,
    "csv": table.write,
}
_READERS: Mapping[str, Callable[[Row], Iterator[Row]]] = {
    "label-studio": label_studio.read,
    "argilla": argilla.read,
    "prodigy": prodigy.read,
    "doccano": doccano.read,
    "csv": table.read,
}


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


def _write_csv(path: Path, rows: Sequence[Row]) -> None:
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, ["id", "text", "annotator", "asks", *FIELDS])
        writer.writeheader()
        writer.writerows(rows)
