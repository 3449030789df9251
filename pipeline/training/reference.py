"""The cheap model that every report sets beside the trained one: TF-IDF and logistic regression.

If fine-tuning does not beat it clearly, something is wrong with the data or the training.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

_ARRAYS = "reference.safetensors"
_WORDS = "reference.json"


class TfidfReference:
    """TF-IDF of words and word pairs, with one logistic regression per label."""

    def __init__(
        self,
        vectorizer: TfidfVectorizer,
        coefficients: NDArray[np.float64],
        intercepts: NDArray[np.float64],
        multi_label: bool,
    ) -> None:
        """Built by `fit` or `load`; coefficients (labels, words), intercepts (labels,)."""
        self._vectorizer = vectorizer
        self._coefficients = coefficients
        self._intercepts = intercepts
        self._multi_label = multi_label

    @classmethod
    def fit(
        cls, texts: Sequence[str], targets: NDArray[np.float64], multi_label: bool
    ) -> TfidfReference:
        """Fit on texts and targets, shape (texts, labels); targets count from one half."""
        vectorizer = TfidfVectorizer(ngram_range=(1, 2), min_df=2 if len(texts) > 50 else 1)
        features = vectorizer.fit_transform(texts)
        hits = targets >= 0.5 if multi_label else targets == targets.max(axis=1, keepdims=True)
        fitted = [_fit(features, hits[:, j]) for j in range(hits.shape[1])]  # one against the rest
        coefficients = np.vstack([weights for weights, _ in fitted])
        intercepts = np.array([intercept for _, intercept in fitted])
        return cls(vectorizer, coefficients, intercepts, multi_label)

    def predict_proba(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Probabilities, shape (texts, labels)."""
        features = self._vectorizer.transform(texts)
        logits = np.asarray(features @ self._coefficients.T) + self._intercepts
        scores = 1 / (1 + np.exp(-logits))
        return scores if self._multi_label else scores / scores.sum(axis=1, keepdims=True)

    def save(self, folder: Path) -> None:
        """Write it as JSON and safetensors."""
        folder.mkdir(parents=True, exist_ok=True)
        arrays = {
            "idf": self._vectorizer.idf_,
            "coefficients": self._coefficients,
            "intercepts": self._intercepts,
        }
        save_file({k: v.astype(np.float32) for k, v in arrays.items()}, folder / _ARRAYS)
        words = sorted(self._vectorizer.vocabulary_, key=self._vectorizer.vocabulary_.get)
        content = {"multi_label": self._multi_label, "words": words}
        (folder / _WORDS).write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> TfidfReference:
        """Read what `save` wrote."""
        arrays = load_file(folder / _ARRAYS)
        content = json.loads((folder / _WORDS).read_text(encoding="utf-8"))
        vocabulary = {word: i for i, word in enumerate(content["words"])}
        vectorizer = TfidfVectorizer(ngram_range=(1, 2), vocabulary=vocabulary)
        vectorizer.idf_ = arrays["idf"].astype(np.float64)
        return cls(vectorizer, arrays["coefficients"], arrays["intercepts"], content["multi_label"])


def log_odds(answers: NDArray[Any]) -> float:
    """The log odds of a yes, whatever the text says; answers, from 0 to 1, have shape (n,).

    One yes and one no more than there are (Laplace) keep it finite where all answers are alike.
    """
    return float(np.log((answers.sum() + 1) / ((1 - answers).sum() + 1)))


def _fit(features: Any, hits: NDArray[np.bool_]) -> tuple[NDArray[np.float64], float]:
    """One label's weights and intercept; where all texts have it or none has, no word counts."""
    if hits.all() or not hits.any():
        return np.zeros(features.shape[1]), log_odds(hits.astype(np.float64))
    model = LogisticRegression(C=10, class_weight="balanced", max_iter=1000).fit(features, hits)
    return model.coef_[0], float(model.intercept_[0])
