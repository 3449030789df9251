"""The most confident mistakes, grouped by what likely caused them, each with its sentence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.evaluation.causes import Wrong, cause_of, load_causes
from pipeline.evaluation.gold import Bools, Floats, GoldSet, Scores
from pipeline.evaluation.quote import quote
from pipeline.evaluation.sentences import Score, drivers

SHOWN = 40
_DOUBTFUL = 0.3
"""Label quality below which cleanlab's authors look at a label first."""


@dataclass(frozen=True)
class Mistake:
    """One wrong answer."""

    id: str
    truth: str
    said: str
    label: str
    """The ask about which the model is most confidently wrong, and its probability."""
    probability: float
    sentence: str
    """What drove it, redacted."""
    moved: float
    """How far the score falls without the sentence; below zero, rises."""
    cause: str


@dataclass(frozen=True)
class Mistakes:
    """All wrong answers counted, the most confident ones shown, and the labels in doubt."""

    wrong: int
    shown: list[Mistake]
    doubtful: list[tuple[str, float]]
    """Message ids with label quality below `_DOUBTFUL`, the lowest first."""

    def by_cause(self) -> list[tuple[str, str, list[Mistake]]]:
        """Cause, its meaning and its mistakes, the most frequent first."""
        counts = Counter(mistake.cause for mistake in self.shown)
        return [
            (cause.name, cause.meaning, [m for m in self.shown if m.cause == cause.name])
            for cause in sorted(load_causes(), key=lambda cause: -counts[cause.name])
            if counts[cause.name]
        ]


def find_mistakes(
    gold: GoldSet,
    scores: Scores,
    score: Score,
    keywords: Mapping[str, Sequence[str]],
    truncated: Bools | None = None,
) -> Mistakes:
    """The model's wrong answers, the most confident first.

    Args:
        gold: the set.
        scores: what the model says of it.
        score: the model, asked again without single sentences.
        keywords: per label, words that are typical of it (for keyword traps).
        truncated: per message whether the model could not read it whole.
    """
    gap = np.where(gold.asks, 1 - scores.probabilities, scores.probabilities)
    wrong = (gold.asks != scores.asks).any(axis=1) | (gold.primary != scores.primary)
    worst = np.where(gold.asks != scores.asks, gap, -1.0)
    # Where only the primary is wrong, its own claim is at fault.
    only_primary = wrong & (gold.asks == scores.asks).all(axis=1)
    chosen = np.minimum(scores.primary, len(gold.labels) - 1)
    worst[only_primary, chosen[only_primary]] = 0.5
    confidence = np.where(wrong, worst.max(axis=1), -1.0)
    rows = np.argsort(-confidence, kind="stable")[: min(SHOWN, int(wrong.sum()))]
    quality = label_quality(gold, scores)
    return Mistakes(
        int(wrong.sum()),
        _explain(gold, scores, score, keywords, truncated, rows, worst.argmax(axis=1), quality),
        [
            (gold.messages[i].id, float(quality[i]))
            for i in np.argsort(quality, kind="stable")
            if quality[i] < _DOUBTFUL
        ],
    )


def label_quality(gold: GoldSet, scores: Scores) -> Floats:
    """How likely each message's label is right, by the model, 0 to 1; shape (messages,).

    The model has not seen these messages, as confident learning asks (Northcutt, Jiang and
    Chuang, 2021; for several labels Thyagarajan et al., 2022), through cleanlab.
    """
    if not gold.asks.any():  # cleanlab wants to have seen a label
        return np.asarray((1 - scores.probabilities).min(axis=1))
    if gold.multi_label:
        from cleanlab.multilabel_classification import get_label_quality_scores

        labels = [np.flatnonzero(row).tolist() for row in gold.asks]
        return np.asarray(get_label_quality_scores(labels, scores.probabilities))
    from cleanlab.rank import get_label_quality_scores as quality

    return np.asarray(quality(gold.primary, scores.probabilities))


def _explain(
    gold: GoldSet,
    scores: Scores,
    score: Score,
    keywords: Mapping[str, Sequence[str]],
    truncated: Bools | None,
    rows: np.ndarray,
    claims: np.ndarray,
    quality: Floats,
) -> list[Mistake]:
    messages = [gold.messages[row] for row in rows]
    said_too_much = [bool(scores.asks[row, claims[row]]) for row in rows]
    if not messages:
        return []
    texts = [(m.subject, m.text) for m in messages]
    found = drivers(score, texts, [int(claims[row]) for row in rows], said_too_much)
    in_subject = _ask_in_subject(gold, score, rows)
    mistakes = []
    for i, (row, message) in enumerate(zip(rows, messages, strict=True)):
        label = gold.labels[claims[row]]
        wrong = Wrong(
            message,
            said=tuple(np.array(gold.labels)[scores.asks[row]]),
            label=label,
            sentence=found[i].sentence,
            keywords=keywords.get(label, ()),
            doubtful=bool(quality[row] < _DOUBTFUL),
            cut=truncated is not None and bool(truncated[row]),
            subject_alone=in_subject[i],
        )
        mistakes.append(
            Mistake(
                id=message.id,
                truth=_words(gold, gold.asks[row], int(gold.primary[row])),
                said=_words(gold, scores.asks[row], int(scores.primary[row])),
                label=label,
                probability=float(scores.probabilities[row, claims[row]]),
                sentence=quote(found[i].sentence),
                moved=found[i].moved,
                cause=cause_of(wrong, own_task=bool(keywords)).name,
            )
        )
    return mistakes


def _ask_in_subject(gold: GoldSet, score: Score, rows: np.ndarray) -> list[bool]:
    subjects = score([gold.messages[row].subject or " " for row in rows])
    bodies = score([gold.messages[row].text for row in rows])
    found = []
    for i, row in enumerate(rows):
        true = gold.asks[row]
        alone = bool(true.any() and gold.messages[row].subject and (subjects[i][true] > 0.5).all())
        found.append(alone and not bool((bodies[i][true] > 0.5).all()))
    return found


def _words(gold: GoldSet, asks: Bools, primary: int) -> str:
    """An answer in words: the primary first."""
    first = gold.classes[primary]
    rest = [label for label, is_so in zip(gold.labels, asks, strict=True) if is_so]
    return ", ".join([first, *(label for label in rest if label != first)])
