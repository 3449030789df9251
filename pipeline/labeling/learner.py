"""A model small enough to be fitted again after every few labels: TF-IDF and logistic regression.

`next` asks it where it is unsure, `issues` where it contradicts the labels.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import DataError
from pipeline.labeling.resolve import Resolved
from pipeline.settings import Task

Scores = NDArray[np.float64]
Hits = NDArray[np.bool_]


def hits_of(answers: Sequence[Resolved], task: Task) -> Hits:
    """Which labels each message carries, shape (messages, labels)."""
    return np.array([[label in a.asks for label in task.labels] for a in answers], dtype=bool)


def features(texts: Sequence[str]) -> Any:
    """TF-IDF of words and word pairs, a sparse matrix of shape (texts, words); rows of length 1."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    least = 2 if len(texts) > 50 else 1
    vectorizer = TfidfVectorizer(
        ngram_range=(1, 2), min_df=least, max_features=20_000, sublinear_tf=True
    )
    return vectorizer.fit_transform(texts)


def fit_predict(known: Any, hits: Hits, asked: Any, multi_label: bool) -> Scores:
    """Fit on `known` rows and return the probabilities of `asked` rows.

    Args:
        known: features, shape (known, words); any matrix that scikit-learn takes.
        hits: their labels, shape (known, labels).
        asked: features, shape (asked, words).
        multi_label: whether columns stand on their own; if not, rows add up to 1.

    Returns:
        Probabilities, shape (asked, labels). A label that all or none of the known rows carry gets
        a constant.
    """
    from sklearn.linear_model import LogisticRegression

    columns = []
    for column in hits.T:
        if column.all() or not column.any():
            columns.append(np.full(asked.shape[0], 0.98 if column.all() else 0.02))
            continue
        model = LogisticRegression(C=10, class_weight="balanced", solver="liblinear")
        columns.append(model.fit(known, column).predict_proba(asked)[:, 1])
    scores = np.column_stack(columns)
    return scores if multi_label else scores / scores.sum(axis=1, keepdims=True)


def held_out(
    rows: Any, hits: Hits, groups: Sequence[Hashable], multi_label: bool, folds: int = 5
) -> Scores:
    """Probabilities of every row from a model that saw neither it nor its group.

    Args:
        rows: features, shape (rows, words).
        hits: labels, shape (rows, labels).
        groups: per row, what must stay together.
        multi_label: as in `fit_predict`.
        folds: into how many parts the rows are divided.

    Raises:
        DataError: there are fewer groups than folds.
    """
    from sklearn.model_selection import GroupKFold

    if len(set(groups)) < folds:
        raise DataError(
            f"{len(set(groups))} group(s) of labelled messages are too few to check labels by "
            f"models that have not seen them; at least {folds} are needed."
        )
    scores = np.empty(hits.shape)
    for train, test in GroupKFold(folds).split(rows, groups=list(groups)):
        scores[test] = fit_predict(rows[train], hits[train], rows[test], multi_label)
    return scores
