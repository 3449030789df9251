"""A small labelled set, and a classifier that needs no model folder."""

from collections.abc import Sequence

import numpy as np
import pytest

import pipeline.inference.classifier as classifier_module
from pipeline.evaluation.gold import GoldSet, Scores
from pipeline.evaluation.intervals import Bootstrap
from pipeline.evaluation.stage import evaluate
from pipeline.records import LabelledMessage
from pipeline.settings import parse_settings
from pipeline.store import write_records

LABELS = ("information", "influence", "job_lead")
WORDS = {"information": "how does", "influence": "introduce me", "job_lead": "hiring"}


class KeywordClassifier:
    """Has the interface of `pipeline.inference.classifier.Classifier`; looks for words."""

    labels = LABELS
    multi_label = True
    thresholds = np.array([0.5, 0.5, 0.5])

    def predict_proba(self, texts: Sequence[str]) -> np.ndarray:
        found = [[WORDS[label] in text.lower() for label in LABELS] for text in texts]
        shade = np.array([[len(text) % 17 / 200] for text in texts])
        return np.where(np.array(found).reshape(-1, 3), 0.9, 0.1) - shade


@pytest.fixture(scope="session")
def classifier() -> KeywordClassifier:
    return KeywordClassifier()


@pytest.fixture(scope="session")
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


@pytest.fixture(scope="session")
def settings(tmp_path_factory, messages, classifier):
    """Settings, a label stage's output and a model folder; shared, so tests leave them alone."""
    tmp_path = tmp_path_factory.mktemp("evaluate")
    made = parse_settings(
        {
            "name": "tiny",
            "task": {"labels": list(classifier.labels)},
            "data": {"messages": ["unused"], "processed": str(tmp_path / "processed")},
            "models": str(tmp_path / "models"),
            "evaluation": {"bootstrap": 50, "swapped_messages": 20},
        }
    )
    write_records(made.label_dir / "test.parquet", messages, LabelledMessage)
    made.model_dir.mkdir(parents=True)
    (made.model_dir / "config.json").write_text("{}")
    return made


@pytest.fixture(autouse=True)
def _keyword_model(monkeypatch, classifier):
    monkeypatch.setattr(classifier_module, "load", lambda folder: classifier)


@pytest.fixture(scope="session")
def report(settings, classifier):
    """A report, made once; tests that change anything take a copy."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(classifier_module, "load", lambda folder: classifier)
        return evaluate(settings).output_dir
