"""Figures of a model on labelled messages, each with its bootstrap interval.

Every function takes the set, the scores and a `Bootstrap`, and gives named figures. A figure that
is not defined (the precision of an ask that was never found) is NaN; a mean leaves it out.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy import sparse

from pipeline.evaluation.gold import Bools, Floats, GoldSet, Ints, Scores
from pipeline.evaluation.intervals import Bootstrap, Figure, mean_defined, ratio

CALIBRATION_BINS = 10
_LEVELS = 1000
"""Score levels kept apart in resampled average precision; more make no visible difference."""

Figures = dict[str, Figure]


def measure(
    gold: GoldSet, scores: Scores, bootstrap: Bootstrap, where: Bools | None = None
) -> Figures:
    """All figures of a model, of the whole set or of the rows `where` holds.

    Returns:
        `rows`; per label `ask.LABEL.support`, `.precision`, `.recall`, `.f1`,
        `.average_precision` and, where there may be several, `.ece`; `ask.macro_f1` (the mean over
        labels); `primary.accuracy` and `primary.macro_f1` (over labels and none); `exact_match`;
        `calibration.ece` and `.brier`.
    """
    rows = np.ones(len(gold), bool) if where is None else where
    support = gold.asks[rows].sum(axis=0)
    return {
        "rows": Figure(int(rows.sum())),
        **{
            f"ask.{label}.support": Figure(int(n))
            for label, n in zip(gold.labels, support, strict=True)
        },
        **{
            name: bootstrap.figure(values, centred=name.endswith("ece"))
            for name, values in resampled(gold, scores, bootstrap, rows).items()
        },
    }


def resampled(
    gold: GoldSet, scores: Scores, bootstrap: Bootstrap, rows: Bools
) -> dict[str, Floats]:
    """Every figure in the set and in each resample, shape (1 + resamples,), as in `measure`."""
    return {
        **_asks(gold, scores, bootstrap, rows),
        **_primary(gold, scores, bootstrap, rows),
        **_calibration(gold, scores, bootstrap, rows),
    }


def _asks(gold: GoldSet, scores: Scores, bootstrap: Bootstrap, rows: Bools) -> dict[str, Floats]:
    true, found, here = gold.asks, scores.asks, rows[:, None]
    exact = (true == found).all(axis=1, keepdims=True)
    hits = bootstrap.sums(
        np.hstack([true & found & here, found & here, true & here, exact & here, here])
    )
    size = len(gold.labels)
    both, said, is_so = hits[:, :size], hits[:, size : 2 * size], hits[:, 2 * size : 3 * size]
    f1 = f1_score(both, said, is_so)
    precision, recall = ratio(both, said), ratio(both, is_so)
    values: dict[str, Floats] = {}
    for i, label in enumerate(gold.labels):
        values |= {
            f"ask.{label}.precision": precision[:, i],
            f"ask.{label}.recall": recall[:, i],
            f"ask.{label}.f1": f1[:, i],
            f"ask.{label}.average_precision": average_precision(
                true[:, i], scores.probabilities[:, i], bootstrap, rows
            ),
        }
    values["ask.macro_f1"] = mean_defined(f1)
    values["exact_match"] = ratio(hits[:, -2], hits[:, -1])
    return values


def _primary(gold: GoldSet, scores: Scores, bootstrap: Bootstrap, rows: Bools) -> dict[str, Floats]:
    size = len(gold.classes)
    true, found = one_hot(gold.primary, size), one_hot(scores.primary, size)
    here = rows[:, None]
    hits = bootstrap.sums(np.hstack([true & found & here, found & here, true & here]))
    both, said, is_so = hits[:, :size], hits[:, size : 2 * size], hits[:, 2 * size :]
    return {
        "primary.accuracy": ratio(both.sum(axis=1), is_so.sum(axis=1)),
        "primary.macro_f1": mean_defined(f1_score(both, said, is_so)),
    }


def _calibration(
    gold: GoldSet, scores: Scores, bootstrap: Bootstrap, rows: Bools
) -> dict[str, Floats]:
    claimed, true = claims(gold, scores)
    binned = [
        _binned_error(claimed[:, i], true[:, i], rows, bootstrap) for i in range(claimed.shape[1])
    ]
    squared = ((scores.probabilities - gold.asks) ** 2).sum(axis=1)
    if gold.multi_label:  # a mean over labels; with one label a message, Brier's sum over classes
        squared = squared / len(gold.labels)
    sums = bootstrap.sums(np.column_stack([squared * rows, rows]))
    of_asks = {}
    if gold.multi_label:
        of_asks = {f"ask.{name}.ece": e for name, e in zip(gold.labels, binned, strict=True)}
    return of_asks | {
        "calibration.ece": mean_defined(np.stack(binned, axis=-1)),
        "calibration.brier": ratio(sums[:, 0], sums[:, 1]),
    }


def claims(gold: GoldSet, scores: Scores) -> tuple[Floats, Bools]:
    """Probabilities that claim something, and whether it is so; both (messages, claims).

    Multi-label: one claim a label. Single-label: one claim, that the best label is the right one.
    """
    if gold.multi_label:
        return scores.probabilities, gold.asks
    best = scores.probabilities.max(axis=1, keepdims=True)
    return best, (scores.primary == gold.primary)[:, None]


def equal_mass_bins(probabilities: Floats, bins: int = CALIBRATION_BINS) -> Ints:
    """The bin of each probability, between 0 and `bins` - 1, each holding about as many.

    Bins of equal mass do not leave most of the figure to one crowded bin near zero (Nixon et al.,
    Measuring Calibration in Deep Learning, 2019).
    """
    edges = np.quantile(probabilities, np.arange(1, bins) / bins)
    return np.searchsorted(np.unique(edges), probabilities, side="right")


def _binned_error(claimed: Floats, true: Bools, rows: Bools, bootstrap: Bootstrap) -> Floats:
    """Expected calibration error of one claim (Guo et al., 2017), per resample."""
    if not rows.any():
        return np.full(1 + bootstrap.resamples, np.nan)
    bins = np.zeros(len(claimed), np.int64)
    bins[rows] = equal_mass_bins(claimed[rows])
    shape = (len(claimed), CALIBRATION_BINS + 1)
    gaps = np.zeros(shape, np.float32)
    gaps[np.arange(len(claimed)), bins] = (claimed - true) * rows
    gaps[:, -1] = rows
    sums = bootstrap.sums(gaps)
    return ratio(np.abs(sums[:, :-1]).sum(axis=1), sums[:, -1])


def average_precision(
    true: Bools, scores: Floats, bootstrap: Bootstrap, rows: Bools | None = None
) -> Floats:
    """Average precision, the sum over thresholds of precision times the gain in recall.

    The same as scikit-learn's `average_precision_score`. Scores of more than a thousand levels are
    put into a thousand of equal mass in the resamples, not in the set's own figure.

    Returns:
        shape (1 + resamples,), in the order of `Bootstrap.sums`.
    """
    here = np.ones(len(true), bool) if rows is None else rows
    distinct, level = np.unique(-scores, return_inverse=True)
    weights = [(true & here).astype(np.float32), here.astype(np.float32)]
    itself: list[Floats] = [
        np.bincount(level, w, len(distinct)).astype(np.float64)[None] for w in weights
    ]
    if len(distinct) > _LEVELS:
        level = np.argsort(np.argsort(-scores, kind="stable")) * _LEVELS // len(scores)
    cells, shape = (np.arange(len(true)), level), (len(true), min(len(distinct), _LEVELS))
    sums = [bootstrap.sums(sparse.csr_array((w, cells), shape=shape)) for w in weights]
    return np.concatenate([_precision_of_levels(*itself), _precision_of_levels(*sums)[1:]])


def _precision_of_levels(true: Floats, said: Floats) -> Floats:
    """Average precision from counts per score level, shape (resamples, levels), highest first."""
    precision = np.nan_to_num(ratio(true.cumsum(axis=1), said.cumsum(axis=1)))
    return ratio((true * precision).sum(axis=1), true.sum(axis=1))


def f1_score(both: Floats, said: Floats, is_so: Floats) -> Floats:
    """F1 from counts of hits, of what was said and of what is so; NaN where there is neither."""
    return ratio(2 * both, said + is_so)


def one_hot(places: Ints, size: int) -> Bools:
    """Places among `size` classes as rows of one True each; shape (messages, size)."""
    return np.asarray(places[:, None] == np.arange(size))


def flatten(figures: Mapping[str, Figure], prefix: str) -> dict[str, float]:
    """Figures as flat JSON numbers: `PREFIX.NAME`, `….low`, `….high`; undefined ones left out."""
    flat: dict[str, float] = {}
    for name, figure in figures.items():
        key = f"{prefix}.{name}"
        for ending, value in (("", figure.value), (".low", figure.low), (".high", figure.high)):
            if value is not None and np.isfinite(value):
                flat[key + ending] = value if isinstance(value, int) else round(float(value), 6)
    return flat
