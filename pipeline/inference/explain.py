"""Why a message got its answer: the sentence that makes each ask, and the words in it.

Every sentence is left out in turn and, in turn, kept alone; all these variants are scored in one
batch. The sentence whose absence costs most and which says most on its own is shown. Within it,
words are left out likewise.

Source: Zeiler and Fergus, 2014 (occlusion); Li, Monroe and Jurafsky, Understanding Neural Networks
through Representation Erasure, 2016; DeYoung et al., ERASER, ACL 2020 (comprehensiveness and
sufficiency, the two halves of the measure).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.inference.sentences import Place, sentence_places
from pipeline.records import Prediction

Score = Callable[[Sequence[str]], NDArray[np.float64]]
"""Texts to probabilities, shape (texts, labels)."""

MOST_SENTENCES = 32
"""Pieces a message is taken apart into; of a longer one, neighbouring sentences stay together."""
MOST_WORDS = 48
SHOWN_WORDS = 3
NEAR = 2.5
"""Logits by which a second sentence that is shown may weigh less than the first."""

_WORD = re.compile(r"\w+(?:['’.-]\w+)*")


@dataclass(frozen=True, slots=True)
class Span:
    """A piece of the text."""

    start: int
    end: int
    text: str
    moved: float
    """How far the score falls without it (below zero: rises)."""


@dataclass(frozen=True, slots=True)
class Reason:
    """What makes one ask."""

    label: str
    score: float
    sentence: Span
    words: tuple[Span, ...] = ()
    """The words of the sentence that the score rests on most, in the order of the text."""
    also: tuple[Span, ...] = ()
    """A second sentence, where it makes the ask nearly as much."""

    @property
    def sentences(self) -> tuple[Span, ...]:
        """All sentences that are shown, the strongest first."""
        return (self.sentence, *self.also)


@dataclass(frozen=True, slots=True)
class Explanation:
    """A prediction and, for each ask it found, in label order, what makes it."""

    prediction: Prediction
    text: str
    reasons: tuple[Reason, ...]

    def to_row(self) -> dict[str, Any]:
        """The reasons by label, as plain values for JSON."""
        return {
            reason.label: {
                "score": round(reason.score, 6),
                "sentence": _rounded(reason.sentence),
                "words": [_rounded(word) for word in reason.words],
                "also": [_rounded(span) for span in reason.also],
            }
            for reason in self.reasons
        }


def explain(
    score: Score,
    predictions: Sequence[Prediction],
    texts: Sequence[str],
    read: Sequence[int] | None = None,
    words: bool = True,
) -> list[Explanation]:
    """Explain every ask of every prediction.

    Args:
        score: the model that made the predictions.
        predictions: one a text.
        texts: what was scored.
        read: per text, how many of its characters the model reads.
        words: also look for the words.
    """
    places = [
        _pieces(sentence_places(text[:end]))
        for text, end in zip(texts, read or [len(text) for text in texts], strict=True)
    ]
    moved = sentence_effects(score, texts, places, [list(p.asks) != [] for p in predictions])
    found: list[list[Reason]] = []
    for prediction, text, own, effects in zip(predictions, texts, places, moved, strict=True):
        reasons = []
        for column, label in enumerate(prediction.scores):
            if label not in prediction.asks or not own:
                continue
            score_whole = prediction.scores[label]
            first, *also = (
                _span(text, own[i], score_whole - effects.left[i, column])
                for i in strongest(effects.weight[:, column])
            )
            reasons.append(Reason(label, score_whole, first, also=tuple(also)))
        found.append(reasons)
    if words:
        found = _with_words(score, texts, predictions, found)
    return [
        Explanation(prediction, text, tuple(reasons))
        for prediction, text, reasons in zip(predictions, texts, found, strict=True)
    ]


@dataclass(frozen=True, slots=True)
class Effects:
    """Probabilities of each label, of a text and of what is left of it."""

    whole: NDArray[np.float64]
    """Of the whole text, shape (labels,)."""
    left: NDArray[np.float64]
    """Without each sentence, shape (sentences, labels)."""
    kept: NDArray[np.float64]
    """Of each sentence alone, shape (sentences, labels)."""

    @property
    def without(self) -> NDArray[np.float64]:
        """How far the probability falls without each sentence."""
        return self.whole - self.left

    @property
    def lost(self) -> NDArray[np.float64]:
        """The same in logits, as probabilities near one hardly move."""
        return _logit(self.whole) - _logit(self.left)

    @property
    def alone(self) -> NDArray[np.float64]:
        """Logits of each sentence alone."""
        return _logit(self.kept)

    @property
    def weight(self) -> NDArray[np.float64]:
        """What the shown sentence has most of: both effects together, in logits."""
        return self.lost + self.alone


def strongest(weight: NDArray[np.float64]) -> list[int]:
    """The sentence of the largest weight and, where it comes near that, the second.

    A message may ask the same twice; then either sentence answers "where does it ask?".
    """
    first, *rest = (int(i) for i in np.argsort(-weight, kind="stable"))
    return [first, *(i for i in rest[:1] if weight[first] - weight[i] <= NEAR)]


def _logit(p: NDArray[np.float64]) -> NDArray[np.float64]:
    clipped = np.clip(p, 1e-6, 1 - 1e-6)
    return np.asarray(np.log(clipped / (1 - clipped)))


def sentence_effects(
    score: Score,
    texts: Sequence[str],
    places: Sequence[Sequence[Place]],
    wanted: Sequence[bool] | None = None,
) -> list[Effects]:
    """Leave out and keep alone every sentence of every wanted text, in one batch."""
    variants: list[str] = []
    for text, own, is_wanted in zip(texts, places, wanted or [True] * len(texts), strict=True):
        if is_wanted:
            variants.append(text)
            variants.extend(_without(text, place) for place in own)
            variants.extend(text[start:end] for start, end in own)
    scores = score(variants)
    labels = scores.shape[1]
    found, at = [], 0
    for own, is_wanted in zip(places, wanted or [True] * len(texts), strict=True):
        count = len(own)
        if not is_wanted:
            nothing = np.zeros((count, labels))
            found.append(Effects(np.zeros(labels), nothing, nothing))
            continue
        block = scores[at : at + 1 + 2 * count]
        found.append(Effects(block[0], block[1 : 1 + count], block[1 + count :]))
        at += 1 + 2 * count
    return found


def _with_words(
    score: Score,
    texts: Sequence[str],
    predictions: Sequence[Prediction],
    found: Sequence[Sequence[Reason]],
) -> list[list[Reason]]:
    variants: list[str] = []
    places: dict[tuple[int, Place], tuple[int, list[Place]]] = {}
    for row, reasons in enumerate(found):
        for reason in reasons:
            key = (row, (reason.sentence.start, reason.sentence.end))
            if key in places:  # two asks in one sentence share their variants
                continue
            own = _words_in(texts[row], key[1])
            places[key] = (len(variants), own)
            variants.extend(_without(texts[row], place) for place in own)
    if not variants:
        return [list(reasons) for reasons in found]
    scores = score(variants)
    explained = []
    for row, reasons in enumerate(found):
        columns = list(predictions[row].scores)
        mine = []
        for reason in reasons:
            at, own = places[row, (reason.sentence.start, reason.sentence.end)]
            falls = reason.score - scores[at : at + len(own), columns.index(reason.label)]
            best = [i for i in np.argsort(-falls, kind="stable")[:SHOWN_WORDS] if falls[i] > 0]
            shown = tuple(_span(texts[row], own[i], falls[i]) for i in sorted(best))
            mine.append(replace(reason, words=shown))
        explained.append(mine)
    return explained


def _words_in(text: str, place: Place) -> list[Place]:
    return [found.span() for found in _WORD.finditer(text, *place)][:MOST_WORDS]


def _pieces(places: Sequence[Place]) -> list[Place]:
    size = -(-len(places) // MOST_SENTENCES) or 1
    return [
        (places[i][0], places[min(i + size, len(places)) - 1][1])
        for i in range(0, len(places), size)
    ]


def _without(text: str, place: Place) -> str:
    return (text[: place[0]].rstrip(" ") + " " + text[place[1] :].lstrip(" ")).strip()


def _span(text: str, place: Place, moved: float) -> Span:
    return Span(place[0], place[1], text[slice(*place)], float(moved))


def _rounded(span: Span) -> dict[str, Any]:
    return {**asdict(span), "moved": round(span.moved, 6)}
