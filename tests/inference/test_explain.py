"""What an explanation shows: the sentence that makes each ask, faithfully, and safely as HTML."""

import itertools
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import pipeline
from pipeline.inference.explain import NEAR, Explanation, Reason, Span, explain, strongest
from pipeline.inference.explain_page import highlighted, to_html
from pipeline.inference.sentences import sentence_places, split_sentences
from pipeline.records import Prediction
from pipeline.settings import Settings
from tests.conftest import _ASKS, invented_messages

TEXT = (
    "Hello, it rained all week. could you introduce me to the museum? any openings in the harbour? "
    "No 3."
)


@pytest.fixture(scope="module")
def clf(trained: Settings) -> pipeline.Classifier:
    return pipeline.load(trained.model_dir, backend="onnx")


def test_each_ask_has_its_own_sentence(clf: pipeline.Classifier) -> None:
    texts = [str(row["text"]) for row in invented_messages(60, seed=5)]
    right = [
        any(start in reason.sentence.text for start in _ASKS[reason.label])
        for found in clf.explain(texts)
        for reason in found.reasons
    ]
    assert len(right) > 30
    assert np.mean(right) > 0.9


def test_places_are_those_of_the_text(clf: pipeline.Classifier) -> None:
    (found,) = clf.explain([TEXT])
    for reason in found.reasons:
        for span in (reason.sentence, *reason.words):
            assert TEXT[span.start : span.end] == span.text
        assert reason.words
        for word in reason.words:
            assert reason.sentence.start <= word.start < word.end <= reason.sentence.end


def test_the_score_falls_by_what_is_said(clf: pipeline.Classifier) -> None:
    (found,) = clf.explain([TEXT])
    for reason in found.reasons:
        column = clf.labels.index(reason.label)
        left = TEXT.replace(reason.sentence.text + " ", "")
        score = clf.predict_proba([left])[0, column]
        assert score == pytest.approx(reason.score - reason.sentence.moved, abs=0.02)


def test_a_message_without_an_ask_needs_no_reason(clf: pipeline.Classifier) -> None:
    (found,) = clf.explain(["Hello, see you. No 3."])
    assert (found.prediction.primary, found.reasons) == ("none", ())


def test_nothing_and_very_much_are_explained(clf: pipeline.Classifier) -> None:
    assert clf.explain([]) == []
    long = "See you. " * 3000 + "any openings in the harbour?"
    assert len(clf.explain(["", "  ", "\n", long])) == 4


def test_html_is_escaped_and_marks_the_sentence(clf: pipeline.Classifier) -> None:
    text = "<script>alert(1)</script> & so on.\nCould you introduce me to the <b>museum?"
    (found,) = clf.explain([text])
    page = to_html([found])
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    assert '<mark title="influence">' in highlighted(found)


def test_abbreviations_do_not_end_a_sentence() -> None:
    text = "Dear Prof. Vale, I met J. Ash of Bo Ltd. at the fair. Are you hiring?"
    assert split_sentences(text) == [
        "Dear Prof. Vale, I met J. Ash of Bo Ltd. at the fair.",
        "Are you hiring?",
    ]
    assert split_sentences("It rained.\nMr. Vale said so. H. Ash too.") == [
        "It rained.",
        "Mr. Vale said so.",
        "H. Ash too.",
    ]


def test_a_second_sentence_is_shown_where_it_weighs_nearly_as_much() -> None:
    assert strongest(np.array([1.0, 5.0, 5.0 - NEAR])) == [1, 2]
    assert strongest(np.array([1.0, 5.0, 4.9 - NEAR])) == [1]
    assert strongest(np.array([5.0, 5.0, 5.0])) == [0, 1]
    assert strongest(np.array([5.0])) == [0]


def test_an_ask_that_is_made_twice_shows_both_sentences() -> None:
    text = "Hi. Any openings in the harbour? It rained all week. Any openings in the museum?"

    def score(texts: Sequence[str]) -> np.ndarray:
        return np.array([[0.9 if "openings" in t else 0.1] for t in texts])

    asks = Prediction("0", "job_lead", ("job_lead",), {"job_lead": 0.9})
    (found,) = explain(score, [asks], [text], words=False)
    (reason,) = found.reasons
    assert [span.text for span in reason.sentences] == [
        "Any openings in the harbour?",
        "Any openings in the museum?",
    ]
    assert found.to_row()["job_lead"]["also"][0]["text"] == "Any openings in the museum?"
    assert highlighted(found).count("<mark") == 2


def test_sentences_shown_for_two_asks_are_marked_once() -> None:
    text = "First one. Second one."
    first, second = Span(0, 10, "First one.", 0.2), Span(11, 22, "Second one.", 0.3)
    reasons = (
        Reason("information", 0.9, first, also=(second,)),
        Reason("job_lead", 0.8, second, also=(first,)),
    )
    scores = {"information": 0.9, "job_lead": 0.8}
    answer = Prediction("0", "information", ("information", "job_lead"), scores)
    page = highlighted(Explanation(answer, text, reasons))
    assert page.count("<mark") == 2
    assert page.count('title="information, job_lead"') == 2


@given(st.text(alphabet="ab .!?\n\t'\"…\u00a0", max_size=80))
def test_sentences_cover_every_word_once_in_order(text: str) -> None:
    places = sentence_places(text)
    assert all(a < b for a, b in places)
    assert all(first[1] <= second[0] for first, second in itertools.pairwise(places))
    assert "".join("".join(text[a:b].split()) for a, b in places) == "".join(text.split())


def test_effects_are_measured_in_one_batch(clf: pipeline.Classifier) -> None:
    calls: list[int] = []

    def score(texts: list[str]) -> np.ndarray:
        calls.append(len(texts))
        return clf.predict_proba(texts)

    texts = [TEXT, "are you hiring in the clinic? See you."]
    explain(score, clf.predict(texts), texts, words=True)
    assert len(calls) == 2  # sentences of all messages, then words of all
