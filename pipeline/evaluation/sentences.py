"""Which sentence drove a score: leave each out in turn and see how the score moves.

Source: Zeiler and Fergus, 2014 (occlusion); Li, Monroe and Jurafsky, Understanding Neural Networks
through Representation Erasure, 2016.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.inference.explain import Score
from pipeline.inference.sentences import split_sentences
from pipeline.records import render

__all__ = ["Driver", "Score", "drivers", "split_sentences"]

_MOST = 12
"""Pieces a message is taken apart into; of a longer one, neighbouring sentences stay together."""


@dataclass(frozen=True)
class Driver:
    """A sentence and how far the score falls without it (below zero: rises)."""

    sentence: str
    moved: float


def drivers(
    score: Score, texts: Sequence[tuple[str, str]], labels: Sequence[int], raises: Sequence[bool]
) -> list[Driver]:
    """The sentence of each message that moved a label's score most.

    Args:
        score: the model.
        texts: subject and body of each message.
        labels: per message the column of the label that is asked about.
        raises: per message whether the sentence that raised the score is wanted, or the one that
            held it down.
    """
    pieces = [([subject] if subject.strip() else []) + split_sentences(t) for subject, t in texts]
    pieces = [_joined(p) for p in pieces]
    variants = [render("", " ".join(p[:i] + p[i + 1 :])) for p in pieces for i in range(len(p))]
    whole = score([render("", " ".join(p)) for p in pieces])
    without = score(variants)
    found, start = [], 0
    for row, own in enumerate(pieces):
        column = labels[row]
        moved = whole[row, column] - without[start : start + len(own), column]
        best = int(np.argmax(moved if raises[row] else -moved))
        found.append(Driver(own[best], float(moved[best])))
        start += len(own)
    return found


def _joined(pieces: list[str]) -> list[str]:
    size = -(-len(pieces) // _MOST) or 1
    # Lines stay lines: where names stand is told by that (`quote`); to the model it is a space.
    return ["\n".join(pieces[i : i + size]) for i in range(0, len(pieces), size)]
