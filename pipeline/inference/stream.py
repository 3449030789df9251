"""Any reader in, any writer out: predictions for a stream of messages, in constant memory."""

from __future__ import annotations

import csv
import json
import sys
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

    Each message is prepared (the sender's own words, private data replaced) as the messages were
    that the model learned from. `Prediction.extra` holds the whole input row, as it came.
    """
    from pipeline.ingestion.prepare import prepare

    stream = iter(incoming)
    while chunk := list(islice(stream, CHUNK)):
        found = [entry for entry in chunk if not isinstance(entry, Rejection)]
        messages = [prepare(entry.message, classifier.cleaning) for entry in found]
        texts = [render(message.subject, message.text) for message in messages]
        answers = iter(classifier.predict(texts, [message.id for message in messages]))
        for entry in chunk:
            if isinstance(entry, Rejection):
                yield entry
            else:
                yield Answered(replace(next(answers), extra=entry.row), entry.message)


def incoming_from(
    inputs: Iterable[str], columns: Columns, lines: bool = False
) -> Iterator[Incoming | Rejection]:
    """Messages from what a user typed: texts, names of files, and ``-`` for standard input.

    Args:
        inputs: a text is one message; what names a file or a folder is read.
        columns: which column of a table holds what.
        lines: each line of standard input is a message of its own.

    Raises:
        InputError: something that looks like a file is not there, or a file cannot be read.
    """
    from pipeline.ingestion.sources import read

    for number, given in enumerate(inputs, start=1):
        if given == "-" and lines:
            for line_number, line in enumerate(sys.stdin.buffer, start=1):
                if line.strip():
                    yield _from_line(line, line_number)
        elif given == "-" or _names_file(given):
            yield from read(Path(given), columns)
        else:
            yield _from_text(given, "argument", str(number))


def _names_file(given: str) -> bool:
    if "\n" in given or len(given) > 1024:
        return False
    path = Path(given)
    if path.exists():
        return True
    if " " not in given and (path.suffix or "/" in given):
        raise InputError(
            f"{given}: no such file. (A text to classify would have spaces in it, or could be "
            "piped in: echo TEXT | outreach predict -)"
        )
    return False


def _from_line(line: bytes, number: int) -> Incoming | Rejection:
    try:
        return _from_text(line.decode("utf-8"), "stdin", str(number))
    except UnicodeDecodeError:
        shown = line.decode("utf-8", "backslashreplace").rstrip()
        return Rejection("stdin", str(number), "not_utf8", "expected UTF-8", shown)


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
