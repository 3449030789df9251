"""Words and bars on the terminal. Results go to stdout; everything else goes to stderr."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as RichProgress

from pipeline.progress import Task

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)

SECONDS_BETWEEN_LINES = 30


class TerminalProgress:
    """The `pipeline.progress.Progress` that draws bars on stderr, or prints lines into a log."""

    def note(self, line: str) -> None:
        """Print a line on stderr."""
        err.print(line, markup=False)

    @contextmanager
    def task(self, name: str, total: float | None = None) -> Iterator[Task]:
        """Draw a bar on stderr while the block runs; in a log file, now and then a line."""
        if not err.is_terminal:
            yield _Lines(name, total)
            return
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
        )
        with RichProgress(*columns, console=err, transient=True) as bars:
            yield _Bar(bars, bars.add_task(name, total=total))


class _Bar:
    """A `pipeline.progress.Task` drawn by rich."""

    def __init__(self, bars: RichProgress, task: TaskID) -> None:
        self._bars, self._task = bars, task

    def advance(self, units: float = 1) -> None:
        """Count finished units."""
        self._bars.advance(self._task, units)

    def describe(self, words: str) -> None:
        """Change the words beside the bar."""
        self._bars.update(self._task, description=words)

    def total(self, units: float) -> None:
        """Say how many units there are."""
        self._bars.update(self._task, total=units)


class _Lines:
    """A `pipeline.progress.Task` for logs: one line every half minute, none for short work."""

    def __init__(self, name: str, total: float | None) -> None:
        self._words, self._total, self._done = name, total, 0.0
        self._started = self._said = time.monotonic()

    def advance(self, units: float = 1) -> None:
        """Count finished units."""
        self._done += units
        now = time.monotonic()
        if now - self._said < SECONDS_BETWEEN_LINES:
            return
        self._said = now
        line = f"{self._words}: {self._done:,.0f}"
        if self._total:
            left = (now - self._started) * max(self._total / self._done - 1, 0)
            line += f" of {self._total:,.0f}, about {left / 60:.0f} min left"
        err.print(line, markup=False)

    def describe(self, words: str) -> None:
        """Change the words of the lines."""
        self._words = words

    def total(self, units: float) -> None:
        """Say how many units there are."""
        self._total = units
