"""Each likely cause of a mistake, on an invented message that has it."""

import pytest

from pipeline.evaluation.causes import Wrong, cause_of, load_causes
from pipeline.records import LabelledMessage

LABELS = ("information", "influence", "job_lead")


def _cause(text, *, asks=(), said=(), label, sentence=None, own_task=True, **fields):
    known = {
        "keywords": (),
        "doubtful": False,
        "cut": False,
        "subject_alone": False,
        **{
            k: fields.pop(k)
            for k in ("keywords", "doubtful", "cut", "subject_alone")
            if k in fields
        },
    }
    message = LabelledMessage(id="m", text=text, asks=asks, **fields)
    wrong = Wrong(message, said=said, label=label, sentence=sentence or text, **known)
    return cause_of(wrong, own_task=own_task).name


@pytest.mark.parametrize(
    ("label", "text", "cause"),
    [
        ("job_lead", "We are hiring two junior engineers.", "offer read as a request"),
        ("influence", "I would be glad to introduce you to her.", "offer read as a request"),
        ("job_lead", "I am not looking for a job.", "denial"),
        ("information", "He asked how I got into the field.", "reported speech"),
        ("job_lead", "The candidate did well on Tuesday.", "staffing and candidates at work"),
        ("information", "Can you send me the file?", "routine work question"),
        ("influence", "Looking forward to Tuesday.", "courtesy read as an ask"),
        ("influence", "Could you lend me fifty pounds?", "other favour"),
    ],
)
def test_what_makes_a_model_find_an_ask_that_is_not_there(label, text, cause):
    assert _cause(text, said=(label,), label=label) == cause


@pytest.mark.parametrize(
    ("label", "text", "cause"),
    [
        ("job_lead", "My daughter is looking for a summer job.", "asked on behalf of another"),
        ("job_lead", "My CV is attached.", "interest or application without a question"),
        ("influence", "Would you be my referee for the fellowship?", "vouching"),
        ("influence", "I would love to stay in touch.", "relationship for its own sake"),
        ("influence", "Would you pass this on to the editor?", "through a third person"),
        ("information", "Has anybody used the new kit?", "question among peers"),
        ("information", "What is it like?", "advice in passing"),
        (
            "job_lead",
            "I start on Monday if you say so, any shift, any day, nights too, all the year round.",
            "implied ask",
        ),
    ],
)
def test_what_makes_a_model_miss_an_ask(label, text, cause):
    assert _cause(text, asks=(label,), label=label) == cause


def test_several_asks():
    both = ("information", "influence")
    one, other = (both[0],), (both[1],)
    assert _cause("x", asks=both, said=both, label="information") == "order of two asks"
    assert _cause("x", asks=both, said=one, label="influence") == "second ask missed"
    assert _cause("x", asks=one, said=both, label="influence") == "second ask added"
    assert _cause("x", asks=one, said=other, label="influence") == "one ask taken for another"


def test_what_is_told_by_more_than_words():
    wrong = {"said": ("job_lead",), "label": "job_lead"}
    split = (0.0, 0.0, 0.5)
    assert _cause("Hm.", **wrong, doubtful=True, targets=split) == "label doubtful"
    assert _cause("No.\n> are you hiring?", **wrong) == "quoted remains"
    assert _cause("Hm.", **wrong, cut=True) == "read in part"
    assert _cause("Hm.", **wrong, subject_alone=True) == "ask in the subject"
    assert _cause("A cv.", **wrong, keywords=("cv",), own_task=False) == "keyword trap"
    assert _cause("word " * 180, **wrong) == "long"
    assert _cause("Hm.", **wrong) == "short"
    assert _cause("word " * 50, **wrong) == "other"


def test_causes_told_by_words_are_for_this_projects_own_asks():
    assert _cause("We are hiring.", said=("a",), label="a", own_task=False) == "short"


def test_every_cause_says_what_it_means():
    names = [cause.name for cause in load_causes()]
    assert len(set(names)) == len(names)
    assert all(len(cause.meaning) > 15 for cause in load_causes())
