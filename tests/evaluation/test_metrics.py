import time

import numpy as np
import pytest
from sklearn import metrics as reference

from pipeline.evaluation.gold import Scores
from pipeline.evaluation.intervals import Bootstrap, Figure
from pipeline.evaluation.metrics import average_precision, flatten, measure


def test_the_figures_are_scikit_learns(gold, scores, bootstrap):
    figures = measure(gold, scores, bootstrap)
    precision, recall, f1, support = reference.precision_recall_fscore_support(
        gold.asks, scores.asks, zero_division=np.nan
    )
    for i, label in enumerate(gold.labels):
        assert figures[f"ask.{label}.precision"].value == pytest.approx(precision[i])
        assert figures[f"ask.{label}.recall"].value == pytest.approx(recall[i])
        assert figures[f"ask.{label}.f1"].value == pytest.approx(f1[i])
        assert figures[f"ask.{label}.support"].value == support[i]
        assert figures[f"ask.{label}.average_precision"].value == pytest.approx(
            reference.average_precision_score(gold.asks[:, i], scores.probabilities[:, i])
        )
    assert figures["ask.macro_f1"].value == pytest.approx(f1.mean())
    assert figures["primary.accuracy"].value == pytest.approx(
        (gold.primary == scores.primary).mean()
    )
    assert figures["primary.macro_f1"].value == pytest.approx(
        reference.f1_score(gold.primary, scores.primary, average="macro")
    )
    assert figures["exact_match"].value == pytest.approx(
        reference.accuracy_score(gold.asks, scores.asks)
    )
    assert figures["calibration.brier"].value == pytest.approx(
        ((scores.probabilities - gold.asks) ** 2).mean()
    )


def test_a_part_is_measured_like_a_set_of_its_own(gold, scores):
    where = np.arange(len(gold)) % 3 == 0
    none = Bootstrap(range(len(gold)), resamples=0, confidence=0.95, seed=0)
    figures = measure(gold, scores, none, where)
    assert figures["rows"].value == where.sum()
    assert figures["primary.macro_f1"].value == pytest.approx(
        reference.f1_score(gold.primary[where], scores.primary[where], average="macro")
    )
    assert figures["ask.influence.average_precision"].value == pytest.approx(
        reference.average_precision_score(gold.asks[where, 1], scores.probabilities[where, 1])
    )


def test_intervals_hold_the_figure_and_are_wider_for_larger_groups():
    generator = np.random.default_rng(3)
    right = np.repeat(generator.random(100) < 0.7, 10)[:, None]  # ten alike in every group
    alone = Bootstrap(range(1000), resamples=500, confidence=0.95, seed=0)
    grouped = Bootstrap(np.repeat(range(100), 10), resamples=500, confidence=0.95, seed=0)
    narrow, wide = (b.figure(b.sums(right)[:, 0] / 1000) for b in (alone, grouped))
    assert narrow.low < narrow.value < narrow.high
    assert wide.high - wide.low > 2 * (narrow.high - narrow.low)
    # Binomial theory, with 100 independent groups: 1.96 * sqrt(0.7 * 0.3 / 100) to each side.
    assert (wide.high - wide.low) / 2 == pytest.approx(0.09, abs=0.02)


def test_the_same_seed_gives_the_same_intervals(gold, scores):
    def again() -> dict[str, Figure]:
        return measure(gold, scores, Bootstrap(gold.groups, resamples=50, confidence=0.9, seed=7))

    assert again() == again()


def test_undefined_figures_are_left_out_of_the_flat_numbers():
    flat = flatten({"f1": Figure(float("nan")), "rows": Figure(3)}, "model.all")
    assert flat == {"model.all.rows": 3}


def test_average_precision_of_many_levels_is_exact_for_the_set_itself():
    generator = np.random.default_rng(0)
    score = generator.random(5000)
    true = generator.random(5000) < score
    values = average_precision(
        true, score, Bootstrap(range(5000), resamples=20, confidence=0.95, seed=0)
    )
    assert values[0] == pytest.approx(reference.average_precision_score(true, score))
    assert np.abs(values[1:] - values[0]).max() < 0.03


def test_calibration_error_is_zero_for_a_model_that_knows_how_sure_it_is():
    generator = np.random.default_rng(0)
    claimed = generator.random((20_000, 1))
    true = generator.random((20_000, 1)) < claimed
    from pipeline.evaluation.metrics import _binned_error

    none = Bootstrap(range(20_000), resamples=0, confidence=0.95, seed=0)
    everywhere = np.ones(20_000, bool)
    assert _binned_error(claimed[:, 0], true[:, 0], everywhere, none)[0] < 0.02
    assert _binned_error(claimed[:, 0] ** 4, true[:, 0], everywhere, none)[0] > 0.2


def test_a_thousand_resamples_of_fifty_thousand_rows_are_fast():
    generator = np.random.default_rng(0)
    began = time.perf_counter()
    bootstrap = Bootstrap(range(50_000), resamples=1000, confidence=0.95, seed=0)
    bootstrap.sums(generator.random((50_000, 30)) < 0.5)
    assert time.perf_counter() - began < 20


def test_decisions_follow_the_thresholds_and_the_best_of_the_found():
    probabilities = np.array([[0.6, 0.7, 0.2], [0.4, 0.65, 0.1], [0.4, 0.2, 0.1]])
    decided = Scores.decide(probabilities, [0.5, 0.7, 0.5], multi_label=True)
    assert decided.asks.tolist() == [[True, True, False], [False] * 3, [False] * 3]
    assert decided.primary.tolist() == [1, 3, 3]
    single = Scores.decide(probabilities, [0.5, 0.7, 0.5], multi_label=False)
    assert single.primary.tolist() == [1, 1, 0]
    assert single.asks.sum(axis=1).tolist() == [1, 1, 1]
