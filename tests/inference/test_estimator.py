"""The scikit-learn estimator: what scikit-learn itself checks, and what a user of it expects."""

import pickle
import warnings

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError, SkipTestWarning
from sklearn.metrics import f1_score
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils import estimator_checks as checks

import pipeline
from pipeline.settings import Settings
from tests.conftest import LABELS, invented_messages

ROWS = invented_messages(60, seed=3)
TEXTS = [str(row["text"]) for row in ROWS]
INDICATOR = np.array([[label in row["asks"] for label in LABELS] for row in ROWS], dtype=int)  # type: ignore[operator]


@pytest.fixture
def estimator(trained: Settings) -> pipeline.OutreachClassifier:
    return pipeline.OutreachClassifier(trained.model_dir)


def test_the_model_as_it_is(estimator: pipeline.OutreachClassifier, trained: Settings) -> None:
    fitted, clf = estimator.fit(TEXTS), pipeline.load(trained.model_dir, backend="onnx")
    assert list(fitted.classes_) == LABELS
    assert fitted.predict_proba(TEXTS) == pytest.approx(clf.predict_proba(TEXTS))
    found = [[LABELS[j] for j in np.flatnonzero(row)] for row in fitted.predict(TEXTS)]
    assert found == [list(p.asks) for p in clf.predict(TEXTS)]
    assert f1_score(INDICATOR, fitted.predict(TEXTS), average="macro") > 0.8


def test_labels_of_your_own(estimator: pipeline.OutreachClassifier) -> None:
    mine = np.where(INDICATOR[:, 1] == 1, "forward", "archive")
    assert cross_val_score(estimator, TEXTS, mine, cv=3).mean() > 0.9
    fitted = estimator.fit(TEXTS, mine)
    assert list(fitted.classes_) == ["archive", "forward"]
    assert fitted.predict_proba(TEXTS).sum(axis=1) == pytest.approx(1)
    several = clone(estimator).fit(TEXTS, INDICATOR)
    assert several.predict(TEXTS).shape == INDICATOR.shape
    assert f1_score(INDICATOR, several.predict(TEXTS), average="macro") > 0.8


def test_it_goes_into_pipelines_and_searches(estimator: pipeline.OutreachClassifier) -> None:
    mine = INDICATOR[:, 2]
    strip = FunctionTransformer(lambda texts: [text.strip() for text in texts])
    search = GridSearchCV(
        make_pipeline(strip, estimator), {"outreachclassifier__C": [0.1, 1.0]}, cv=2
    )
    assert search.fit(TEXTS, mine).score(TEXTS, mine) > 0.9


def test_it_pickles_fitted(estimator: pipeline.OutreachClassifier) -> None:
    fitted = estimator.fit(TEXTS, INDICATOR[:, 0])
    again = pickle.loads(pickle.dumps(fitted))
    assert again.predict_proba(TEXTS) == pytest.approx(fitted.predict_proba(TEXTS))


@pytest.mark.parametrize("texts", ["one text", [], [1, 2], np.array([["a"], ["b"]]), [None]])
def test_what_is_no_list_of_texts_is_refused(
    estimator: pipeline.OutreachClassifier, texts: object
) -> None:
    with pytest.raises(ValueError, match="expected"):
        estimator.fit(texts)


def test_before_fit_it_says_so(estimator: pipeline.OutreachClassifier) -> None:
    with pytest.raises(NotFittedError):
        estimator.predict(TEXTS)


class OnNumbers(pipeline.OutreachClassifier):
    """The estimator on the tables of numbers that scikit-learn's checks use: a row is a text."""

    def fit(self, X, y=None):  # noqa: N803
        return super().fit(in_words(X), y)

    def predict(self, X):  # noqa: N803
        return super().predict(in_words(X))

    def predict_proba(self, X):  # noqa: N803
        return super().predict_proba(in_words(X))

    def decision_function(self, X):  # noqa: N803
        return super().decision_function(in_words(X))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = True
        tags.input_tags.one_d_array = False
        tags.input_tags.string = False
        return tags


WORDS = ["introduce", "me", "museum", "hiring", "clinic", "openings", "explain", "in", "us", "no"]


def in_words(X):  # noqa: N803
    """Each row as a text: a word for each tenth of each number, so that numbers still tell."""
    numbers = np.asarray(X, dtype=float)
    if numbers.ndim != 2:
        raise ValueError("Expected 2D array. Reshape your data")
    return [
        " ".join(f"{WORDS[j % 10]} {WORDS[int(abs(v) * 10) % 10]}" for j, v in enumerate(row))
        for row in numbers
    ]


NOT_FOR_TEXTS = {
    "check_n_features_in_after_fitting": "texts have no number of features",
    "check_n_features_in": "texts have no number of features",
    "check_estimators_empty_data_messages": "wants an error for a table without columns",
    "check_estimators_nan_inf": "not-a-number cannot stand in a text",
    "check_estimator_sparse_tag": "texts are not sparse",
    "check_estimator_sparse_array": "texts are not sparse",
    "check_estimator_sparse_matrix": "texts are not sparse",
    "check_classifiers_train": "demands to learn where points lie, and a number of features",
}
"""Checks of scikit-learn that do not apply, and why; all others must pass."""


def test_scikit_learn_accepts_it_as_an_estimator_of_texts(
    estimator: pipeline.OutreachClassifier,
) -> None:
    with pytest.warns(SkipTestWarning, match="requires input"):  # it cannot make texts of its own
        checks.check_estimator(estimator)
    for check in (
        checks.check_estimator_cloneable,
        checks.check_estimator_tags_renamed,
        checks.check_valid_tag_types,
        checks.check_estimator_repr,
        checks.check_no_attributes_set_in_init,
        checks.check_do_not_raise_errors_in_init_or_set_params,
        checks.check_mixin_order,
        checks.check_get_params_invariance,
        checks.check_set_params,
    ):
        check("OutreachClassifier", estimator)
    checks.check_parameters_default_constructible("OutreachClassifier", estimator)


def test_scikit_learns_checks_pass_but_for_those_about_numbers(trained: Settings) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the checks feed what numpy warns of
        results = checks.check_estimator(
            OnNumbers(trained.model_dir),
            expected_failed_checks=NOT_FOR_TEXTS,
            on_fail=None,
            on_skip=None,
        )
    failed = {
        r["check_name"]: repr(r["exception"])[:300] for r in results if r["status"] == "failed"
    }
    assert failed == {}
    passed = {r["check_name"] for r in results if r["status"] == "passed"}
    assert len(passed) > 30
