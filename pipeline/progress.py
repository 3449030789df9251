"""How long work tells the outside how far it is, without knowing who listens.

Stages take a `Progress`. The default says nothing; the command line passes one that draws a bar.
"""

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol, TypeVar

T = TypeVar("T")


class Task(Protocol):
    """One bar: `advance` by finished units, `describe` to change the words beside it."""

    def advance(self, units: float = 1) -> None:
        """Count finished units."""

    def describe(self, words: str) -> None:
        """Change the words beside the bar."""

    def total(self, units: float) -> None:
        """Say how many units there are, once that is known."""


class Progress(Protocol):
    """Where a stage reports. `note` is a line that stays; `task` is a bar while work lasts."""

    def note(self, line: str) -> None:
        """Say one line that stays."""

    def task(self, name: str, total: float | None = None) -> AbstractContextManager[Task]:
        """Open a bar; `total` None means that nobody knows."""


class _SilentTask:
    def advance(self, units: float = 1) -> None:
        """Say nothing."""

    def describe(self, words: str) -> None:
        """Say nothing."""

    def total(self, units: float) -> None:
        """Say nothing."""


class Silent:
    """The `Progress` of library use: nothing is shown."""

    def note(self, line: str) -> None:
        """Say nothing."""

    @contextmanager
    def task(self, name: str, total: float | None = None) -> Iterator[Task]:
        """A bar that is never drawn."""
        yield _SilentTask()


SILENT: Progress = Silent()


def track(items: Iterable[T], name: str, total: float | None, progress: Progress) -> Iterator[T]:
    """Yield `items`, advancing a bar called `name` by one for each."""
    with progress.task(name, total) as task:
        for item in items:
            yield item
            task.advance()
