"""Fetch many small files over HTTP, politely: few connections, retries with backoff, resumable."""

from __future__ import annotations

import email.utils
import time
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from threading import Event, Lock
from typing import TYPE_CHECKING

from pipeline import __version__
from pipeline.progress import SILENT, Progress
from pipeline.store import atomic_path

if TYPE_CHECKING:
    import httpx

CONNECTIONS = 6
ATTEMPTS = 4
MAX_BYTES = 50_000_000
GIVE_UP_AFTER = 12
"""Files in a row that could not be fetched before the rest is left."""

_BUSY = frozenset({429, 500, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class File:
    """One file: where it comes from and where it goes."""

    url: str
    path: Path


def fetch(
    files: Iterable[File],
    *,
    patience: float = 60.0,
    backoff: float = 0.5,
    progress: Progress = SILENT,
) -> Counter[str]:
    """Fetch the files that are not there yet, each written at once or not at all.

    Args:
        files: what to fetch; a file that is there already is not asked for.
        patience: seconds to wait at most when a server says "later"; a longer wait gives up.
        backoff: seconds before the second attempt; doubled for each further one.
        progress: where to report.

    Returns:
        What went wrong, counted: `missing`, `refused`, `busy`, `too_large`, `unreachable`, and
        `not_tried` for what was left after too many failures in a row.
    """
    import httpx

    left = [file for file in files if not file.path.is_file()]
    if not left:
        return Counter()
    headers = {"User-Agent": f"outreach-intent/{__version__} (fetches texts it has labels for)"}
    limits = httpx.Limits(max_connections=CONNECTIONS)
    timeout = httpx.Timeout(20.0, connect=3.0)
    with httpx.Client(headers=headers, limits=limits, timeout=timeout) as client:
        fetcher = _Fetcher(client, patience, backoff)
        # One request first: without a network this ends at once instead of after every retry.
        if fetcher.fetch(left[0], attempts=1) == "unreachable":
            return Counter(unreachable=1, not_tried=len(left) - 1)
        problems = _in_parallel(fetcher, [f for f in left if not f.path.is_file()], progress)
    del problems[""]
    return problems


def _in_parallel(fetcher: _Fetcher, files: list[File], progress: Progress) -> Counter[str]:
    pool = ThreadPoolExecutor(CONNECTIONS)
    problems: Counter[str] = Counter()
    try:
        with progress.task("fetching public mail", len(files)) as task:
            for problem in pool.map(fetcher.fetch, files):
                problems[problem] += 1
                task.advance()
    finally:
        fetcher.stop.set()
        pool.shutdown(cancel_futures=True)
    return problems


class _Fetcher:
    """Fetches single files; all its threads share one pause and one stop."""

    def __init__(self, client: httpx.Client, patience: float, backoff: float) -> None:
        self._client, self._patience, self._backoff = client, patience, backoff
        self._lock = Lock()
        self._resume_at = 0.0
        self._failures = 0
        self.stop = Event()

    def fetch(self, file: File, attempts: int = ATTEMPTS) -> str:
        """Fetch one file; the problem that kept it from being fetched, or an empty string."""
        problem = ""
        for attempt in range(attempts):
            if not self._wait():
                return "not_tried"
            problem, pause = self._attempt(file)
            if problem not in ("busy", "unreachable"):
                break
            pause = self._backoff * 2**attempt if pause is None else pause
            if pause > self._patience:
                break
            self._pause(pause, everyone=problem == "busy")
        self._count(failed=problem not in ("", "missing"))
        return problem

    def _attempt(self, file: File) -> tuple[str, float | None]:
        """One request: its problem if any, and the seconds the server asks to wait."""
        import httpx

        try:
            with self._client.stream("GET", file.url) as response:
                if response.status_code in _BUSY:
                    return "busy", _retry_after(response.headers.get("Retry-After", ""))
                if response.status_code != 200:
                    missing = response.status_code in (404, 410)
                    return ("missing" if missing else "refused"), None
                return _save(response.iter_bytes(), file.path), None
        except httpx.HTTPError:
            return "unreachable", None

    def _wait(self) -> bool:
        """Sit out a pause; whether to go on at all."""
        with self._lock:
            pause = self._resume_at - time.monotonic()
        return not self.stop.wait(max(pause, 0.0))

    def _pause(self, seconds: float, *, everyone: bool) -> None:
        if not everyone:
            self.stop.wait(seconds)
            return
        with self._lock:
            self._resume_at = max(self._resume_at, time.monotonic() + seconds)

    def _count(self, *, failed: bool) -> None:
        with self._lock:
            self._failures = self._failures + 1 if failed else 0
            if self._failures >= GIVE_UP_AFTER:
                self.stop.set()


def _save(chunks: Iterable[bytes], path: Path) -> str:
    data = bytearray()
    for chunk in chunks:
        data += chunk
        if len(data) > MAX_BYTES:
            return "too_large"
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)
    return ""


def _retry_after(value: str) -> float | None:
    """The seconds that a Retry-After header asks for: a number, or a date (RFC 9110, 10.2.3)."""
    if value.strip().isdigit():
        return float(value)
    try:
        moment = email.utils.parsedate_to_datetime(value)
    except ValueError:
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max((moment - datetime.now(UTC)).total_seconds(), 0.0)
