import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.labeling.parse import annotation_from, column_annotations
from pipeline.records import Annotation
from pipeline.settings import Task

TASK = Task(labels=("information", "influence", "job_lead"))
ROW = {"message": "m1", "annotator": "ada", "asks": ["influence"]}


def problem(task=TASK, **changes):
    with pytest.raises(ValueError) as raised:  # noqa: PT011 - the text is what is tested
        annotation_from(ROW | changes, task)
    return str(raised.value)


def test_asks_stand_in_the_tasks_order_and_the_first_is_primary_unless_told():
    found = annotation_from(ROW | {"asks": ["job_lead", "information", "job_lead"]}, TASK)
    assert found.asks == ("information", "job_lead")
    assert found.primary == "information"
    told = annotation_from(ROW | {"asks": ["job_lead", "information"], "primary": "job_lead"}, TASK)
    assert told.primary == "job_lead"


def test_no_asks_and_an_abstention_are_two_things():
    assert annotation_from(ROW | {"asks": []}, TASK).primary == "none"
    abstained = annotation_from(ROW | {"asks": None}, TASK)
    assert (abstained.asks, abstained.primary) == (None, None)


def test_an_unknown_label_names_the_nearest():
    assert problem(asks=["influance"]) == "unknown label 'influance'; did you mean 'influence'?"
    assert "known: information, influence, job_lead" in problem(asks=["zzz"])
    assert "did you mean 'job_lead'" in problem(asks=["job_lead"], primary="job lead")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"asks": "influence"}, "expected a list of labels"),
        ({"asks": [["influence"]]}, "unknown label"),
        ({"primary": "none"}, "'none' is not among the asks"),
        ({"asks": [], "primary": "influence"}, "'influence' is not among the asks"),
        ({"primary": "information"}, "'information' is not among the asks"),
        ({"primary": 3}, "unknown label '3'"),
        ({"message": ""}, "message: expected a name"),
        ({"message": None}, "message: expected a name, found NoneType"),
        ({"annotator": ["ada"]}, "annotator: expected a name, found list"),
        ({"sure": "false"}, "sure: expected true or false, found str"),
        ({"confidence": "high"}, "confidence: expected a number from 0 to 1"),
        ({"confidence": 1.5}, "confidence: expected a number from 0 to 1"),
        ({"confidence": float("nan")}, "confidence: expected a number from 0 to 1"),
        ({"confidence": [1]}, "confidence: expected a number from 0 to 1"),
    ],
)
def test_what_is_wrong_is_said(changes, words):
    assert words in problem(**changes)


def test_a_single_label_task_wants_exactly_one(intents):
    row = {"message": 7, "annotator": "ada"}
    assert annotation_from(row | {"asks": ["card"]}, intents).message == "7"
    for asks in ([], ["card", "refund"]):
        with pytest.raises(ValueError, match="exactly one label"):
            annotation_from(row | {"asks": asks}, intents)


def test_other_keys_are_ignored():
    assert annotation_from(ROW | {"sha256": "…", "lang": "en"}, TASK) == annotation_from(ROW, TASK)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=5,
)


@given(
    st.fixed_dictionaries(
        dict.fromkeys(("message", "annotator", "asks"), json_values),
        optional=dict.fromkeys(
            ("primary", "sure", "confidence", "time", "note", "role"), json_values
        ),
    )
)
def test_any_row_is_an_annotation_or_a_value_error(row):
    try:
        found = annotation_from(row, TASK)
    except ValueError:
        return
    assert isinstance(found, Annotation)
    assert annotation_from(found.to_row(), TASK) == found


@pytest.mark.parametrize(
    ("cell", "labels"),
    [
        (["influence"], ["influence"]),
        ('["influence", "job_lead"]', ["influence", "job_lead"]),
        ("[not json", ["[not json"]),
        ("influence;job_lead ; ", ["influence", "job_lead"]),
        ("none", []),
        (None, []),
        (3, ["3"]),
    ],
)
def test_a_label_column_holds_a_list_json_or_names(cell, labels):
    assert column_annotations(cell) == labels
