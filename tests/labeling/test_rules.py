import pytest

from pipeline.errors import DataError, InputError
from pipeline.labeling.resolve import vote_of_rules
from pipeline.labeling.rules import (
    SHIPPED,
    apply_rules,
    fresh,
    load_rules,
    report,
    rule,
)
from pipeline.records import Annotation, Message
from pipeline.settings import Task

from .projects import answer, make_settings

TASK = Task(labels=("information", "influence", "job_lead"))
MESSAGES = [
    Message(f"m{i}", text) for i, text in enumerate(["intro", "intro thanks", "thanks", ""])
]


@rule
def intro(message):
    return "influence" if "intro" in message.text else None


@rule
def thanks(message):
    return () if "thanks" in message.text else None


@rule
def broken(message):
    raise RuntimeError(f"private: {message.text}")


@rule
def misspelt(message):
    return "influense"


RULES = [intro, thanks, broken, misspelt]


def test_votes_silence_and_failures_are_three_things():
    outcome = apply_rules(RULES, MESSAGES, TASK, codebook="1")
    assert [(a.message, a.annotator, a.asks) for a in outcome.annotations] == [
        ("m0", "rule:intro", ("influence",)),
        ("m1", "rule:intro", ("influence",)),
        ("m1", "rule:thanks", ()),
        ("m2", "rule:thanks", ()),
    ]
    assert outcome.failures == {"broken": {"RuntimeError": 4}, "misspelt": {"ValueError": 4}}
    assert "private" not in repr(outcome)


def test_the_table_counts_coverage_overlap_conflict_and_accuracy():
    outcome = apply_rules(RULES, MESSAGES, TASK)
    people = [answer(1, asks=("influence",)), Annotation("m0", "ada", (), "none")]
    rows = report(RULES, outcome, people, len(MESSAGES), TASK)
    first, second, third, _ = rows
    assert (first.coverage, first.overlap, first.conflict) == (0.5, 0.25, 0.25)
    assert (first.accuracy, first.compared, first.asks) == (0.5, 2, ("influence",))
    assert (second.accuracy, second.compared) == (0.0, 1)
    assert (third.accuracy, third.failures) == (None, 4)


def test_running_twice_adds_nothing_and_what_is_no_longer_so_is_withdrawn():
    first = apply_rules([intro, thanks], MESSAGES, TASK)
    assert len(fresh(first, [])) == 4
    assert fresh(first, first.annotations) == []
    fewer = apply_rules([intro, thanks], MESSAGES[:1], TASK)
    assert [a.asks for a in fresh(fewer, first.annotations)] == [None]


def test_rules_have_one_vote_together():
    one, two = (Annotation("m", f"rule:{n}", ("influence",), "influence", "rule") for n in "ab")
    against = Annotation("m", "rule:c", (), "none", "rule")
    job = Annotation("m", "rule:d", ("job_lead",), "job_lead", "rule")
    assert vote_of_rules([job, one, two, against], TASK).asks == ("influence", "job_lead")
    assert vote_of_rules([job, one, two, against], TASK).primary == "influence"
    assert not vote_of_rules([one, against], TASK).sure
    assert vote_of_rules([against], TASK).asks == ()


def test_users_add_their_own_file(tmp_path):
    mine = tmp_path / "mine.py"
    mine.write_text(
        "from pipeline.labeling.rules import rule\n"
        "@rule\ndef shouting(message):\n    return 'job_lead' if message.text.isupper() else None\n"
    )
    names = [r.name for r in load_rules(make_settings(tmp_path, label={"rules": [str(mine)]}))]
    assert names[-1] == "shouting"
    assert len(names) > 20
    only = make_settings(tmp_path, label={"rules": [str(mine)], "shipped_rules": False})
    assert [r.name for r in load_rules(only)] == ["shouting"]


@pytest.mark.parametrize(
    ("content", "words"),
    [("x = 1", "has no rules"), ("1/0", "cannot be run"), (None, "no Python file")],
)
def test_a_file_that_is_no_rules_is_said(tmp_path, content, words):
    path = tmp_path / "mine.py"
    if content is not None:
        path.write_text(content)
    with pytest.raises(InputError, match=words):
        load_rules(make_settings(tmp_path, label={"rules": [str(path)]}))


def test_names_must_differ_and_there_must_be_rules(tmp_path):
    with pytest.raises(DataError, match="More than one rule"):
        load_rules(make_settings(tmp_path, label={"rules": [str(SHIPPED)]}))
    with pytest.raises(DataError, match="no rules"):
        load_rules(make_settings(tmp_path, label={"shipped_rules": False}))


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Could you introduce me\nto your editor?", "introduction"),
        ("Are you hiring at the moment?", "hiring"),
        ("How did you get into policy?", "how_did_you"),
        ("Many thanks for the lovely book!", "only_thanks"),
        ("Would you write me a letter of recommendation?", "recommendation"),
    ],
)
def test_shipped_rules_speak_where_they_should(tmp_path, text, name):
    rules = load_rules(make_settings(tmp_path))
    outcome = apply_rules(rules, [Message("m", text)], TASK)
    assert f"rule:{name}" in {a.annotator for a in outcome.annotations}
    assert not outcome.failures
