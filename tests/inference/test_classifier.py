"""What a loaded classifier promises: shapes, order, names, and one answer whatever the batch."""

import numpy as np
import pytest

import pipeline
from pipeline.inference.classifier import decide
from pipeline.inference.encoding import batches, pad
from pipeline.inference.stream import names_file
from pipeline.records import Prediction
from pipeline.settings import Settings
from tests.conftest import LABELS

TEXTS = [
    "could you introduce me to the museum?",
    "Hello, see you. No 3.",
    "any openings in the harbour? " * 30,
    "what is it like to work in the clinic? are you hiring in the clinic?",
]


@pytest.fixture(scope="module")
def clf(trained: Settings) -> pipeline.Classifier:
    return pipeline.load(trained.model_dir)


def test_predictions_are_typed_and_in_order(clf: pipeline.Classifier) -> None:
    found = clf.predict(TEXTS, ids=["a", "b", "c", "d"])
    assert all(isinstance(p, Prediction) for p in found)
    assert [p.id for p in found] == ["a", "b", "c", "d"]
    assert list(found[0].scores) == LABELS
    assert found[0].primary == "influence"
    assert (found[1].primary, found[1].asks) == ("none", ())


def test_probabilities_have_one_column_a_label(clf: pipeline.Classifier) -> None:
    scores = clf.predict_proba(TEXTS)
    assert scores.shape == (4, 3)
    assert ((scores > 0) & (scores < 1)).all()


def test_a_message_gets_the_same_scores_alone_and_in_a_batch(clf: pipeline.Classifier) -> None:
    exact = pipeline.load(clf.folder, backend="onnx")
    together = exact.predict_proba(TEXTS)
    alone = np.vstack([exact.predict_proba([text]) for text in TEXTS])
    assert np.abs(together - alone).max() < 1e-5


def test_eight_bits_answer_as_thirty_two_do(clf: pipeline.Classifier) -> None:
    exact = pipeline.load(clf.folder, backend="onnx")
    assert [p.asks for p in clf.predict(TEXTS)] == [p.asks for p in exact.predict(TEXTS)]


def test_an_ask_at_the_end_of_a_long_message_is_found(clf: pipeline.Classifier) -> None:
    long = "It rained all week. See you. " * 12 + "any openings in the harbour?"
    exact = pipeline.load(clf.folder, backend="onnx")
    _, owners = exact.encode.windows([long, "Hello."])
    assert (owners == 0).sum() > 1
    found, short = exact.predict_proba([long, "Hello."])
    assert found[2] > 0.5
    assert np.allclose(short, exact.predict_proba(["Hello."]), atol=1e-5)


def test_nothing_in_nothing_out(clf: pipeline.Classifier) -> None:
    assert clf.predict([]) == []
    assert clf.predict_proba([]).shape == (0, 3)


def test_one_text_instead_of_a_list_is_a_mistake(clf: pipeline.Classifier) -> None:
    with pytest.raises(TypeError, match="expected a list of texts"):
        clf.predict("are you hiring?")


def test_odd_texts_are_answered(clf: pipeline.Classifier) -> None:
    odd = [
        "",
        " ",
        "\x00",
        "\ud83d\ude00".encode("utf-16", "surrogatepass").decode("utf-16"),
        "ß" * 9,
    ]
    assert np.isfinite(clf.predict_proba(odd)).all()


def test_asks_follow_the_thresholds() -> None:
    thresholds = np.array([0.5, 0.8, 0.2])
    rows = np.array([[0.4, 0.9, 0.3], [0.4, 0.7, 0.1], [0.5, 0.8, 0.8]])
    assert decide(rows, LABELS, thresholds) == [
        ("influence", ("influence", "job_lead")),
        ("none", ()),
        ("influence", ("information", "influence", "job_lead")),  # on a tie, the first
    ]


def test_a_single_label_task_always_has_one_answer() -> None:
    row = np.array([[0.2, 0.5, 0.3]])
    assert decide(row, LABELS, np.full(3, 0.9), multi_label=False) == [
        ("influence", ("influence",))
    ]


def test_padding_keeps_every_token() -> None:
    ids, mask = pad([[5, 6, 7], [8]])
    assert ids.tolist() == [[5, 6, 7], [8, 0, 0]]
    assert mask.tolist() == [[1, 1, 1], [1, 0, 0]]


def test_batches_cover_every_message_once_within_the_budget() -> None:
    lengths = [3, 90, 17, 17, 1, 60, 5]
    made = list(batches(lengths, tokens=100))
    assert sorted(i for batch in made for i in batch) == list(range(len(lengths)))
    assert all(len(b) * max(lengths[i] for i in b) <= 100 for b in made)


def test_a_message_larger_than_the_budget_goes_alone() -> None:
    assert [0] in list(batches([500, 1], tokens=100))


def test_an_empty_argument_is_an_empty_text_and_not_the_current_folder() -> None:
    assert not names_file("")
    assert not names_file("  ")
    assert names_file(".")
