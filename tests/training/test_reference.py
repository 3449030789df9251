"""The TF-IDF reference learns, and comes back from disk as it was."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.training.reference import TfidfReference

TEXTS = ["are you hiring", "any openings", "please introduce me", "an introduction to her"] * 5
TARGETS = np.array([[1, 0], [1, 0], [0, 1], [0, 1]] * 5, dtype=float)


@pytest.mark.parametrize("multi_label", [True, False])
def test_it_learns_and_comes_back_as_it_was(tmp_path: Path, multi_label: bool) -> None:
    fitted = TfidfReference.fit(TEXTS, TARGETS, multi_label)
    scores = fitted.predict_proba(["hiring now?", "introduce us", "???"])
    assert scores.shape == (3, 2)
    assert scores[0].argmax() == 0
    assert scores[1].argmax() == 1
    fitted.save(tmp_path / "reference")
    loaded = TfidfReference.load(tmp_path / "reference")
    assert np.allclose(loaded.predict_proba(TEXTS), fitted.predict_proba(TEXTS), atol=1e-5)


def test_single_label_scores_add_up_to_one() -> None:
    scores = TfidfReference.fit(TEXTS, TARGETS, multi_label=False).predict_proba(TEXTS)
    assert np.allclose(scores.sum(axis=1), 1)


@pytest.mark.parametrize("multi_label", [True, False])
def test_a_label_that_all_texts_have_or_none_has_is_answered_so(multi_label: bool) -> None:
    targets = np.tile([1.0, 0.0], (len(TEXTS), 1))
    scores = TfidfReference.fit(TEXTS, targets, multi_label).predict_proba(["hiring now?", "???"])
    assert (scores[:, 0] > 0.9).all()
    assert (scores[:, 1] < 0.1).all()
