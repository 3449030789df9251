"""What a user gains by trusting only sure answers, and by moving the thresholds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.evaluation.gold import Floats, GoldSet, Scores
from pipeline.evaluation.intervals import Bootstrap, ratio
from pipeline.evaluation.metrics import Figures, f1_score

COVERAGES = (0.5, 0.7, 0.8, 0.9, 1.0)
THRESHOLDS = np.linspace(0.02, 0.98, 49)


@dataclass(frozen=True)
class ThresholdCurve:
    """One label's figures at every threshold of `THRESHOLDS`."""

    label: str
    precision: Floats
    recall: Floats
    f1: Floats
    threshold: float
    """The model's own."""


def certainty(gold: GoldSet, scores: Scores) -> Floats:
    """How sure the model is of its whole answer, shape (messages,): of its least sure claim.

    A claim that an ask is there, or is not, is as sure as its probability.
    """
    if not gold.multi_label:
        return np.asarray(scores.probabilities.max(axis=1))
    return np.asarray(np.maximum(scores.probabilities, 1 - scores.probabilities).min(axis=1))


def risk_coverage(gold: GoldSet, scores: Scores) -> tuple[Floats, Floats]:
    """Share of messages answered (surest first), and the share of those answered wrongly.

    Source: El-Yaniv and Wiener, On the Foundations of Noise-free Selective Classification, 2010.
    """
    order = np.argsort(-certainty(gold, scores), kind="stable")
    wrong = (gold.primary != scores.primary)[order]
    answered = np.arange(1, len(wrong) + 1)
    return answered / len(wrong), wrong.cumsum() / answered


def selective(gold: GoldSet, scores: Scores, bootstrap: Bootstrap) -> Figures:
    """Primary accuracy among the surest share of the messages, and the area under the risk curve.

    Returns:
        `selective.accuracy_at_50` and so on, `selective.aurc` (without an interval).
    """
    sure = certainty(gold, scores)
    right = gold.primary == scores.primary
    kept = np.stack([sure >= np.quantile(sure, 1 - c) for c in COVERAGES], axis=1)
    sums = bootstrap.sums(np.hstack([kept & right[:, None], kept]))
    accuracy = ratio(sums[:, : len(COVERAGES)], sums[:, len(COVERAGES) :])
    figures = {
        f"selective.accuracy_at_{round(100 * c)}": bootstrap.figure(accuracy[:, i])
        for i, c in enumerate(COVERAGES)
    }
    _, risk = risk_coverage(gold, scores)
    return figures | {"selective.aurc": bootstrap.figure(np.array([risk.mean()]))}


def threshold_curves(gold: GoldSet, scores: Scores, thresholds: Floats) -> list[ThresholdCurve]:
    """Precision, recall and F1 of each label at every threshold."""
    curves = []
    for i, label in enumerate(gold.labels):
        said = scores.probabilities[:, i, None] >= THRESHOLDS
        both, found = (gold.asks[:, i, None] & said).sum(axis=0), said.sum(axis=0)
        true = np.full(len(THRESHOLDS), gold.asks[:, i].sum())
        counts = [a.astype(np.float64) for a in (both, found, true)]
        curves.append(
            ThresholdCurve(
                label,
                ratio(counts[0], counts[1]),
                ratio(counts[0], counts[2]),
                f1_score(*counts),
                float(thresholds[i]),
            )
        )
    return curves
