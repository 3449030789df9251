"""Any reader in: predictions for a stream of messages, in their order and in constant memory."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.errors import InputError
from pipeline.ingestion.incoming import Incoming
from pipeline.records import Message, Prediction, Rejection, render

if TYPE_CHECKING:
    from pipeline.inference.classifier import Classifier
    from pipeline.inference.explain import Explanation
    from pipeline.settings import Columns

CHUNK = 1024
"""Messages scored at a time: enough to batch by length, little enough to answer soon."""
_FIRST_CHUNK = 32


@dataclass(frozen=True, slots=True)
class Answered:
    """A prediction beside the message it answers, as it was read."""

    prediction: Prediction
    """Its `extra` holds the whole input row, as it came."""
    message: Message
    explanation: Explanation | None = None


Entry = Answered | Rejection


def predict_stream(
    classifier: Classifier,
    incoming: Iterable[Incoming | Rejection],
    min_confidence: float = 0.0,
    explain: bool = False,
) -> Iterator[Entry]:
    """Answer messages in their order; rejected records pass through where they stood.

    Each message is prepared (the sender's own words, private data replaced) as the messages were
    that the model learned from.

    Args:
        classifier: the model.
        incoming: what a reader gives.
        min_confidence: answers with less confidence become `unsure`.
        explain: also say which sentence makes each ask.
    """
    from pipeline.ingestion.prepare import prepare

    stream = iter(incoming)
    size = _FIRST_CHUNK  # whoever looks on sees the first answers at once
    while chunk := list(islice(stream, size)):
        size = CHUNK
        found = [entry for entry in chunk if not isinstance(entry, Rejection)]
        messages = [prepare(entry.message, classifier.cleaning) for entry in found]
        texts = [render(message.subject, message.text) for message in messages]
        names = [message.id for message in messages]
        predictions = classifier.predict(texts, names, min_confidence)
        answers = iter(predictions)
        explained = iter(
            classifier.explain(texts, predictions=predictions) if explain else [None] * len(texts)
        )
        for entry in chunk:
            if isinstance(entry, Rejection):
                yield entry
            else:
                prediction = replace(next(answers), extra=entry.row)
                yield Answered(prediction, entry.message, next(explained))


def incoming_from(
    inputs: Iterable[str],
    columns: Columns | None = None,
    lines: bool = False,
    on_bytes: Callable[[int], None] | None = None,
) -> Iterator[Incoming | Rejection]:
    """Messages from what a user typed: texts, names of files, and ``-`` for standard input.

    Args:
        inputs: a text is one message; what names a file or a folder is read.
        columns: which column of a table holds what.
        lines: each line of standard input is a message of its own.
        on_bytes: told how many bytes of files were read since the last call.

    Raises:
        InputError: something that looks like a file is not there, or a file cannot be read.
    """
    for number, given in enumerate(inputs, start=1):
        if given == "-" and lines:
            for line_number, line in enumerate(sys.stdin.buffer, start=1):
                if line.strip():
                    yield _from_line(line, line_number)
        elif given == "-" or names_file(given):
            yield from _from_file(Path(given), columns, on_bytes)
        else:
            yield _from_text(given, "argument", str(number))


def names_file(given: str) -> bool:
    """Whether what a user typed names a file or folder, not a text.

    Raises:
        InputError: it looks like a file and is not there.
    """
    if not given.strip() or "\n" in given or len(given) > 1024:  # empty: the current folder
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


def _from_file(
    path: Path, columns: Columns | None, on_bytes: Callable[[int], None] | None
) -> Iterator[Incoming | Rejection]:
    from pipeline.inference.tasks import holds_tasks, read_tasks
    from pipeline.ingestion.sources import read
    from pipeline.settings import Columns

    columns = columns or Columns()
    if holds_tasks(path):
        yield from read_tasks(path, columns, on_bytes)
    else:
        yield from read(path, columns, on_bytes)


def _from_line(line: bytes, number: int) -> Incoming | Rejection:
    try:
        return _from_text(line.decode("utf-8"), "stdin", str(number))
    except UnicodeDecodeError:
        shown = line.decode("utf-8", "backslashreplace").rstrip()
        return Rejection("stdin", str(number), "not_utf8", "expected UTF-8", shown)


def _from_text(text: str, source: str, position: str) -> Incoming | Rejection:
    if not text.strip():
        return Rejection(source, position, "empty_text", "expected some text")
    name = f"{source}:{position}"
    return Incoming(
        Message(name, text.strip(), source=source, position=position), {"text": text.strip()}
    )


def as_row(answered: Answered) -> dict[str, Any]:
    """A prediction as one flat output row: id, primary, asks, scores, then every input column.

    An input column of one of those names is kept as ``input_NAME``. With an explanation there is a
    column `because` too.
    """
    prediction = answered.prediction
    row: dict[str, Any] = {
        "id": prediction.id,
        "primary": prediction.primary,
        "asks": list(prediction.asks),
        "scores": prediction.scores,
    }
    if answered.explanation is not None:
        row["because"] = answered.explanation.to_row()
    for name, value in prediction.extra.items():
        if name == "id" and str(value) == prediction.id:
            continue
        row[f"input_{name}" if name in row else name] = value
    return row
