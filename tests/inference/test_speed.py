"""The fast student, and going between fast and best."""

import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import pipeline
from pipeline.inference.classifier import certainty
from pipeline.inference.student import Student, buckets_for, ngrams
from pipeline.records import render
from pipeline.settings import Settings
from tests.conftest import invented_messages

ROWS = invented_messages(80, seed=11)
TEXTS = [render(str(r["subject"]), str(r["text"])) for r in ROWS]


@pytest.fixture(scope="module")
def by_speed(trained: Settings) -> dict[str, pipeline.Classifier]:
    return {s: pipeline.load(trained.model_dir, speed=s) for s in ("fast", "balanced", "best")}


def test_the_student_has_learned_the_task(by_speed: dict[str, pipeline.Classifier]) -> None:
    found = by_speed["fast"].predict(TEXTS)
    right = [list(p.asks) == r["asks"] for p, r in zip(found, ROWS, strict=True)]
    assert np.mean(right) > 0.8


def test_balanced_takes_each_message_from_one_of_the_two(
    by_speed: dict[str, pipeline.Classifier],
) -> None:
    fast, balanced, best = (by_speed[s].logits(TEXTS) for s in ("fast", "balanced", "best"))
    of_student = np.abs(balanced - fast).max(axis=1) < 1e-9
    clf = by_speed["balanced"]
    sure = certainty(fast, clf.thresholds, clf.multi_label) >= clf._student.sure_from
    assert (of_student == sure).all()
    close = np.abs(balanced - best).max(axis=1) < 0.5  # 8-bit scales depend on the batch
    assert close[~sure].all()


def test_a_message_scores_the_same_alone(by_speed: dict[str, pipeline.Classifier]) -> None:
    clf = by_speed["fast"]
    alone = np.vstack([clf.predict_proba([text]) for text in TEXTS])
    assert np.abs(alone - clf.predict_proba(TEXTS)).max() < 1e-9


def test_the_student_survives_its_file(tmp_path: pytest.TempPathFactory) -> None:
    rng = np.random.default_rng(0)
    student = Student(rng.random((64, 3)).astype(np.float32), np.ones(2), np.zeros(2), 1.5)
    student.save(tmp_path / "s.npz")  # type: ignore[operator]
    again = Student.load(tmp_path / "s.npz")  # type: ignore[operator]
    assert again.sure_from == 1.5
    assert np.abs(again.logits([[2, 5, 3]]) - student.logits([[2, 5, 3]])).max() < 0.01


def test_ngrams_do_not_cross_messages() -> None:
    together, starts = ngrams([[1, 2, 3], [9, 8], [4, 5, 6, 7]], 1 << 12)
    alone = [ngrams([ids], 1 << 12)[0].tolist() for ids in ([1, 2, 3], [9, 8], [4, 5, 6, 7])]
    assert [part.tolist() for part in np.split(together, starts[1:])] == alone
    assert [len(part) for part in alone] == [5, 3, 7]


@pytest.mark.parametrize("labels", [1, 2, 3, 77])
def test_the_table_stays_within_its_size(labels: int) -> None:
    assert buckets_for(labels) * (labels + 1) <= 1 << 21


def test_streams_are_answered_in_order(by_speed: dict[str, pipeline.Classifier]) -> None:
    found = list(by_speed["fast"].stream(text for text in TEXTS * 20))
    assert [p.id for p in found] == [str(i) for i in range(len(TEXTS) * 20)]
    assert [p.asks for p in found[: len(TEXTS)]] == [p.asks for p in found[-len(TEXTS) :]]


def test_low_confidence_becomes_unsure(by_speed: dict[str, pipeline.Classifier]) -> None:
    clf = by_speed["fast"]
    sure = clf.predict(TEXTS)
    border = float(np.median([p.confidence for p in sure]))
    for before, after in zip(sure, clf.predict(TEXTS, min_confidence=border), strict=True):
        if before.confidence >= border:
            assert after == before
        else:
            assert (after.primary, after.asks, after.scores) == ("unsure", (), before.scores)


def test_a_classifier_pickles_and_serves_threads(by_speed: dict[str, pipeline.Classifier]) -> None:
    clf = by_speed["balanced"]
    again = pickle.loads(pickle.dumps(clf))
    assert (again.speed, again.backend) == (clf.speed, clf.backend)
    expected = [p.asks for p in clf.predict(TEXTS)]
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(again.predict, [TEXTS] * 8):
            assert [p.asks for p in found] == expected


def test_wrong_words_are_refused(trained: Settings) -> None:
    with pytest.raises(ValueError, match="expected one of fast, balanced, best"):
        pipeline.load(trained.model_dir, speed="faster")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="expected one of auto"):
        pipeline.load(trained.model_dir, backend="tpu")  # type: ignore[arg-type]
