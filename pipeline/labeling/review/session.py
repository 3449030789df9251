"""Who labels what: the state behind the review page, all of it read from and kept in the log."""

from __future__ import annotations

import random
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.labeling.codebook import Codebook
from pipeline.labeling.log import FollowedLog, append, moment, now
from pipeline.labeling.resolve import MACHINES
from pipeline.records import NONE, Annotation, Message, Rejection
from pipeline.settings import Task

CLAIM_SECONDS = 600.0
"""How long a message that somebody has on the screen is not given to others."""


@dataclass(frozen=True)
class Plan:
    """Which messages are to be labelled, and by how many."""

    order: Sequence[str]
    """Ids of messages, the first first."""
    overlap: float = 0.2
    """Share of them that several people label, for agreement."""
    readers: int = 2
    """How many people label each of those."""
    counts: Callable[[Annotation], bool] = lambda _: True
    """Whether an answer that is already there counts; one that does not is asked again."""
    role: str = "reader"
    """The role of the answers: reader, or gold where somebody adjudicates."""
    seed: int = 13


@dataclass(frozen=True)
class Standing:
    """How far one annotator is."""

    done: int
    left: int
    skipped: int


class Session:
    """Hands out messages and takes answers; safe to use from several threads."""

    def __init__(
        self,
        messages: Iterable[Message],
        annotations: Iterable[Annotation],
        *,
        task: Task,
        codebook: Codebook,
        log: Path,
        plan: Plan,
    ) -> None:
        """Start from what is in the logs; `log` is the one that answers go to."""
        self.task, self.codebook, self.plan = task, codebook, plan
        self._messages = {message.id: message for message in messages}
        self._log = log
        self._followed = FollowedLog(log, task)
        self._lock = threading.RLock()
        self._standing: dict[str, dict[str, Annotation]] = defaultdict(dict)
        self._history: dict[str, dict[str, Annotation]] = defaultdict(dict)
        self._claims: dict[str, tuple[str, float]] = {}
        self._order = frozenset(plan.order)
        rng = random.Random(plan.seed)  # noqa: S311 - a draw, not a secret
        wanted = round(plan.overlap * len(plan.order))
        self._shared = frozenset(rng.sample(list(plan.order), wanted))
        for annotation in annotations:
            self._take(annotation)

    def message(self, message: str) -> Message | None:
        """The message with that id, if there is one."""
        return self._messages.get(message)

    def next_for(self, annotator: str, *, skipped: bool = False) -> Message | None:
        """The next message for somebody, or None where nothing is left for them.

        Args:
            annotator: who asks.
            skipped: give back what this annotator skipped, once the rest is done.
        """
        with self._lock:
            self._refresh()
            for message in self.plan.order:
                if self._is_for(annotator, message, skipped=skipped):
                    self._claims[message] = (annotator, time.monotonic())
                    return self._messages[message]
        return None

    def save(
        self,
        annotator: str,
        message: str,
        asks: Sequence[str] | None,
        *,
        primary: str = "",
        sure: bool = True,
        suggested: bool = False,
        note: str = "",
    ) -> Annotation:
        """Write one answer to the log; when this returns it is on the disk.

        Args:
            annotator: who answers.
            message: the message's id.
            asks: the asks found, empty for none of them; None skips the message for now.
            primary: the main one of several asks; by default the first in label order.
            sure: false where the annotator doubts.
            suggested: whether a suggestion was shown before the answer.
            note: what the annotator wants to say about it.

        Raises:
            InputError: the log cannot be written; the answer is not taken.
        """
        ordered = None if asks is None else tuple(x for x in self.task.labels if x in asks)
        if ordered is None:
            main = None
        elif ordered:
            main = primary if primary in ordered else ordered[0]
        else:
            main = NONE
        annotation = Annotation(
            message,
            annotator,
            ordered,
            main,
            role=self.plan.role,
            sure=sure,
            time=now(),
            codebook=self.codebook.version,
            suggested=suggested,
            note=note.strip(),
        )
        append(self._log, [annotation])
        with self._lock:
            self._refresh()
            self._claims.pop(message, None)
        return annotation

    def undo(self, annotator: str) -> Message | None:
        """Withdraw somebody's last answer and return its message; None where there is none."""
        with self._lock:
            self._refresh()
            last = next(
                (m for m in reversed(self._history[annotator]) if self._asked(m, annotator)), ""
            )
            if not last:
                return None
            self.save(annotator, last, None)
            self._claims[last] = (annotator, time.monotonic())
            return self._messages[last]

    def last_answer(self, annotator: str, message: str) -> Annotation | None:
        """Somebody's last answer on a message, also if it was withdrawn."""
        with self._lock:
            return self._history[annotator].get(message)

    def standing(self, annotator: str) -> Standing:
        """How far somebody is: messages done, still to come, and skipped."""
        with self._lock:
            self._refresh()
            order = self.plan.order
            given = (self._standing.get(m, {}).get(annotator) for m in order)
            mine = [a for a in given if a and self._counts(a)]
            done = sum(a.asks is not None for a in mine)
            left = sum(self._is_for(annotator, m, skipped=False) for m in order)
            return Standing(
                done, left, sum(self._is_for(annotator, m, skipped=True) for m in order)
            )

    def _asked(self, message: str, annotator: str) -> bool:
        """Whether somebody's answer on a message still stands and was given in this round."""
        mine = self._standing[message][annotator]
        return mine.asks is not None and self._counts(mine) and message in self._order

    def _counts(self, annotation: Annotation) -> bool:
        return annotation.role not in MACHINES and self.plan.counts(annotation)

    def _is_for(self, annotator: str, message: str, *, skipped: bool) -> bool:
        given = self._standing.get(message, {})
        mine = given.get(annotator)
        if mine is not None and self._counts(mine):
            return skipped and mine.asks is None
        if skipped:
            return False
        others = sum(a.asks is not None and self._counts(a) for a in given.values())
        holder, since = self._claims.get(message, ("", 0.0))
        if holder not in ("", annotator) and time.monotonic() - since < CLAIM_SECONDS:
            others += 1
        return others < (self.plan.readers if message in self._shared else 1)

    def _refresh(self) -> None:
        """Take in what other servers, and our own `save`, appended to the log."""
        for entry in self._followed.new():
            if not isinstance(entry, Rejection):
                self._take(entry)

    def _take(self, annotation: Annotation) -> None:
        if annotation.message not in self._messages:
            return
        given = self._standing[annotation.message]
        old = given.get(annotation.annotator)
        if old is not None and moment(annotation.time) < moment(old.time):
            return  # from another machine's log, and older than what we have
        given[annotation.annotator] = annotation
        if annotation.asks is not None:
            history = self._history[annotation.annotator]
            history.pop(annotation.message, None)
            history[annotation.message] = annotation
