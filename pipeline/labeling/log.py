"""The annotation log: JSON Lines, one annotation a line, only ever appended to.

Everything that judges a message writes here, and everything else about labels is read from here.
Nothing in it is ever changed: a later annotation of a message by the same annotator replaces the
earlier one when the log is read (`latest`), and an abstention withdraws it. So logs of several
machines merge by putting their lines together, in any order.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from pipeline.errors import InputError
from pipeline.labeling.parse import annotation_from
from pipeline.records import Annotation, Rejection
from pipeline.settings import Task

LOCK_SECONDS = 30.0
"""How long a writer waits for another one before it gives up."""


def read_log(path: Path, task: Task) -> Iterator[Annotation | Rejection]:
    """Yield each line's annotation, or its rejection with the reason.

    A line cut short by a kill is rejected like any other that is not JSON; the rest goes on.

    Raises:
        InputError: the file is missing or cannot be read.
    """
    try:
        stream = path.open("rb")
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}).") from None
    with stream:
        for number, line in enumerate(stream, start=1):
            if line.strip():
                yield _parse(line, task, str(path), f"line {number}")


class FollowedLog:
    """A log read bit by bit while others, or we ourselves, append to it."""

    def __init__(self, path: Path, task: Task) -> None:
        """Start at the beginning of `path`; a file that is not there yet has no lines."""
        self._path, self._task, self._offset, self._line = path, task, 0, 0

    def new(self) -> list[Annotation | Rejection]:
        """What whole lines were appended since the last call.

        Raises:
            InputError: the file cannot be read, or became shorter: somebody edited it.
        """
        try:
            with self._path.open("rb") as stream:
                size = stream.seek(0, os.SEEK_END)
                if size < self._offset:
                    raise InputError(
                        f"{self._path}: became shorter while it was read. The log is only ever "
                        "appended to; start again to read it from its beginning."
                    )
                stream.seek(self._offset)
                content = stream.read()
        except FileNotFoundError:
            return []
        except OSError as error:
            raise InputError(f"{self._path}: cannot be read ({error.strerror}).") from None
        whole = content[: content.rfind(b"\n") + 1]  # the rest is being written right now
        self._offset += len(whole)
        found = []
        for line in whole.splitlines(keepends=True):
            self._line += 1
            if line.strip():
                found.append(_parse(line, self._task, str(self._path), f"line {self._line}"))
        return found


def append(path: Path, annotations: Iterable[Annotation]) -> int:
    """Add annotations to the log, all of them or none, and return how many.

    When this returns they are on the disk. Writers in other threads, processes and servers wait
    for each other. A line that a killed writer left unfinished is closed first, so that ours does
    not run into it.

    Raises:
        InputError: the log cannot be written (no space, no permission, or locked for too long);
            it stands as it did before.
    """
    from filelock import FileLock, Timeout

    lines = [_line(annotation) for annotation in annotations]
    if not lines:
        return 0
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_name(f".{path.name}.lock"), timeout=LOCK_SECONDS):
            _write(path, b"".join(lines))
    except Timeout:
        raise InputError(
            f"{path}: another program has kept it locked for {LOCK_SECONDS:.0f} s; nothing was "
            "added. Stop that program, or try again."
        ) from None
    except OSError as error:
        raise InputError(
            f"{path}: cannot be written ({error.strerror}); nothing was added and what was there "
            "is untouched. Make room or give permission, and repeat."
        ) from error
    return len(lines)


def _line(annotation: Annotation) -> bytes:
    row = {k: v for k, v in annotation.to_row().items() if v not in ("", None) or k == "asks"}
    if not annotation.suggested:
        row.pop("suggested")
    return json.dumps(row, ensure_ascii=False).encode() + b"\n"


def _write(path: Path, content: bytes) -> None:
    handle = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o600)
    try:
        before = os.fstat(handle).st_size
        if before:
            os.lseek(handle, -1, os.SEEK_END)
            if os.read(handle, 1) != b"\n":
                content = b"\n" + content
        try:
            written = 0
            while written < len(content):
                written += os.write(handle, content[written:])
            os.fsync(handle)
        except OSError:
            os.ftruncate(handle, before)  # all or nothing, also on a full disk
            raise
    finally:
        os.close(handle)


def latest(annotations: Iterable[Annotation]) -> list[Annotation]:
    """Each annotator's standing answer on each message: the last in time, then in order.

    Annotations without a time come before those with one. Withdrawn answers stay in the list, as
    the abstentions that withdrew them.
    """
    standing: dict[tuple[str, str], Annotation] = {}
    for annotation in annotations:
        key = (annotation.message, annotation.annotator)
        old = standing.get(key)
        if old is None or moment(annotation.time) >= moment(old.time):
            standing[key] = annotation
    return list(standing.values())


def merge(paths: Sequence[Path], output: Path, task: Task) -> tuple[int, list[Rejection]]:
    """Bring several machines' logs together in `output`, each annotation once.

    Annotations that `output` already has are not added again, so merging twice changes nothing.

    Returns:
        How many were added, and the lines that could not be read.

    Raises:
        InputError: a log cannot be read, or `output` cannot be written.
    """
    seen = set(read_log(output, task)) if output.exists() else set()
    fresh: dict[Annotation, None] = {}
    rejected = []
    for path in paths:
        for entry in read_log(path, task):
            if isinstance(entry, Rejection):
                rejected.append(entry)
            elif entry not in seen:
                fresh[entry] = None
    return append(output, sorted(fresh, key=lambda a: moment(a.time))), rejected


def now() -> str:
    """The time as the log writes it: ISO 8601 in UTC, to the microsecond."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


def moment(time: str) -> float:
    """An ISO 8601 time as seconds since 1970; minus infinity where none is given.

    A time without a zone is taken for UTC.

    >>> moment("1970-01-01T01:00:00+01:00"), moment("")
    (0.0, -inf)
    """
    try:
        parsed = datetime.fromisoformat(time)
    except ValueError:
        return float("-inf")
    return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp()


def _parse(line: bytes, task: Task, source: str, position: str) -> Annotation | Rejection:
    def reject(reason: str, detail: str) -> Rejection:
        record = line.decode("utf-8", errors="replace").rstrip()
        return Rejection(source, position, reason, detail, record)

    try:
        row = json.loads(line)
    except (ValueError, RecursionError):  # also bytes that are not UTF-8
        return reject("not_json", "expected one JSON object a line")
    if not isinstance(row, dict):
        return reject("not_json", f"expected a JSON object, found {type(row).__name__}")
    if "id" in row:  # as the public labels call the message, since they describe it too
        row.setdefault("message", row["id"])
    missing = [key for key in ("message", "annotator", "asks") if key not in row]
    if missing:
        return reject("missing_field", f"expected message, annotator, asks; no {missing[0]}")
    try:
        return annotation_from(row, task)
    except ValueError as error:
        return reject("bad_annotation", str(error))
