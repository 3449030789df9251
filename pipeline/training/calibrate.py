"""Calibration: make a score of 0.8 mean right eight times in ten, for every loader.

Several labels: Platt scaling per label (Platt 1999). One label: temperature scaling (Guo et al.,
ICML 2017). Both are an affine change of the logits, so both fold into the classifier's last layer:
the saved model is calibrated, and whoever loads it need not know.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize, minimize_scalar

Array = NDArray[np.float64]

DEFAULT_THRESHOLD = 0.5
LOWEST_THRESHOLD = 0.05
THRESHOLDS = np.round(np.arange(LOWEST_THRESHOLD, 0.951, 0.01), 2)
"""Those that are tried."""
_STEEPEST, _FLATTEST = 5.0, 0.2


@dataclass(frozen=True)
class Calibration:
    """Calibrated logits are ``scale * logits + shift``; both have shape (labels,)."""

    scale: Array
    shift: Array

    def __call__(self, logits: Array) -> Array:
        """Calibrate logits of shape (n, labels)."""
        return logits * self.scale + self.shift


def fit(
    logits: Array, targets: Array, multi_label: bool, weights: Array | None = None
) -> Calibration:
    """Fit on held-out messages.

    Args:
        logits: shape (n, labels), of messages the model was not trained on.
        targets: shape (n, labels), soft.
        multi_label: Platt per label if true, one temperature for all if not.
        weights: how much each message counts, shape (n,); none: all alike.
    """
    labels = logits.shape[1]
    if multi_label:
        # Of a label that no held-out message has, nothing can be learned here.
        fitted = [
            platt(logits[:, j], targets[:, j], weights)
            if (targets[:, j] >= 0.5).any()
            else (1.0, 0.0)
            for j in range(labels)
        ]
        return Calibration(np.array([a for a, _ in fitted]), np.array([b for _, b in fitted]))
    factor = temperature(logits, targets, weights)
    return Calibration(np.full(labels, factor), np.zeros(labels))


def platt(logits: Array, targets: Array, weights: Array | None = None) -> tuple[float, float]:
    """Scale and shift that minimise the log loss of one label; inputs have shape (n,).

    The slope stays between 0.2 and 5, and targets are drawn a little towards one half as Platt
    does, so that a handful of messages cannot make the model certain of anything.
    """
    counts = np.ones(len(logits)) if weights is None else weights
    positives = float((counts * targets).sum())
    negatives = float(counts.sum()) - positives
    high, low = (positives + 1) / (positives + 2), 1 / (negatives + 2)
    smoothed = low + targets * (high - low)

    def loss(point: Array) -> float:
        z = point[0] * logits + point[1]
        return float(np.average(np.logaddexp(0, z) - smoothed * z, weights=weights))

    bounds = [(_FLATTEST, _STEEPEST), (-10, 10)]
    found = minimize(loss, np.array([1.0, 0.0]), bounds=bounds, method="L-BFGS-B").x
    return float(found[0]), float(found[1])


def temperature(logits: Array, targets: Array, weights: Array | None = None) -> float:
    """The factor on all logits that minimises the cross-entropy.

    Logits and targets have shape (n, labels), weights shape (n,).
    """

    def loss(factor: float) -> float:
        z = logits * factor
        z = z - z.max(axis=1, keepdims=True)
        logged = z - np.log(np.exp(z).sum(axis=1, keepdims=True))
        return float(-np.average((targets * logged).sum(axis=1), weights=weights))

    return float(minimize_scalar(loss, bounds=(_FLATTEST, _STEEPEST), method="bounded").x)


def best_thresholds(probabilities: Array, targets: Array, weights: Array | None = None) -> Array:
    """Per label the threshold for the best F1, shape (labels,): half the F1 that can be reached.

    That is where it lies for calibrated probabilities (Lipton, Elkan and Naryanaswamy, ECML 2014).
    The reachable F1 is read off held-out messages and is a far steadier figure than the threshold
    that happens to be best on them. A label with no positive among them keeps one half.

    >>> best_thresholds(np.array([[0.1], [0.8], [0.2], [0.9]]), np.array([[0.], [1.], [0.], [1.]]))
    array([0.5])
    """
    counts = np.ones(len(targets)) if weights is None else weights
    return np.array(
        [
            _best_threshold(p, t >= 0.5, counts)
            for p, t in zip(probabilities.T, targets.T, strict=True)
        ]
    )


def _best_threshold(probabilities: Array, positive: NDArray[np.bool_], weights: Array) -> float:
    if not positive.any():
        return DEFAULT_THRESHOLD
    f1 = f1_of_thresholds(probabilities, positive, weights)
    # The best of many jagged values is too high; the best of their running mean hardly.
    smooth = np.convolve(np.pad(f1, 2, mode="edge"), np.ones(5) / 5, mode="valid")
    return max(LOWEST_THRESHOLD, round(float(smooth.max()) / 2, 2))


def f1_of_thresholds(
    probabilities: Array, positive: NDArray[np.bool_], weights: Array
) -> NDArray[np.float64]:
    """The F1 of one label at each of `THRESHOLDS`, shape (thresholds,).

    Args:
        probabilities: of held-out messages, shape (messages,).
        positive: whether they have the label; at least one has.
        weights: how much each counts.
    """
    found = probabilities[None, :] >= THRESHOLDS[:, None]
    hits = (found & positive) @ weights
    f1: NDArray[np.float64] = 2 * hits / (found @ weights + positive @ weights)
    return f1
