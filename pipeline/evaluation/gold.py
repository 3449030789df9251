"""The messages a model is measured on, and what it says of them, as arrays."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import DataError
from pipeline.labeling.split import groups_of
from pipeline.records import NONE, LabelledMessage, render

Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class GoldSet:
    """Labelled messages, with their labels as arrays in the model's label order.

    Raises:
        DataError: there are no messages, or one carries a label the model does not know.
    """

    messages: tuple[LabelledMessage, ...]
    labels: tuple[str, ...]
    multi_label: bool

    def __post_init__(self) -> None:
        """Refuse what cannot be measured."""
        if not self.messages:
            raise DataError("there is no message to measure on; label some or name another file.")
        known = {*self.labels, NONE} if self.multi_label else set(self.labels)
        found = {m.primary for m in self.messages} | {a for m in self.messages for a in m.asks}
        if unknown := sorted(found - known):
            raise DataError(
                f"the messages carry labels that the model does not know: "
                f"{', '.join(unknown[:5])}{' …' if len(unknown) > 5 else ''}. "
                f"The model knows: {', '.join(self.labels[:10])}"
                f"{' …' if len(self.labels) > 10 else ''}. Name a file of the model's own task."
            )

    def __len__(self) -> int:
        """How many messages."""
        return len(self.messages)

    @property
    def classes(self) -> tuple[str, ...]:
        """What a primary can be: the labels, then `none` where messages may make no ask."""
        return (*self.labels, NONE) if self.multi_label else self.labels

    @cached_property
    def asks(self) -> Bools:
        """Whether a message makes an ask; shape (messages, labels)."""
        return np.array([[label in m.asks for label in self.labels] for m in self.messages])

    @cached_property
    def primary(self) -> Ints:
        """The primary's place among `classes`; shape (messages,)."""
        place = {name: i for i, name in enumerate(self.classes)}
        return np.array([place[m.primary] for m in self.messages])

    @cached_property
    def groups(self) -> Ints:
        """The number of the group that a message belongs to; shape (messages,).

        Messages that share a thread, a pair or a template, directly or through others, are one
        group.
        """
        return np.array(groups_of(self.messages), np.int64)

    @cached_property
    def origins(self) -> tuple[str, ...]:
        """Per message `public` (real mail), `written` (for this project) or "" (not known)."""
        return tuple(map(_origin, self.messages))

    @property
    def texts(self) -> list[str]:
        """What the model reads of each message."""
        return [render(m.subject, m.text) for m in self.messages]


@dataclass(frozen=True)
class Scores:
    """What a model says of the messages of a `GoldSet`, in the same order."""

    probabilities: Floats
    """Shape (messages, labels)."""
    asks: Bools
    """Whether an ask is found; shape (messages, labels)."""
    primary: Ints
    """The place of the primary among the set's classes; shape (messages,)."""

    @classmethod
    def decide(cls, probabilities: Floats, thresholds: Any, *, multi_label: bool) -> Scores:
        """The asks and the primary that probabilities amount to, as the classifier decides them.

        Multi-label: every label at or above its threshold; the primary is the most probable of
        these, or `none`. Single-label: the most probable label is both.
        """
        best = probabilities.argmax(axis=1)
        if not multi_label:
            found = np.zeros(probabilities.shape, bool)
            found[np.arange(len(best)), best] = True
            return cls(probabilities, found, best)
        found = probabilities >= np.asarray(thresholds)
        among_found = np.where(found, probabilities, -1.0).argmax(axis=1)
        primary = np.where(found.any(axis=1), among_found, probabilities.shape[1])
        return cls(probabilities, found, primary)

    def take(self, rows: Any) -> Scores:
        """The scores of some rows."""
        return Scores(self.probabilities[rows], self.asks[rows], self.primary[rows])


def _origin(message: LabelledMessage) -> str:
    stated = message.extra.get("origin")
    if stated:
        return str(stated)
    # The shipped corpus names the world each message was written for.
    return "written" if "world" in message.extra else ""
