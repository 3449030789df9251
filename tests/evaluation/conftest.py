"""A small labelled set, and a classifier that needs no model folder."""

from collections.abc import Sequence

import numpy as np
import pytest

from pipeline.evaluation.gold import GoldSet, Scores
from pipeline.evaluation.intervals import Bootstrap
from pipeline.records import LabelledMessage

LABELS = ("information", "influence", "job_lead")
WORDS = {"information": "how does", "influence": "introduce me", "job_lead": "hiring"}


class KeywordClassifier:
    """Has the interface of `pipeline.inference.classifier.Classifier`; looks for words."""

    labels = LABELS
    multi_label = True
    thresholds = np.array([0.5, 0.5, 0.5])

    def predict_proba(self, texts: Sequence[str]) -> np.ndarray:
        found = [[WORDS[label] in text.lower() for label in LABELS] for text in texts]
        shade = np.array([[len(text) % 17 / 100] for text in texts])
        return np.where(np.array(found).reshape(-1, 3), 0.9, 0.1) - shade


@pytest.fixture
def classifier() -> KeywordClassifier:
    return KeywordClassifier()


@pytest.fixture
def messages() -> tuple[LabelledMessage, ...]:
    """Forty messages of every kind: two asks, none, a pair, two origins; some are traps."""
    made = []
    for i in range(40):
        label = (*LABELS, "none")[i % 4]
        asks = () if label == "none" else (label,)
        text = f"Hello number {i}. {WORDS.get(label, 'Thanks for lunch')}"
        if i % 10 == 3:
            text = f"We are hiring, number {i}"  # none, but a keyword says job_lead
        if i % 8 == 1:
            asks, text = ("information", "influence"), text + " how does it work?"
        made.append(
            LabelledMessage(
                id=f"t{i}",
                text=text,
                channel=("email", "dm")[i % 2],
                pair=f"p{i // 2}" if i < 8 else "",
                source="messages.jsonl" if i % 3 else "archive",
                extra={"world": "w", "relation": ("stranger", "known")[i % 2]}
                if i % 3
                else {"origin": "public"},
                asks=asks,
                primary=label,
                targets=tuple(float(name in asks) for name in LABELS),
                annotators=2,
            )
        )
    return tuple(made)


@pytest.fixture
def gold(messages: tuple[LabelledMessage, ...]) -> GoldSet:
    return GoldSet(messages, LABELS, multi_label=True)


@pytest.fixture
def scores(gold: GoldSet, classifier: KeywordClassifier) -> Scores:
    return Scores.decide(
        classifier.predict_proba(gold.texts), classifier.thresholds, multi_label=True
    )


@pytest.fixture
def bootstrap(gold: GoldSet) -> Bootstrap:
    return Bootstrap(gold.groups, resamples=200, confidence=0.95, seed=1)
