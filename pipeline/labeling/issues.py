"""Likely label errors and outliers, as a list for people to look at; it changes nothing by itself.

Labels are compared with models that have not seen the message (cross-validation over whole
groups); cleanlab (Northcutt, Jiang and Chuang, JAIR 2021) judges which contradictions are more
likely errors of the label than of the model.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import DataError
from pipeline.labeling.learner import Hits, Scores, features, held_out, hits_of
from pipeline.labeling.lists import Item
from pipeline.labeling.project import Project
from pipeline.labeling.resolve import GOLD, ballots, resolve
from pipeline.labeling.split import groups_of
from pipeline.records import NONE, render


def find_issues(project: Project, outliers: int = 20) -> list[Item]:
    """The messages whose label is likely wrong, the likeliest first, and the oddest messages.

    Gold labels are not questioned.

    Args:
        project: messages and log.
        outliers: how many of the messages least like any other are listed.

    Raises:
        DataError: too few labelled messages.
    """
    settings = project.settings
    answers = resolve(
        project.annotations, settings.task, settings.label.method, settings.label.machines
    )
    messages = [m for m in project.messages if m.id in answers]
    if len(messages) < 50:
        raise DataError(
            f"{len(messages)} labelled message(s) are too few to tell errors from rare cases; "
            "at least 50 are needed."
        )
    rows = features([render(m.subject, m.text) for m in messages])
    hits = hits_of([answers[m.id] for m in messages], settings.task)
    scores = held_out(rows, hits, groups_of(messages), settings.task.multi_label)
    quality, flagged = label_quality(hits, scores, settings.task.multi_label)
    cast = ballots(project.annotations, settings.task, settings.label.machines)
    gold = {m for m, votes in cast.items() if votes[0].role == GOLD}
    found = []
    for i in np.argsort(quality, kind="stable"):
        if flagged[i] and messages[i].id not in gold:
            likely = [n for n, p in zip(settings.task.labels, scores[i], strict=True) if p >= 0.5]
            detail = f"labelled {_words(answers[messages[i].id].asks)}, model: {_words(likely)}"
            score = round(1 - float(quality[i]), 4)
            found.append(Item(messages[i].id, "label_error", score, detail))
    oddness = outlier_scores(rows)
    odd = np.argsort(oddness, kind="stable")[:outliers]
    found += [Item(messages[i].id, "outlier", round(1 - float(oddness[i]), 4)) for i in odd]
    return found


def label_quality(
    hits: Hits, scores: Scores, multi_label: bool
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """How likely each row's labels are right, and which rows cleanlab takes for errors.

    Args:
        hits: given labels, shape (rows, labels).
        scores: probabilities from models that have not seen the rows, shape (rows, labels).
        multi_label: whether columns stand on their own.

    Returns:
        Quality from 0 to 1 and flags, both of shape (rows,).
    """
    if multi_label:
        from cleanlab.multilabel_classification import get_label_quality_scores
        from cleanlab.multilabel_classification.filter import find_label_issues

        given = [np.flatnonzero(row).tolist() for row in hits]
        quality = get_label_quality_scores(given, scores)
        flagged = find_label_issues(given, scores, n_jobs=1)
    else:
        from cleanlab.filter import find_label_issues
        from cleanlab.rank import get_label_quality_scores

        classes = hits.argmax(axis=1)
        quality = get_label_quality_scores(classes, scores)
        flagged = find_label_issues(classes, scores, n_jobs=1)
    return np.asarray(quality, dtype=np.float64), np.asarray(flagged, dtype=bool)


def outlier_scores(rows: object) -> NDArray[np.float64]:
    """How ordinary each row is beside its nearest neighbours, from 0 (odd) to 1; shape (rows,)."""
    from cleanlab.outlier import OutOfDistribution
    from sklearn.decomposition import TruncatedSVD

    width = min(100, rows.shape[1] - 1)  # type: ignore[attr-defined]
    dense = TruncatedSVD(width, random_state=0).fit_transform(rows)
    finder = OutOfDistribution({"k": min(10, dense.shape[0] - 1)})
    return np.asarray(finder.fit_score(features=dense, verbose=False), dtype=np.float64)


def _words(asks: Sequence[str]) -> str:
    return " and ".join(asks) or NONE
