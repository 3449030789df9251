"""The label stage on messages that were ingested."""

import json

import pytest

from pipeline.errors import DataError, InputError
from pipeline.labeling.stage import label
from pipeline.records import LabelledMessage, Message, Rejection
from pipeline.settings import parse_settings
from pipeline.store import read_records, write_records

ASKS = [["information"], ["influence"], ["job_lead"], []]


@pytest.fixture
def project(tmp_path):
    """A folder with 80 ingested messages in 40 pairs, each annotated twice."""

    def make(count=80, **changes):
        messages = [
            Message(f"m{i}", f"text {i}", pair=f"p{i // 2}", source="mail.jsonl")
            for i in range(count)
        ]
        with (tmp_path / "log.jsonl").open("w") as log:
            for i in range(count):
                for who in ("ada", "ben"):
                    row = {"message": f"m{i}", "annotator": who, "asks": ASKS[i // 2 % 4]}
                    log.write(json.dumps(row) + "\n")
        values = {
            "name": "t",
            "task": {"labels": ["information", "influence", "job_lead"]},
            "data": {
                "messages": [str(tmp_path / "mail.jsonl")],
                "annotations": [str(tmp_path / "log.jsonl")],
                "processed": str(tmp_path / "processed"),
                **changes.pop("data", {}),
            },
            **changes,
        }
        settings = parse_settings(values)
        write_records(settings.ingest_dir / "messages.parquet", messages, Message)
        return settings

    return make


def splits(settings):
    return {
        name: read_records(settings.label_dir / f"{name}.parquet", LabelledMessage)
        for name in ("train", "validation", "test")
    }


def test_three_splits_of_labelled_messages(project):
    settings = project()
    result = label(settings)
    parts = splits(settings)
    assert sum(len(rows) for rows in parts.values()) == 80
    assert {m.split for m in parts["test"]} == {"test"}
    pairs = [{m.pair for m in rows} for rows in parts.values()]
    assert not (pairs[0] & pairs[1] | pairs[0] & pairs[2] | pairs[1] & pairs[2])
    assert result.counts["annotations"] == 160
    assert label(settings).skipped
    assert parts["train"][0].targets in {(1, 0, 0), (0, 1, 0), (0, 0, 1), (0, 0, 0)}


def test_bad_lines_are_kept_and_counted(project, tmp_path):
    settings = project()
    with (tmp_path / "log.jsonl").open("a") as log:
        log.write('{"message": "m1", "annotator": "cy", "asks": ["infuence"]}\n{"mess')
        log.write('\n{"message": "elsewhere", "annotator": "cy", "asks": []}\n')
    assert label(settings).counts["rejected"] == 2
    rejected = read_records(settings.label_dir / "rejected.parquet", Rejection)
    assert [r.reason for r in rejected] == ["bad_annotation", "not_json"]
    assert "did you mean 'influence'" in rejected[0].detail


@pytest.mark.parametrize(
    ("count", "changes", "words"),
    [
        (10, {}, r"10 labelled message\(s\) found; at least 20"),
        (
            40,
            {"task": {"labels": ["information", "influence", "job_lead", "money"]}},
            "no training message is labelled money",
        ),
    ],
)
def test_what_cannot_be_trained_on_is_refused(project, count, changes, words):
    with pytest.raises(DataError, match=words):
        label(project(count, **changes))


def test_messages_must_have_been_ingested(project):
    settings = project()
    (settings.ingest_dir / "messages.parquet").unlink()
    with pytest.raises(InputError, match="run `outreach ingest` first"):
        label(settings)
