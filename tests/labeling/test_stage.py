"""The label stage on messages that were ingested."""

import json

import pytest

from pipeline.errors import DataError, InputError
from pipeline.labeling.stage import label
from pipeline.progress import Progress
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


def test_messages_stay_in_their_split_when_others_come(project, tmp_path):
    settings = project()
    label(settings)
    before = {m.id: name for name, rows in splits(settings).items() for m in rows}
    kept = tmp_path / "splits.jsonl"
    kept.write_bytes((settings.label_dir / "splits.jsonl").read_bytes())
    settings = project(count=140, label={"splits": [str(kept)]})
    assert not label(settings).skipped
    after = {m.id: name for name, rows in splits(settings).items() for m in rows}
    assert len(after) == 140
    assert {name: after[name] for name in before} == before
    assert sum(name == "test" for name in after.values()) == pytest.approx(14, abs=2)


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


def machines_say(tmp_path, numbers, asks):
    with (tmp_path / "log.jsonl").open("a") as log:
        for i in numbers:
            for who, role in (("llm:m", "llm"), ("llm:n", "llm"), ("rule:r", "rule")):
                row = {"message": f"m{i}", "annotator": who, "asks": asks, "role": role}
                log.write(json.dumps(row) + "\n")


def people_label_only(tmp_path, count):
    lines = (tmp_path / "log.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "log.jsonl").write_text("".join(lines[: 2 * count]))


def test_labels_of_machines_alone_are_for_training(project, tmp_path):
    settings = project()
    people_label_only(tmp_path, 61)  # m60 is a person's and m61, its pair, nobody's yet
    label(settings)
    before = splits(settings)
    machines_say(tmp_path, range(61, 80), ["job_lead"])
    said = []
    counts = label(settings, progress=Notes(said)).counts
    after = splits(settings)
    for name in ("validation", "test"):
        assert after[name] == before[name], "machines move no message from one split to another"
    assert counts["by_machines"] == 19
    assert counts["train"] + counts["left_out"] == len(before["train"]) + 19
    assert any("19 message(s) have labels of machines alone" in words for words in said)
    held_out = {m.pair for name in ("validation", "test") for m in after[name]}
    assert not held_out & {m.pair for m in after["train"]}
    everywhere = {m.id for rows in after.values() for m in rows}
    assert ("m61" in everywhere) == ("p30" not in held_out)


def test_machines_may_be_measured_against_where_one_says_so(project, tmp_path):
    settings = project(label={"held_out": "anyone"})
    people_label_only(tmp_path, 40)
    machines_say(tmp_path, range(40, 80), ["influence"])
    counts = label(settings).counts
    assert counts["by_machines"] == counts["left_out"] == 0
    assert any(int(m.id[1:]) >= 40 for m in splits(settings)["test"])


def test_only_machines_labels_are_refused_with_what_to_do(project, tmp_path):
    settings = project()
    people_label_only(tmp_path, 0)
    machines_say(tmp_path, range(80), ["influence"])
    with pytest.raises(DataError, match=r"want people's.*label review.*held_out=anyone"):
        label(settings)


def test_machines_that_always_vote_do_not_outvote_people_in_what_is_held_out(project, tmp_path):
    settings = project(label={"machines": "always"})
    machines_say(tmp_path, range(40, 80), ["influence"])
    label(settings)
    parts = splits(settings)
    truth = {f"m{i}": tuple(ASKS[i // 2 % 4]) for i in range(80)}
    assert all(m.asks == truth[m.id] for name in ("validation", "test") for m in parts[name])
    outvoted = [m for m in parts["train"] if int(m.id[1:]) >= 40]
    assert outvoted
    assert all(m.asks == ("influence",) for m in outvoted)


class Notes(Progress):
    """Keeps what is said."""

    def __init__(self, said):
        self.note = said.append
