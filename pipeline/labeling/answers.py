"""Answers that were paid for, kept on disk so that none is paid twice."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pipeline.errors import InputError


class Answers:
    """A cache from a request, to the last character, to the answer that it got.

    It holds what models said, never what they were sent, and is safe against kills: an answer is
    on the disk before it is used. Use it from one thread.
    """

    def __init__(self, path: Path) -> None:
        """Open or make the cache file; raises `InputError` where it is none."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        try:
            self._file = sqlite3.connect(path, timeout=30)
            self._file.execute(
                "CREATE TABLE IF NOT EXISTS answers (request TEXT PRIMARY KEY, answer TEXT)"
            )
        except sqlite3.Error as error:
            raise InputError(f"{path}: not a cache of answers ({error}); move it away.") from None

    def get(self, request: Any) -> dict[str, Any] | None:
        """The answer to a request, if it was asked before."""
        query = "SELECT answer FROM answers WHERE request = ?"
        row = self._file.execute(query, (_key(request),)).fetchone()
        return None if row is None else dict(json.loads(row[0]))

    def put(self, request: Any, answer: dict[str, Any]) -> None:
        """Keep an answer; raises `InputError` where the disk does not take it."""
        try:
            with self._file:
                self._file.execute(
                    "INSERT OR REPLACE INTO answers VALUES (?, ?)",
                    (_key(request), json.dumps(answer)),
                )
        except sqlite3.Error as error:
            raise InputError(f"{self._path}: cannot be written ({error}).") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()


def _key(request: Any) -> str:
    return hashlib.sha256(json.dumps(request, sort_keys=True).encode()).hexdigest()
