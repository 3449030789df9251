"""Training the fast student, and when to take its word."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.sparse import csr_matrix, vstack
from sklearn.linear_model import LogisticRegression

from pipeline.inference.classifier import Floats, certainty
from pipeline.inference.student import Student, buckets_for, ngrams
from pipeline.training.calibrate import Array, fit
from pipeline.training.measure import Calibrated
from pipeline.training.reference import log_odds

LOSS_ALLOWED = 0.01
"""Points of macro-F1 (of one) that `balanced` may lose against `best` on validation."""
_REGULARISATION = 10.0
_SEEN_IN = 2
"""Texts that an n-gram must stand in to count."""


@dataclass(frozen=True)
class Point:
    """One point of the curve between fast and best."""

    share: float
    """Of the messages that go to the transformer."""
    sure_from: float
    macro_f1: float


def fit_student(
    ids: Sequence[Sequence[int]],
    scores: Floats,
    held_out_ids: Sequence[Sequence[int]],
    held_out: Calibrated,
    labels: Sequence[str],
    multi_label: bool,
) -> tuple[Student, list[Point]]:
    """Train a student.

    Args:
        ids: encoded texts.
        scores: what to learn, shape (texts, labels): the annotators' shares, or probabilities.
        held_out_ids: messages that nobody has learned from, encoded.
        held_out: the same, and what the transformer says of them: for calibration, and for the
            certainty from which `balanced` trusts the student.
        labels: of the task, in order.
        multi_label: of the task.

    Returns:
        The student, and the curve from asking the transformer nothing to asking it everything.
    """
    table, intercepts = _learned(ids, scores)
    unscaled = Student(table, np.ones(len(labels)), intercepts)
    calibration = fit(
        unscaled.logits(held_out_ids), held_out.targets, multi_label, held_out.weights
    )
    student = Student(table, calibration.scale, calibration(intercepts))
    curve = _curve(student.logits(held_out_ids), held_out, labels, multi_label)
    return replace(student, sure_from=_sure_from(curve)), curve


def _learned(ids: Sequence[Sequence[int]], scores: Floats) -> tuple[np.ndarray, Array]:
    """The student's table, and the intercept of each label, shape (labels,)."""
    labels = scores.shape[1]
    size = buckets_for(labels)
    places, starts = ngrams(ids, size)
    owner = np.repeat(np.arange(len(ids)), np.diff(np.append(starts, len(places))))
    seen = np.unique(owner * np.int64(size) + places) % size
    texts_with = np.bincount(seen, minlength=size)
    rarity = np.log((1 + len(ids)) / (1 + texts_with)) + 1
    rarity[texts_with < min(_SEEN_IN, len(ids))] = 0
    weights = rarity[places]
    lengths = np.sqrt(np.bincount(owner, weights**2, minlength=len(ids)))
    values = weights / np.maximum(lengths[owner], 1e-6)
    features = csr_matrix((values, (owner, places)), shape=(len(ids), size))
    learned = [_linear(features, scores[:, column]) for column in range(labels)]
    columns = [coefficients * rarity for coefficients, _ in learned]
    table = np.stack([*columns, rarity**2], axis=1).astype(np.float32)
    return table, np.array([intercept for _, intercept in learned])


def _linear(features: csr_matrix, score: Array) -> tuple[Array, float]:
    """One label's weights and intercept; every text counts as a yes and a no, by its score."""
    if not 0 < score.sum() < len(score):
        return np.zeros(features.shape[1]), log_odds(score)
    model = LogisticRegression(C=_REGULARISATION, max_iter=300)
    answers = np.repeat([1, 0], features.shape[0])
    model.fit(vstack([features, features]), answers, np.concatenate([score, 1 - score]))
    return np.asarray(model.coef_[0], dtype=np.float64), float(model.intercept_[0])


def _curve(
    logits: Floats, held_out: Calibrated, labels: Sequence[str], multi_label: bool
) -> list[Point]:
    sure = certainty(logits, held_out.thresholds, multi_label)
    points = []
    for percent in range(0, 101, 5):
        asked = round(len(sure) * percent / 100)
        border = np.sort(sure)[asked] if asked < len(sure) else np.inf
        mixed = np.where((sure < border)[:, None], held_out.logits, logits)
        f1 = held_out.primary_macro_f1(mixed, labels, multi_label)
        points.append(Point(float((sure < border).mean()), float(border), f1))
    return points


def _sure_from(curve: Sequence[Point]) -> float:
    """The lowest border from which on every point loses no more than is allowed."""
    needed = curve[-1].macro_f1 - LOSS_ALLOWED
    chosen = curve[-1]
    for point in reversed(curve):
        if point.macro_f1 < needed:
            break
        chosen = point
    return chosen.sure_from
