"""What may have caused a wrong answer: a guess by pattern, so that mistakes can be read in heaps.

The causes and the words that tell them stand in ``data/causes.yaml``, in the order in which they
are looked for; those that need more than words are checked here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from pipeline.evaluation.swaps import read_data
from pipeline.records import LabelledMessage, render

LONG, SHORT = 180, 15
"""Words."""
_QUOTED = re.compile(
    r"^\s*>|original message|forwarded by|^-{3,}|\bwrote:\s*$|^from: .+|^on .+ wrote"
    r"|\bto ?: .{0,200}\bsubject ?:|\bcc ?: .{0,200}\bsubject ?:",  # the last two also in one line
    re.I | re.M,
)


@dataclass(frozen=True)
class Wrong:
    """A wrong answer, with what is known around it."""

    message: LabelledMessage
    said: tuple[str, ...]
    """The asks that the model finds."""
    label: str
    """The ask about which it is most confidently wrong."""
    sentence: str
    """What drove its score."""
    keywords: Sequence[str]
    """Words typical of the label."""
    doubtful: bool
    cut: bool
    """Whether the model could not read the message whole."""
    subject_alone: bool
    """Whether the subject alone gives the right answer, and the body alone does not."""

    @property
    def found(self) -> bool:
        """Whether an ask was found that is not there; otherwise one was missed."""
        return self.label in self.said

    @property
    def words(self) -> int:
        """The length of the message's body."""
        return len(self.message.text.split())


_TESTS: dict[str, Callable[[Wrong], bool]] = {
    "label_doubtful": lambda w: w.doubtful and any(0 < t < 1 for t in w.message.targets),
    "quoted_remains": lambda w: bool(_QUOTED.search(w.message.text)),
    "read_in_part": lambda w: w.cut,
    "ask_in_subject": lambda w: w.subject_alone,
    "order_of_asks": lambda w: set(w.said) == set(w.message.asks),
    "taken_for_another": lambda w: (
        bool(w.said and w.message.asks) and not {*w.said} & {*w.message.asks}
    ),
    "second_missed": lambda w: bool(w.said) and {*w.said} < {*w.message.asks},
    "second_added": lambda w: bool(w.message.asks) and {*w.said} > {*w.message.asks},
    "keyword_trap": lambda w: w.found and any(k in w.sentence.lower() for k in w.keywords),
    "long": lambda w: w.words >= LONG,
    "short": lambda w: w.words < SHORT,
    "missed_in_real_mail": lambda w: not w.found and w.message.extra.get("origin") == "public",
    "other": lambda w: True,
}


@dataclass(frozen=True)
class Cause:
    """One cause, and how to tell it."""

    name: str
    meaning: str
    holds: Callable[[Wrong], bool]
    by_words: bool
    """Whether it is told by words of this project's own asks and language."""


@cache
def load_causes() -> tuple[Cause, ...]:
    """The causes that the package ships, in the order in which they are looked for."""
    return tuple(
        Cause(
            entry["cause"],
            entry["meaning"],
            _TESTS[entry["test"]] if "test" in entry else _by_words(entry),
            "test" not in entry,
        )
        for entry in read_data("causes.yaml")
    )


def cause_of(wrong: Wrong, *, own_task: bool) -> Cause:
    """The first cause that fits.

    Args:
        wrong: the wrong answer.
        own_task: whether the asks are this project's own, so that causes told by words apply.
    """
    return next(c for c in load_causes() if (own_task or not c.by_words) and c.holds(wrong))


def _by_words(entry: Mapping[str, Any]) -> Callable[[Wrong], bool]:
    wanted, unwanted = (
        re.compile("|".join(entry[key]), re.IGNORECASE | re.DOTALL) if key in entry else None
        for key in ("words", "not")
    )
    labels, found, in_sentence = (
        entry.get("label"),
        entry["claim"] == "found",
        entry["where"] == "sentence" if "where" in entry else False,
    )

    def holds(wrong: Wrong) -> bool:
        if wrong.found != found or (labels and wrong.label not in labels):
            return False
        whole = render(wrong.message.subject, wrong.message.text)
        text = wrong.sentence if in_sentence else whole
        fits = wanted is None or bool(wanted.search(text))
        return fits and not (unwanted and unwanted.search(text))

    return holds
