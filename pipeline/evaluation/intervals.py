"""Bootstrap intervals, resampled by group and computed for all resamples at once.

Messages of one thread, contrast pair or template are not independent, so whole groups are drawn.
Nearly every figure of the report is a function of sums over messages (a count of hits, a sum of
squared errors). So a figure is written once, as a function of an array of sums whose first row is
the test set itself and whose other rows are the resamples; a thousand resamples of fifty thousand
messages are one matrix product.

Source: Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapters 8 and 13 (percentile
intervals; resampling the units that are independent).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

Floats = NDArray[np.float64]

_BLOCK = 128
"""Resamples multiplied at once; keeps the working copy of the weights small."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure with its interval; `low` and `high` are None where none was drawn."""

    value: float
    low: float | None = None
    high: float | None = None


class Bootstrap:
    """Resamples of a test set, drawn once and used for every figure of a report.

    Attributes:
        groups: per row the number of its group, shape (rows,).
        resamples: how many were drawn.
    """

    def __init__(
        self, groups: Iterable[int], *, resamples: int, confidence: float, seed: int
    ) -> None:
        """Draw `resamples` sets of as many groups as there are, with replacement."""
        _, self.groups = np.unique(np.asarray(list(groups)), return_inverse=True)
        self.confidence = confidence
        self.resamples = resamples
        rows = len(self.groups)
        count = int(self.groups.max(initial=-1)) + 1
        self._gather = sparse.csr_array(
            (np.ones(rows, np.float32), (self.groups, np.arange(rows))), shape=(count, rows)
        )
        generator = np.random.default_rng(seed)
        self._weights = np.zeros((resamples, count), np.uint8)
        for row in self._weights:
            row[:] = np.bincount(generator.integers(0, count, count), minlength=count)

    def sums(self, statistics: Any) -> Floats:
        """Column sums of `statistics`, shape (rows, k), in the set itself and in every resample.

        Args:
            statistics: an array or a SciPy sparse array, one row per message.

        Returns:
            shape (1 + resamples, k); row 0 is the set itself.
        """
        itself = np.asarray(statistics.sum(axis=0), np.float64).reshape(1, -1)
        gathered = self._gather @ statistics.astype(np.float32)
        blocks = [itself]
        for start in range(0, len(self._weights), _BLOCK):
            weights = self._weights[start : start + _BLOCK].astype(np.float32)
            # SciPy multiplies sparse by dense well, dense by sparse through a detour.
            product = (
                (gathered.T @ weights.T).T if sparse.issparse(gathered) else weights @ gathered
            )
            blocks.append(np.asarray(product, np.float64))
        return np.concatenate(blocks)

    def figure(self, values: Floats, *, centred: bool = False) -> Figure:
        """The figure of values that stand in the order of `sums`: its value and its interval.

        Resamples in which the figure is not defined (NaN) are left out of the interval.

        Args:
            values: shape (1 + resamples,).
            centred: move the interval so that the resamples' mean falls on the figure; for errors
                that cannot be negative, to which every resample adds noise of its own.
        """
        resampled = values[1:][~np.isnan(values[1:])]
        if np.isnan(values[0]) or not len(resampled):
            return Figure(float(values[0]))
        if centred:
            resampled = np.maximum(resampled - resampled.mean() + values[0], 0.0)
        tail = (1 - self.confidence) / 2
        low, high = np.quantile(resampled, [tail, 1 - tail])
        return Figure(float(values[0]), float(low), float(high))


def ratio(above: Floats, below: Floats) -> Floats:
    """`above / below`, NaN where nothing stands below."""
    result = np.full(np.broadcast_shapes(above.shape, below.shape), np.nan)
    np.divide(above, below, out=result, where=np.broadcast_to(below > 0, result.shape))
    return result


def mean_defined(values: Floats) -> Floats:
    """The mean over the last axis of what is defined there; NaN where nothing is."""
    defined = ~np.isnan(values)
    return ratio(np.where(defined, values, 0.0).sum(axis=-1), defined.sum(axis=-1).astype(float))
