"""Words and bars on the terminal. Results go to stdout; everything else goes to stderr."""

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


class TerminalProgress:
    """The `pipeline.progress.Progress` that draws bars on stderr, or plain lines without a tty."""

    def note(self, line: str) -> None:
        """Print a line on stderr."""
        err.print(line, markup=False)

    @contextmanager
    def task(self, name: str, total: float | None = None) -> Iterator[Task]:
        """Draw a bar on stderr while the block runs."""
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
        )
        with RichProgress(*columns, console=err, transient=True) as bars:
            yield _Bar(bars, bars.add_task(name, total=total))
