"""Calibration makes scores mean what they say, and folds into the weights without a trace."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.training.calibrate import Calibration, best_thresholds, fit, platt, temperature


def overconfident(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Logits three times too large for their targets, of shape (n,)."""
    rng = np.random.default_rng(seed)
    true = rng.normal(0, 1.5, n)
    return 3 * true + 1, (rng.random(n) < 1 / (1 + np.exp(-true))).astype(float)


def test_platt_undoes_overconfidence() -> None:
    scale, shift = platt(*overconfident(5000))
    assert scale == pytest.approx(1 / 3, abs=0.05)
    assert shift == pytest.approx(-1 / 3, abs=0.1)


def test_temperature_undoes_overconfidence_over_labels() -> None:
    rng = np.random.default_rng(1)
    true = rng.normal(0, 1, (4000, 5))
    chances = np.exp(true) / np.exp(true).sum(axis=1, keepdims=True)
    targets = np.array([rng.multinomial(1, row) for row in chances], dtype=float)
    assert temperature(2 * true, targets) == pytest.approx(0.5, abs=0.05)


def test_a_handful_of_messages_cannot_make_the_model_certain() -> None:
    scale, _ = platt(np.array([-1.0, 1.0]), np.array([0.0, 1.0]))
    assert scale <= 5


def test_a_label_without_positives_stays_finite() -> None:
    scale, shift = platt(np.linspace(-3, 0, 50), np.zeros(50))
    assert np.isfinite([scale, shift]).all()


def test_a_label_that_no_held_out_message_has_stays_as_it_is() -> None:
    logits, targets = overconfident(500)
    both = np.column_stack([targets, np.zeros(500)])
    found = fit(np.column_stack([logits, logits]), both, multi_label=True)
    assert found.scale[0] != 1
    assert (found.scale[1], found.shift[1]) == (1, 0)


def test_single_label_calibration_keeps_the_order_of_labels() -> None:
    logits = np.random.default_rng(0).normal(size=(200, 4))
    targets = np.eye(4)[logits.argmax(axis=1)]
    calibrated = fit(logits, targets, multi_label=False)(logits)
    assert (calibrated.argmax(axis=1) == logits.argmax(axis=1)).all()


def test_calibration_is_one_affine_step() -> None:
    calibration = Calibration(np.array([2.0, 0.5]), np.array([1.0, -1.0]))
    assert calibration(np.array([[1.0, 2.0]])).tolist() == [[3.0, 0.0]]


def test_the_threshold_is_half_the_reachable_f1_and_near_the_best_one() -> None:
    rng = np.random.default_rng(0)
    probabilities = rng.beta(0.4, 1.2, (20_000, 1))
    # Calibrated: each comes true as often as it says.
    targets = (rng.random((20_000, 1)) < probabilities).astype(float)
    threshold = best_thresholds(probabilities, targets)[0]

    def f1(at: float) -> float:
        found = probabilities >= at
        return float(2 * (found * targets).sum() / (found.sum() + targets.sum()))

    best = max(f1(at) for at in np.arange(0.05, 0.95, 0.01))
    assert threshold == pytest.approx(best / 2, abs=0.01)
    assert f1(threshold) == pytest.approx(best, abs=0.005)


def test_the_threshold_separates_what_can_be_separated() -> None:
    probabilities = np.array([[0.1], [0.2], [0.3], [0.7], [0.8], [0.9]] * 20)
    targets = (probabilities > 0.5).astype(float)
    assert 0.3 < best_thresholds(probabilities, targets)[0] <= 0.7


def test_a_label_without_positives_keeps_one_half() -> None:
    assert best_thresholds(np.full((10, 1), 0.2), np.zeros((10, 1)))[0] == 0.5


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=60))
def test_thresholds_are_probabilities(rows: list[tuple[float, bool]]) -> None:
    probabilities = np.array([[p] for p, _ in rows])
    targets = np.array([[float(t)] for _, t in rows])
    assert 0 < best_thresholds(probabilities, targets)[0] < 1
