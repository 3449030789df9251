"""Any reader in, any writer out: predictions for a stream of messages, in constant memory."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from pipeline.errors import InputError
from pipeline.records import Message, Prediction, Rejection, render

if TYPE_CHECKING:
    from pipeline.inference.classifier import Classifier
    from pipeline.ingestion.sources import Incoming
    from pipeline.settings import Columns

CHUNK = 512
"""Messages scored at a time: enough to batch by length, little enough to answer soon."""

_FILE_SUFFIXES = (".jsonl", ".ndjson", ".csv", ".tsv", ".parquet")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True)
class Answered:
    """A prediction beside the message and the input row it answers."""

    prediction: Prediction
    message: Message


def predict_stream(
    classifier: Classifier, incoming: Iterable[Incoming | Rejection]
) -> Iterator[Answered | Rejection]:
    """Answer messages in their order; rejected records pass through where they stood.

    `Prediction.extra` holds the whole input row.
    """
    stream = iter(incoming)
    while chunk := list(islice(stream, CHUNK)):
        found = [entry for entry in chunk if not isinstance(entry, Rejection)]
        texts = [render(entry.message.subject, entry.message.text) for entry in found]
        ids = [entry.message.id for entry in found]
        answers = iter(classifier.predict(texts, ids))
        for entry in chunk:
            if isinstance(entry, Rejection):
                yield entry
            else:
                yield Answered(replace(next(answers), extra=entry.row), entry.message)


def incoming_from(
    inputs: Iterable[str], columns: Columns, stdin: IO[bytes], lines: bool = False
) -> Iterator[Incoming | Rejection]:
    """Messages from what a user typed: texts, names of files, and ``-`` for standard input.

    Args:
        inputs: a text is one message; what names a file is read.
        columns: which column of a file holds what.
        stdin: where ``-`` reads from: JSON Lines, or one text.
        lines: each line of a plain text on standard input is a message of its own.

    Raises:
        InputError: something that looks like a file is not there, or a file cannot be read.
    """
    from pipeline.ingestion.sources import read

    for number, given in enumerate(inputs, start=1):
        if given == "-":
            yield from _from_stdin(stdin, columns, lines)
        elif _names_file(given):
            yield from read(Path(given), columns)
        else:
            yield _from_text(given, "argument", str(number))


def _names_file(given: str) -> bool:
    if "\n" in given or len(given) > 1024:
        return False
    path = Path(given)
    if path.exists():
        return True
    if " " not in given and (path.suffix.lower() in _FILE_SUFFIXES or "/" in given):
        raise InputError(
            f"{given}: no such file. (A text to classify would have spaces in it, or could be "
            "piped in: echo TEXT | outreach predict -)"
        )
    return False


def _from_stdin(stdin: IO[bytes], columns: Columns, lines: bool) -> Iterator[Incoming | Rejection]:
    from pipeline.ingestion.tables import read_jsonl_lines

    first = b""
    for first in stdin:
        if first.strip():
            break
    if first.lstrip().startswith(b"{"):
        yield from read_jsonl_lines(_chain(first, stdin), "stdin", columns)
    elif lines:
        for number, line in enumerate(_chain(first, stdin), start=1):
            if line.strip():
                yield _from_bytes(line, f"line {number}")
    else:
        yield _from_bytes(first + stdin.read(), "1")


def _chain(first: bytes, rest: Iterable[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest


def _from_bytes(content: bytes, position: str) -> Incoming | Rejection:
    try:
        return _from_text(content.decode("utf-8"), "stdin", position)
    except UnicodeDecodeError:
        shown = content.decode("utf-8", "backslashreplace")
        return Rejection("stdin", position, "not_utf8", "expected UTF-8", shown)


def _from_text(text: str, source: str, position: str) -> Incoming | Rejection:
    from pipeline.ingestion.sources import Incoming

    if not text.strip():
        return Rejection(source, position, "empty_text", "expected some text")
    name = f"{source}:{position}"
    return Incoming(
        Message(name, text.strip(), source=source, position=position), {"text": text.strip()}
    )


def as_row(answered: Answered) -> dict[str, Any]:
    """A prediction as one flat output row: id, primary, asks, scores, then every input column.

    An input column of one of those four names is kept as ``input_NAME``.
    """
    prediction = answered.prediction
    row: dict[str, Any] = {
        "id": prediction.id,
        "primary": prediction.primary,
        "asks": list(prediction.asks),
        "scores": prediction.scores,
    }
    for name, value in prediction.extra.items():
        if name == "id" and str(value) == prediction.id:
            continue
        row[f"input_{name}" if name in row else name] = value
    return row


def write_jsonl(rows: Iterable[Mapping[str, Any]], stream: IO[str]) -> None:
    """One JSON object a line."""
    for row in rows:
        stream.write(json.dumps(row, ensure_ascii=False, default=str) + "\n")


def write_csv(rows: Iterable[Mapping[str, Any]], stream: IO[str]) -> None:
    """Comma-separated, one column a score, headed by the first row's columns.

    Cells that a spreadsheet would run as a formula get a leading apostrophe.
    """
    writer: csv.DictWriter[str] | None = None
    for row in rows:
        flat = _flat(row)
        if writer is None:
            writer = csv.DictWriter(stream, list(flat), extrasaction="ignore", restval="")
            writer.writeheader()
        writer.writerow(flat)


def _flat(row: Mapping[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in row.items():
        if name == "scores":
            flat.update({f"score_{label}": score for label, score in value.items()})
        elif name == "asks":
            flat[name] = ";".join(value)
        elif isinstance(value, dict | list):
            flat[name] = json.dumps(value, ensure_ascii=False, default=str)
        elif isinstance(value, str) and value.startswith(_FORMULA):
            flat[name] = f"'{value}"
        else:
            flat[name] = value
    return flat
