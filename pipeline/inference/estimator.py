"""A trained model as a scikit-learn estimator, for pipelines, cross-validation and stacking."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import check_consistent_length, check_is_fitted, column_or_1d

from pipeline.inference.classifier import load

if TYPE_CHECKING:
    from pipeline.inference.backends import BackendName

Array = NDArray[Any]


class OutreachClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Texts in; the model's own labels out, or yours.

    ``fit(texts)`` takes the model as it is: `predict` gives an indicator matrix in the order of
    ``classes_`` (or, of a single-label model, labels). ``fit(texts, y)`` puts a logistic regression
    on the model's scores, so that some dozens of messages are enough to make it answer in labels of
    your own: y has one class a message, or is an indicator matrix. The network itself stays as it
    is; `outreach train` trains networks.

    Parameters:
        model: a model folder, or a hub model as ``OWNER/NAME@COMMIT``.
        backend: what runs the network; see `pipeline.load`. In 32 bits by default: with 8 bits
            an answer depends a little on what else is asked with it.
        C: how far the regression may follow your labels; smaller is more careful.

    Attributes:
        classes_: the labels, or the classes of y.
        model_: the loaded `Classifier`.
        head_: the fitted regression, or None.
        multi_label_: whether a message may have several classes or none.
    """

    def __init__(
        self,
        model: str | Path = "models/default",
        *,
        backend: BackendName = "onnx",
        C: float = 1.0,  # noqa: N803 - scikit-learn's name for it
    ) -> None:
        self.model = model
        self.backend = backend
        self.C = C

    def fit(self, X: Iterable[str], y: Any = None) -> Self:  # noqa: N803
        """Load the model; with y, learn how its scores relate to your labels.

        Args:
            X: texts, shape (n,).
            y: nothing, classes of shape (n,), or an indicator matrix of shape (n, classes).

        Raises:
            ValueError: X holds no texts, y no classes, or only one of them.
            ModelFolderError: the model cannot be loaded.
        """
        texts = _texts(X)
        if not texts:
            raise ValueError("expected at least one text, found 0 samples.")
        self.model_ = load(self.model, self.backend)
        if y is None:
            self.head_ = None
            self.classes_ = np.array(self.model_.labels)
            self.multi_label_ = self.model_.multi_label
            return self
        check_classification_targets(y)
        self.multi_label_ = type_of_target(y) == "multilabel-indicator"
        head = LogisticRegression(C=self.C, max_iter=1000)
        if self.multi_label_:
            head = OneVsRestClassifier(head)
            y = np.asarray(y)
        else:
            y = column_or_1d(y, warn=True)
        check_consistent_length(texts, y)
        if not self.multi_label_ and len(np.unique(y)) == 1:
            raise ValueError("y holds one class; expected at least two to tell apart.")
        self.head_ = head.fit(self._features(texts), y)
        self.classes_ = head.classes_
        return self

    def predict_proba(self, X: Iterable[str]) -> Array:  # noqa: N803
        """Probabilities of shape (n, classes); rows add up to 1 unless several may be true."""
        check_is_fitted(self)
        texts = _texts(X)
        if self.head_ is None:
            return self.model_.predict_proba(texts)
        return np.asarray(self.head_.predict_proba(self._features(texts)))

    def decision_function(self, X: Iterable[str]) -> Array:  # noqa: N803
        """Confidence as log-odds, shape (n, classes), or (n,) for two exclusive classes."""
        check_is_fitted(self)
        texts = _texts(X)
        if self.head_ is None:
            return self.model_.logits(texts)
        return np.asarray(self.head_.decision_function(self._features(texts)))

    def predict(self, X: Iterable[str]) -> Array:  # noqa: N803
        """Classes of shape (n,), or where several may be true an indicator matrix."""
        check_is_fitted(self)
        texts = _texts(X)
        if self.head_ is not None:
            return np.asarray(self.head_.predict(self._features(texts)))
        scores = self.model_.predict_proba(texts)
        if self.multi_label_:
            return (scores >= self.model_.thresholds).astype(int)
        return np.asarray(self.classes_[scores.argmax(axis=1)])

    def _features(self, texts: list[str]) -> NDArray[np.float64]:
        return self.model_.logits(texts)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.one_d_array = True
        tags.input_tags.two_d_array = False
        tags.target_tags.required = False
        tags.classifier_tags.multi_label = True
        return tags


def _texts(X: Iterable[str]) -> list[str]:  # noqa: N803
    """The texts of whatever holds them in one dimension: a list, an array, a column."""
    if isinstance(X, str):
        raise ValueError("expected a list of texts, found one text; put it in a list.")  # noqa: TRY004 - scikit-learn's convention
    if getattr(X, "ndim", 1) != 1:
        raise ValueError("expected texts in one dimension; reshape your data or pick a column.")
    texts = list(X)
    strange = next((type(t).__name__ for t in texts if not isinstance(t, str)), None)
    if strange:
        raise ValueError(f"expected texts, found {strange} among them.")
    return texts
