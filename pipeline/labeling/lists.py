"""Lists of messages to look at: what `next`, `issues` and `agreement` write and `review` reads."""

from __future__ import annotations

import json
from collections.abc import Container, Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from pipeline.errors import InputError
from pipeline.labeling.log import now
from pipeline.progress import SILENT, Progress
from pipeline.store import atomic_path


@dataclass(frozen=True)
class Item:
    """A message to look at, and why. Never its text."""

    message: str
    reason: str
    """In a word: uncertain, disputed, label_error …"""
    score: float
    """How strongly, from 0 to 1; comparable within one reason only."""
    detail: str = ""
    made: str = field(default_factory=now)
    """When the list was made; answers given before do not settle it."""


def write_list(path: Path, items: Iterable[Item]) -> int:
    """Write a list as JSON Lines, atomically, and return how many items it has."""
    lines = [json.dumps(asdict(item), ensure_ascii=False) + "\n" for item in items]
    with atomic_path(path) as temporary:
        temporary.write_text("".join(lines), encoding="utf-8")
    return len(lines)


def read_list(path: Path) -> list[Item]:
    """Read a list.

    Any JSON Lines with a `message` (or `id`) in each line will do, so that a list may come from
    elsewhere.

    Raises:
        InputError: the file is missing, or a line is not such an object.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: no list can be read there ({type(error).__name__}).") from None
    return [_item(line, path, n) for n, line in enumerate(lines, start=1) if line.strip()]


def items_of(path: Path, known: Container[str], progress: Progress = SILENT) -> list[Item]:
    """The items of a list whose messages are in the project; says how many are not.

    Raises:
        InputError: the list cannot be read, or none of its messages is known.
    """
    items = read_list(path)
    found = [item for item in items if item.message in known]
    if items and not found:
        raise InputError(
            f"{path}: none of its {len(items)} message(s) is in this project. Was it made for "
            "other messages, or under other settings (--config)?"
        )
    if len(found) < len(items):
        progress.note(f"{path}: {len(items) - len(found)} message(s) are not in this project.")
    return found


def _item(line: str, path: Path, number: int) -> Item:
    try:
        row = json.loads(line)
        return Item(
            str(row.get("message") or row["id"]),
            str(row.get("reason", "listed")),
            float(row.get("score", 1)),
            str(row.get("detail", "")),
            str(row.get("made", "")),
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        raise InputError(
            f'{path}: line {number}: expected an object such as {{"message": "m0001"}}.'
        ) from None
