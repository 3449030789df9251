import json

import pytest

from pipeline.errors import InputError
from pipeline.labeling.exchange.files import export_annotations, import_annotations
from pipeline.records import Annotation, Message
from pipeline.settings import Task

TASK = Task(labels=("information", "influence", "job_lead"))
FORMATS = ["label-studio", "argilla", "prodigy", "doccano", "csv"]
MESSAGES = [
    Message("m1", "line one\nline “two”, with ; and \u2028", "subject"),
    Message("m2", "=HYPERLINK()"),
    Message("<m3@x>", "nobody has seen this"),
]
ANNOTATIONS = [
    Annotation(
        "m1", "ada", ("information", "job_lead"), "job_lead", "reader", False, None,
        "2026-01-02T03:04:05.000006+00:00", "1.2-abc", True, 'says "hm"\nand more',
    ),
    Annotation("m1", "llm:small", ("influence",), "influence", "llm", confidence=0.25),
    Annotation("m1", "ben", (), "none", "gold"),
    Annotation("m2", "ada", None, role="reader", note="no idea"),
    Annotation("m2", "rule:x", (), "none", "rule"),
]  # fmt: skip


@pytest.mark.parametrize("format_", FORMATS)
def test_a_round_trip_gives_the_same_annotations(tmp_path, format_):
    path = tmp_path / "out"
    assert export_annotations(path, format_, MESSAGES, ANNOTATIONS, TASK) >= len(MESSAGES)
    back = import_annotations(path, format_, [m.id for m in MESSAGES], TASK)
    assert not back.rejected
    key = lambda a: (a.message, a.annotator)  # noqa: E731
    assert sorted(back.annotations, key=key) == sorted(ANNOTATIONS, key=key)


@pytest.mark.parametrize("format_", FORMATS)
def test_a_single_label_task_goes_round_too(tmp_path, format_, intents):
    given = [Annotation("m1", "ada", ("card",), "card", "reader")]
    path = tmp_path / "out"
    export_annotations(path, format_, MESSAGES, given, intents)
    assert import_annotations(path, format_, ["m1"], intents).annotations == given


@pytest.mark.parametrize("format_", FORMATS)
def test_unknown_messages_and_labels_are_rejected_and_the_rest_is_taken(tmp_path, format_):
    path = tmp_path / "out"
    export_annotations(path, format_, MESSAGES, ANNOTATIONS, TASK)
    fewer = import_annotations(path, format_, ["m1"], TASK)
    assert {a.message for a in fewer.annotations} == {"m1"}
    assert {r.reason for r in fewer.rejected} == {"unknown_message"}
    other = Task(labels=("information", "influences", "work"))
    strange = import_annotations(path, format_, [m.id for m in MESSAGES], other)
    assert {r.reason for r in strange.rejected} == {"bad_annotation"}
    assert "unknown label" in strange.rejected[0].detail


def test_what_people_exported_from_label_studio_itself_is_read(tmp_path):
    row = {
        "id": 7,
        "data": {"text": "…", "outreach_id": "m1"},
        "annotations": [
            {
                "id": 1,
                "completed_by": 3,
                "was_cancelled": False,
                "created_at": "2026-01-01T00:00:00Z",
                "result": [
                    {
                        "from_name": "asks",
                        "to_name": "text",
                        "type": "choices",
                        "value": {"choices": ["job_lead"]},
                    }
                ],
            }
        ],
    }
    path = tmp_path / "ls.json"
    path.write_text(json.dumps([row]))
    (found,) = import_annotations(path, "label-studio", ["m1"], TASK).annotations
    assert (found.annotator, found.asks, found.role) == ("label-studio 3", ("job_lead",), "reader")


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize(
    "content", [b"", b"{", b"\xff\xfe", b"[[[1]]]", b'{"a": 1}', b"id,x\n1,2\n"]
)
def test_any_other_file_is_refused_or_rejected(tmp_path, format_, content):
    path = tmp_path / "strange"
    path.write_bytes(content)
    try:
        found = import_annotations(path, format_, ["m1"], TASK).annotations
    except InputError:
        found = []
    assert not found


def test_a_missing_file_is_said(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        import_annotations(tmp_path / "nowhere", "csv", [], TASK)


def test_no_cell_of_a_csv_is_a_formula(tmp_path):
    path = tmp_path / "out.csv"
    export_annotations(path, "csv", MESSAGES, [], TASK)
    assert "m2,'=HYPERLINK()" in path.read_text(encoding="utf-8")
