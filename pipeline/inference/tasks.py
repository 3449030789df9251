"""Label Studio's file of tasks (a JSON array of objects), read and written one task at a time."""

from __future__ import annotations

import codecs
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from pipeline.errors import InputError
from pipeline.ingestion.incoming import Incoming
from pipeline.records import NONE, Message, Prediction, Rejection

if TYPE_CHECKING:
    from pipeline.settings import Columns

MAX_TASK = 16_000_000
"""Characters of one task."""
_BLOCK = 1 << 16


def holds_tasks(path: Path) -> bool:
    """Whether a file is a JSON array of objects."""
    if path.suffix.lower() != ".json" or not path.is_file():
        return False
    with path.open("rb") as stream:
        start = stream.read(4096).removeprefix(codecs.BOM_UTF8).split()
    return b"".join(start[:2]).startswith((b"[{", b"[]"))


def read_tasks(
    path: Path, columns: Columns, on_bytes: Callable[[int], None] | None = None
) -> Iterator[Incoming | Rejection]:
    """The messages of a file of tasks; the text stands in a task's `data`, or in the task itself.

    Raises:
        InputError: the file is not a JSON array.
    """
    with path.open("rb") as stream:
        for number, task in enumerate(_objects(stream, path, on_bytes), start=1):
            yield _incoming(task, columns, str(path), number)


def _incoming(task: Any, columns: Columns, source: str, number: int) -> Incoming | Rejection:
    if not isinstance(task, dict):
        detail = f"expected an object, found {type(task).__name__}"
        return Rejection(source, str(number), "not_an_object", detail, json.dumps(task))
    data = task["data"] if isinstance(task.get("data"), dict) else task
    text = data.get(columns.text)
    if not isinstance(text, str) or not text.strip():
        detail = f"expected text in '{columns.text}'"
        return Rejection(source, str(number), "empty_text", detail, json.dumps(task))
    identity = next(
        (str(v) for v in (data.get("outreach_id"), task.get("id"), data.get(columns.id)) if v),
        f"{source}:{number}",
    )
    subject = data.get(columns.subject)
    message = Message(
        identity,
        text,
        subject=subject if isinstance(subject, str) else "",
        source=source,
        position=str(number),
    )
    return Incoming(message, task)


def _objects(stream: BinaryIO, path: Path, on_bytes: Callable[[int], None] | None) -> Iterator[Any]:
    """The values of a JSON array, holding one at a time."""
    decode = codecs.getincrementaldecoder("utf-8-sig")("replace").decode
    text, at_end, began = "", False, False
    while True:
        text = text.lstrip()
        if not began and text.startswith("["):
            text, began = text[1:].lstrip(), True
        elif began:
            text = text.removeprefix(",").lstrip()
        if began and text.startswith("]"):
            return
        value, end = _value(text, at_end) if began else (None, 0)
        if end:
            yield value
            text = text[end:]
            continue
        if at_end or len(text) > MAX_TASK:
            raise InputError(f"{path}: not a whole JSON array of tasks.")
        # Twice as much each time, so that a long task is not parsed over and over.
        block = stream.read(max(_BLOCK, len(text)))
        at_end = not block
        if on_bytes:
            on_bytes(len(block))
        text += decode(block, final=at_end)


def _value(text: str, at_end: bool) -> tuple[Any, int]:
    """The JSON value that a text begins with and where it ends; 0 where it is not whole."""
    try:
        value, end = json.JSONDecoder().raw_decode(text)
    except ValueError:
        return None, 0
    goes_on = isinstance(value, int | float) and end == len(text) and not at_end
    return value, 0 if goes_on else end


def as_task(
    prediction: Prediction, message: Message, version: str, source: Mapping[str, Any]
) -> dict[str, Any]:
    """The task with the answer among its `predictions`.

    Args:
        prediction: the answer.
        message: as it was read.
        version: names the model.
        source: the task it came from, or any other row, which becomes the task's data.
    """
    if isinstance(source.get("data"), dict):
        task = dict(source)
    else:
        data = {"text": message.text, "subject": message.subject, **source}
        task = {"data": {**data, "outreach_id": prediction.id}}
    choices = list(prediction.asks) or ([prediction.primary] if prediction.primary == NONE else [])
    question, shown = _question(task)
    result = [
        {
            "from_name": question,
            "to_name": shown,
            "type": "choices",
            "value": {"choices": choices},
        }
    ]
    mine = {"model_version": version, "score": prediction.confidence, "result": result}
    others = [p for p in task.get("predictions") or [] if isinstance(p, dict)]
    kept = [p for p in others if p.get("model_version") != version]
    return {**task, "predictions": [*kept, mine]}


def _question(task: Mapping[str, Any]) -> tuple[str, str]:
    """How the project calls its choices and its text, where the task shows that."""
    for kind in ("annotations", "predictions"):
        for entry in task.get(kind) or []:
            for result in (entry.get("result") if isinstance(entry, dict) else None) or []:
                if isinstance(result, dict) and result.get("type") == "choices":
                    return str(result.get("from_name", "asks")), str(result.get("to_name", "text"))
    return "asks", "text"
