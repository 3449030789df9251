import numpy as np
import pytest

from pipeline.errors import DataError
from pipeline.labeling.issues import find_issues, outvoted
from pipeline.labeling.queue import choose, dispute, next_messages, uncertainty
from pipeline.records import Annotation

from .projects import answer, make_project

STRATEGIES = ["mixed", "uncertainty", "disagreement", "diversity", "random"]


@pytest.mark.parametrize("by", STRATEGIES)
def test_what_is_chosen_is_unlabelled_distinct_and_the_same_each_time(tmp_path, by):
    llm = [answer(i, "llm:x", asks=(), role="llm") for i in range(40)]
    rules = [answer(i, "rule:x", asks=("influence",), role="rule") for i in range(20, 24)]
    people = [answer(i) for i in range(12)]
    project = make_project(tmp_path, 40, [*people, *llm, *rules])
    items = next_messages(project, 8, by)
    ids = [item.message for item in items]
    assert len(ids) == len(set(ids)) == (4 if by == "disagreement" else 8)
    assert not set(ids) & {f"m{i}" for i in range(12)}
    assert [item.message for item in next_messages(project, 8, by)] == ids
    if by == "mixed":
        assert {i.reason for i in items} == {"uncertainty", "disagreement", "diversity", "random"}


def test_without_labels_diversity_comes_first(tmp_path):
    items = next_messages(make_project(tmp_path), 6, "uncertainty")
    assert {item.reason for item in items} == {"diversity"}


def test_copies_are_asked_about_once_and_not_after_one_is_labelled(tmp_path):
    project = make_project(tmp_path, 8, [answer(0)])
    texts = ["one", "two", "one", "TWO ", "three", "three", "four", "four"]
    for i, text in enumerate(texts):
        object.__setattr__(project.messages[i], "text", text)
    found = {item.message for item in next_messages(project, 8, "random")}
    assert found == {"m1", "m4", "m6"}


def test_nothing_left_is_said(tmp_path):
    with pytest.raises(DataError, match="labelled already"):
        next_messages(make_project(tmp_path, 4, [answer(i) for i in range(4)]), 1)


def test_uncertainty_is_highest_at_one_half():
    scores = np.array([[0.5, 0.0, 1.0], [0.9, 0.1, 0.0], [0.0, 1.0, 0.0]])
    assert uncertainty(scores, multi_label=True) == pytest.approx([1.0, 0.2, 0.0])
    even = np.full((1, 4), 0.25)
    assert uncertainty(even, multi_label=False) == pytest.approx([1.0])


def test_diversity_goes_to_what_is_least_like_what_is_known():
    rows = np.eye(4)[[0, 0, 1, 2]]
    found = choose(
        rows, np.eye(4)[[0]], None, np.zeros(4), 2, "diversity", seed=1, multi_label=True
    )
    assert {i for i, _, _ in found} == {2, 3}


def test_a_rule_contradicts_only_about_what_it_looks_for():
    rule = Annotation("m", "rule:a", ("influence",), "influence", "rule")
    both = Annotation("m", "ada", ("information", "influence"), "information")
    assert dispute([rule, both]) == 0
    assert dispute([rule, Annotation("m", "ada", (), "none")]) == 1


def test_wrong_labels_are_found_and_gold_is_not_questioned(tmp_path):
    wrong = {5: ("job_lead",), 10: ("information",), 20: ("influence",)}
    log = [answer(i, asks=wrong.get(i)) for i in range(80)]
    items = find_issues(make_project(tmp_path, 80, log), outliers=3)
    errors = [item.message for item in items if item.reason == "label_error"]
    assert {"m5", "m10", "m20"} <= set(errors[:4])
    assert sum(item.reason == "outlier" for item in items) == 3
    log[5] = answer(5, asks=wrong[5], role="gold")
    again = find_issues(make_project(tmp_path, 80, log), outliers=0)
    assert "m5" not in {item.message for item in again}


def test_too_few_labels_are_said(tmp_path):
    with pytest.raises(DataError, match="at least 50"):
        find_issues(make_project(tmp_path, 20, [answer(i) for i in range(20)]))


def test_where_annotators_contradict_each_other_the_model_weighs_in(tmp_path):
    given = [answer(i, who) for i in range(80) for who in ("ada", "ben")]
    given[6] = answer(3, "ada", asks=("job_lead",))  # m3 is thanks; a tie goes to the ask
    given[21] = answer(10, "ben", asks=("influence",))  # m10 asks for a job; a tie, and wrong
    found = find_issues(make_project(tmp_path, count=80, annotations=given), outliers=5)
    by_reason = {item.message: item.reason for item in found}
    assert by_reason["m3"] == by_reason["m10"] == "outvoted"
    assert found[0].reason == "outvoted", "they come first"
    assert len(by_reason) == len(found), "no message is listed twice"


def test_votes_and_model_are_weighed_together():
    hits = np.array([[True], [True], [True], [True]])
    votes = np.array([[1, 2], [1, 2], [2, 2], [2, 3]])
    scores = np.array([[0.1], [0.9], [0.01], [0.6]])
    against = outvoted(hits, scores, votes)
    assert against[0] == pytest.approx(0.9), "votes that cancel leave the model's word"
    assert against[1] == pytest.approx(0.1)
    assert against[2] == 0, "where all agree the votes say nothing"
    assert against[3] < 0.5, "two of three, and the model agrees"
    assert not outvoted(hits, scores, np.ones((4, 2), dtype=int)).any(), "one vote each"
