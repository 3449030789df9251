"""The ingest stage from files to its two tables."""

import json

import pytest

from pipeline.errors import DataError, InputError
from pipeline.ingestion.stage import ingest
from pipeline.records import Message, Rejection
from pipeline.settings import parse_settings
from pipeline.store import read_manifest, read_records


@pytest.fixture
def settings(tmp_path):
    def build(**data):
        return parse_settings(
            {
                "name": "t",
                "task": {"labels": ["a", "b"]},
                "data": {"processed": str(tmp_path / "processed"), **data},
            }
        )

    return build


def _jsonl(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def test_messages_and_rejections_are_written(settings, tmp_path):
    first = _jsonl(
        tmp_path / "a.jsonl",
        [
            {"id": "1", "text": "Could you introduce me to your editor, please?", "world": "x"},
            {"id": "2", "text": ""},
            {"id": "1", "text": "Are you hiring?"},
            {"id": "3", "text": "Could you introduce me to your editor, please?"},
        ],
    )
    test = tmp_path / "test.csv"
    test.write_text("id,text,label\n9,Thanks!,none\n")
    made = settings(messages=[first], test=[str(test)], columns={"label": "label"})
    result = ingest(made)
    messages = read_records(made.ingest_dir / "messages.parquet", Message)
    rejected = read_records(made.ingest_dir / "rejected.parquet", Rejection)
    assert [m.id for m in messages] == ["1", "3", "9"]
    assert [m.template for m in messages] == ["1", "1", ""]
    assert messages[0].extra == {"world": "x"}
    assert messages[2].source == str(test)
    assert messages[2].extra == {"label": "none"}
    assert [(r.reason, r.position) for r in rejected] == [
        ("empty_text", "2"),
        ("duplicate_id", "3"),
    ]
    assert result.counts["messages"] == 3
    assert result.counts["rejected"] == 2


def test_skipped_when_unchanged_and_byte_identical_when_forced(settings, tmp_path):
    path = _jsonl(tmp_path / "a.jsonl", [{"text": f"message {n} of many"} for n in range(50)])
    made = settings(messages=[path])
    ingest(made)
    outputs = read_manifest(made.ingest_dir)["outputs"]
    assert ingest(made).skipped
    assert not ingest(made, force=True).skipped
    assert read_manifest(made.ingest_dir)["outputs"] == outputs


def test_no_message_at_all_is_an_error(settings, tmp_path):
    path = _jsonl(tmp_path / "a.jsonl", [{"text": ""}, {"text": " "}])
    with pytest.raises(DataError, match="2 empty_text"):
        ingest(settings(messages=[path]))


def test_a_missing_file_is_an_error(settings):
    with pytest.raises(InputError, match="no such file"):
        ingest(settings(messages=["nothing.jsonl"]))
