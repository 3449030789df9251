"""Likely label errors and outliers, as a list for people to look at; it changes nothing by itself.

Labels are compared with models that have not seen the message (cross-validation over whole
groups). Where annotators contradict each other, votes and model are weighed together: a label is
`outvoted` where they make another one likelier. Where nobody contradicts, cleanlab (Northcutt,
Jiang and Chuang, JAIR 2021) judges which contradictions of the model are more likely errors of the
label (`label_error`). `python -m bench labeling_issues` measures both.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import DataError
from pipeline.labeling.learner import Hits, Scores, features, held_out, hits_of
from pipeline.labeling.lists import Item
from pipeline.labeling.project import Project
from pipeline.labeling.resolve import GOLD, ballots, resolve
from pipeline.labeling.split import groups_of
from pipeline.records import NONE, Annotation, render
from pipeline.settings import Task

_FILTER = "low_self_confidence"
"""Which rows cleanlab flags: as many as it thinks are wrong, the least likely first. Its default
flags half as many again and nearly all of those in vain (bench labeling_issues)."""


def find_issues(project: Project, outliers: int = 20) -> list[Item]:
    """The messages whose label is likely wrong, the likeliest first, and the oddest messages.

    First those whose annotators contradict each other and the model sides against the label, then
    those that only the model contradicts, then outliers; no message twice. Gold labels are not
    questioned.

    Args:
        project: messages and log.
        outliers: how many of the messages least like any other are listed.

    Raises:
        DataError: too few labelled messages.
    """
    settings = project.settings
    task, options = settings.task, settings.label
    answers = resolve(project.annotations, task, options.method, options.machines)
    messages = [m for m in project.messages if m.id in answers]
    if len(messages) < 50:
        raise DataError(
            f"{len(messages)} labelled message(s) are too few to tell errors from rare cases; "
            "at least 50 are needed."
        )
    rows = features([render(m.subject, m.text) for m in messages])
    hits = hits_of([answers[m.id] for m in messages], task)
    scores = held_out(rows, hits, groups_of(messages), task.multi_label)
    cast = ballots(project.annotations, task, options.machines)
    found: dict[str, Item] = {}

    def add(reason: str, i: int, score: float, detail: str = "") -> None:
        item = Item(messages[i].id, reason, round(score, 4), detail)
        if cast[item.message][0].role != GOLD or reason == "outlier":
            found.setdefault(item.message, item)

    def words(i: int) -> str:
        likely = [n for n, p in zip(task.labels, scores[i], strict=True) if p >= 0.5]
        return f"labelled {_words(answers[messages[i].id].asks)}, model: {_words(likely)}"

    against = outvoted(hits, scores, votes_of([cast[m.id] for m in messages], task))
    for i in np.argsort(-against, kind="stable"):
        if against[i] > 0.5:
            add("outvoted", i, float(against[i]), words(i))
    quality, flagged = label_quality(hits, scores, task.multi_label)
    for i in np.argsort(quality, kind="stable"):
        if flagged[i]:
            add("label_error", i, 1 - float(quality[i]), words(i))
    oddness = outlier_scores(rows)
    for i in np.argsort(oddness, kind="stable")[:outliers]:
        add("outlier", i, 1 - float(oddness[i]))
    return list(found.values())


def votes_of(cast: Sequence[Sequence[Annotation]], task: Task) -> NDArray[np.int64]:
    """Per message and label how many found it, and last how many voted; (messages, labels + 1)."""
    counts = [
        [*(sum(label in (v.asks or ()) for v in votes) for label in task.labels), len(votes)]
        for votes in cast
    ]
    return np.array(counts, dtype=np.int64).reshape(len(counts), len(task.labels) + 1)


def outvoted(hits: Hits, scores: Scores, votes: NDArray[np.int64]) -> NDArray[np.float64]:
    """How likely a label is wrong, by its annotators' votes and a model that has not seen it.

    Every vote counts as a witness that errs as often as annotators here contradict each other,
    and the model as one more (a naive Bayes version of CROWDLAB; Goh, Tkachenko and Mueller,
    2022). Where all agree the votes say nothing about the label, and the answer is 0.

    Args:
        hits: resolved labels, shape (rows, labels).
        scores: the model's probabilities, shape (rows, labels).
        votes: as `votes_of` counts them, shape (rows, labels + 1).

    Returns:
        Probabilities, shape (rows,).
    """
    found, total = votes[:, :-1], votes[:, -1:]
    pairs = (total * (total - 1)).sum() * found.shape[1]
    if not pairs:
        return np.zeros(len(hits))
    contradict = 2 * (found * (total - found)).sum() / pairs
    errs = np.clip((1 - np.sqrt(max(0.0, 1 - 2 * contradict))) / 2, 0.005, 0.4)
    safe = np.clip(scores, 1e-4, 1 - 1e-4)
    odds = np.log(safe / (1 - safe)) + (2 * found - total) * np.log((1 - errs) / errs)
    carried = 1 / (1 + np.exp(-odds))
    right = np.where(hits, carried, 1 - carried).prod(axis=1)
    dissent = ((found > 0) & (found < total)).any(axis=1)
    return np.asarray(np.where(dissent, 1 - right, 0.0), dtype=np.float64)


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
        with warnings.catch_warnings():  # cleanlab 2.9 calls what it has itself deprecated
            warnings.simplefilter("ignore", DeprecationWarning)
            flagged = find_label_issues(given, scores, filter_by=_FILTER, n_jobs=1)
    else:
        from cleanlab.filter import find_label_issues
        from cleanlab.rank import get_label_quality_scores

        classes = hits.argmax(axis=1)
        quality = get_label_quality_scores(classes, scores)
        flagged = find_label_issues(classes, scores, filter_by=_FILTER, n_jobs=1)
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
