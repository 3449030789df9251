"""Every way out: nothing is lost, nothing runs, and what was stopped goes on."""

import csv
import email
import errno
import io
import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

import pipeline
from pipeline.errors import InputError
from pipeline.inference import output as output_module
from pipeline.inference.output import Output, fingerprint, format_for
from pipeline.inference.sinks import Csv, JsonLines
from pipeline.inference.stream import Answered, Entry, incoming_from, predict_stream
from pipeline.inference.tasks import holds_tasks, read_tasks
from pipeline.records import Message, Prediction, Rejection
from pipeline.settings import Columns, Settings
from tests.conftest import LABELS, write_jsonl

ASKING = "could you introduce me to the museum?"


@pytest.fixture(scope="module")
def clf(trained: Settings) -> pipeline.Classifier:
    return pipeline.load(trained.model_dir, speed="fast")


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output_module, "CHUNK", 10)


def entry(number: int, **extra: object) -> Answered:
    scores = dict.fromkeys(LABELS, 0.25)
    found = Prediction(f"m{number}", "none", (), scores, {"id": f"m{number}", **extra})
    return Answered(found, Message(f"m{number}", "hello", source="x", position=str(number)))


def entries(count: int) -> list[Entry]:
    return [
        Rejection("x", str(i), "empty_text") if i % 7 == 6 else entry(i, crm=i, note=f"=SUM({i})")
        for i in range(count)
    ]


def written(path: Path, form: str, given: list[Entry], mark: str = "m") -> None:
    with Output(path, form, mark) as output:
        list(output.write(given[output.done :]))


def rows_in(path: Path, form: str) -> list[dict[str, object]]:
    if form == "parquet":
        return pq.read_table(path).to_pylist()
    text = path.read_text(encoding="utf-8")
    if form == "csv":
        return list(csv.DictReader(io.StringIO(text, newline="")))
    if form == "label-studio":
        return json.loads(text)
    return [json.loads(line) for line in text.splitlines()]


@pytest.mark.parametrize("form", ["jsonl", "csv", "parquet", "label-studio"])
@pytest.mark.parametrize("stopped_after", [0, 1, 10, 25, 34])
def test_stopped_work_goes_on_and_gives_the_same_file(
    tmp_path: Path, form: str, stopped_after: int
) -> None:
    whole, path = tmp_path / f"whole.{form}", tmp_path / f"out.{form}"
    written(whole, form, entries(35))

    def stopping() -> Iterator[Entry]:
        yield from islice(entries(35), stopped_after)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), Output(path, form, "m") as output:
        list(output.write(stopping()))
    assert not path.exists()
    with Output(path, form, "m") as output:
        assert output.done == stopped_after // 10 * 10
        list(output.write(entries(35)[output.done :]))
    assert rows_in(path, form) == rows_in(whole, form)
    assert len(rows_in(path, form)) == 30
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([whole.name, path.name])


def test_another_command_starts_anew(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"

    def stopping() -> Iterator[Entry]:
        yield from entries(20)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), Output(path, "jsonl", "one") as output:
        list(output.write(stopping()))
    with Output(path, "jsonl", "other") as output:
        assert output.done == 0


def test_a_full_disk_keeps_what_was_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "out.jsonl"
    real, calls = JsonLines.write, []

    def fails_later(self: JsonLines, given: list[Entry]) -> None:
        calls.append(len(given))
        if len(calls) == 3:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(self, given)

    monkeypatch.setattr(JsonLines, "write", fails_later)
    with (
        pytest.raises(InputError, match=r"No space left.*first 20 records are kept"),
        Output(path, "jsonl", "m") as output,
    ):
        list(output.write(entries(35)))
    monkeypatch.setattr(JsonLines, "write", real)
    written(path, "jsonl", entries(35))
    assert len(rows_in(path, "jsonl")) == 30


def test_a_really_full_disk_says_so() -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    with Path("/dev/full").open("wb", buffering=0) as stream, pytest.raises(OSError, match="space"):
        JsonLines(stream).write([entry(1)])


def test_places_that_cannot_be_written_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is a folder"):
        Output(tmp_path, "jsonl", "m")
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(InputError, match="cannot be written"),
        Output(tmp_path / "file" / "out.jsonl", "jsonl", "m"),
    ):
        pass


def test_the_mark_changes_with_inputs_model_and_options(trained: Settings, tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "in.jsonl", [{"text": "a"}])
    first = fingerprint([str(path)], trained.model_dir, {"speed": "fast"})
    assert fingerprint([str(path)], trained.model_dir, {"speed": "fast"}) == first
    assert fingerprint([str(path)], trained.model_dir, {"speed": "best"}) != first
    write_jsonl(path, [{"text": "ab"}])
    assert fingerprint([str(path)], trained.model_dir, {"speed": "fast"}) != first


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("a.csv", "csv"),
        ("a.PARQUET", "parquet"),
        ("a.json", "label-studio"),
        ("a.mbox", "mbox"),
        ("a", "jsonl"),
    ],
)
def test_the_name_tells_the_format(name: str, form: str) -> None:
    assert format_for(Path(name)) == form


FORMULAS = ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1+1"]


@pytest.mark.parametrize("cell", FORMULAS)
def test_no_cell_and_no_column_name_runs(cell: str) -> None:
    stream = io.BytesIO()
    Csv(stream).write([entry(1, note=cell, **{cell: "x"})])
    header, row = csv.reader(io.StringIO(stream.getvalue().decode(), newline=""))
    assert f"'{cell}" in header
    assert f"'{cell}" in row


def test_plain_numbers_stay_numbers() -> None:
    stream = io.BytesIO()
    Csv(stream).write([entry(1, note="-12.5", phone="+4912")])
    assert b",-12.5,+4912" in stream.getvalue()


@given(st.dictionaries(st.text(min_size=1, max_size=5), st.text(max_size=20), max_size=4))
def test_csv_keeps_every_cell(extra: dict[str, str]) -> None:
    extra = {k: v for k, v in extra.items() if k not in ("id", "primary", "asks", "scores")}
    extra = {k: v for k, v in extra.items() if not k.startswith("score_")}
    stream = io.BytesIO()
    Csv(stream).write([entry(1, **extra)])
    text = stream.getvalue().decode("utf-8", "surrogateescape")
    _, row = csv.reader(io.StringIO(text, newline=""))
    kept = row[-len(extra) :] if extra else []
    assert [cell.removeprefix("'") for cell in kept] == [
        v.removeprefix("'") for v in extra.values()
    ]


def test_a_column_that_comes_late_is_not_lost_silently(tmp_path: Path) -> None:
    given = [*(entry(i) for i in range(10)), entry(10, late=1)]
    with pytest.raises(InputError, match="column 'late'"):
        written(tmp_path / "out.csv", "csv", given)
    written(tmp_path / "out.parquet", "parquet", given)
    assert rows_in(tmp_path / "out.parquet", "parquet")[10]["late"] == 1


def test_parquet_takes_columns_of_changing_types(tmp_path: Path) -> None:
    given = [entry(i, v=v) for i, v in enumerate([*[None] * 10, *[1] * 10, *[2.5] * 10, "x", [1]])]
    path = tmp_path / "out.parquet"
    written(path, "parquet", given)
    assert [row["v"] for row in rows_in(path, "parquet")][9:] == [
        None,
        *["1"] * 10,
        *["2.5"] * 10,
        "x",
        "[1]",
    ]


MBOX = b"""From ann@x.org Mon Mar  4 11:20:34 2024
From: ann@x.org
Subject: A question
X-Outreach-Asks: stale,
 folded
Content-Type: text/plain

could you introduce me to the museum?
>From here it is far.

From bo@x.org Mon Mar  4 11:21:34 2024
From: bo@x.org
Subject: Empty


From cy@x.org Mon Mar  4 11:22:34 2024\r
From: cy@x.org\r
Subject: Hi\r
\r
any openings in the harbour?\r
"""


def test_a_mailbox_comes_back_with_answers_and_otherwise_as_it_was(
    clf: pipeline.Classifier, tmp_path: Path
) -> None:
    source, path = tmp_path / "in.mbox", tmp_path / "out.mbox"
    source.write_bytes(MBOX)
    written(path, "mbox", list(predict_stream(clf, incoming_from([str(source)]))))
    lines = path.read_bytes().splitlines(keepends=True)
    assert b"X-Outreach-Asks: job_lead\r\n" in lines
    added = [line for line in lines if line.startswith(b"X-Outreach-")]
    assert len(added) == 6
    stale = b"X-Outreach-Asks: stale,\n folded\n"
    assert b"".join(line for line in lines if line not in added) == MBOX.replace(stale, b"")
    first = email.message_from_bytes(path.read_bytes().split(b"\n", 1)[1])
    assert first.get_all("X-Outreach-Asks") == ["influence"]
    assert first["X-Outreach-Primary"] == "influence"


def test_only_mailboxes_become_mailboxes(clf: pipeline.Classifier, tmp_path: Path) -> None:
    found = list(predict_stream(clf, incoming_from([ASKING])))
    with pytest.raises(InputError, match="mbox output needs mbox files"):
        written(tmp_path / "out.mbox", "mbox", found)


TASKS = [
    {"id": 7, "data": {"text": ASKING, "crm": 1}, "predictions": [{"model_version": "old"}]},
    {"id": 8, "data": {"text": ""}},
    {
        "id": 9,
        "data": {"text": "any openings in the harbour?"},
        "annotations": [
            {"result": [{"type": "choices", "from_name": "kind", "to_name": "mail", "value": {}}]}
        ],
    },
]


@pytest.mark.parametrize("indent", [None, 2])
def test_label_studio_tasks_come_back_with_predictions(
    clf: pipeline.Classifier, tmp_path: Path, indent: int | None
) -> None:
    source, path = tmp_path / "in.json", tmp_path / "out.json"
    source.write_text(json.dumps(TASKS, indent=indent))
    found = list(predict_stream(clf, incoming_from([str(source)])))
    assert [isinstance(e, Rejection) for e in found] == [False, True, False]
    written(path, "label-studio", found)
    first, last = json.loads(path.read_text())
    assert (first["id"], first["data"]) == (7, TASKS[0]["data"])
    assert first["predictions"][0] == {"model_version": "old"}
    (result,) = first["predictions"][1]["result"]
    assert result["value"] == {"choices": ["influence"]}
    (result,) = last["predictions"][0]["result"]
    assert (result["from_name"], result["to_name"]) == ("kind", "mail")


@given(st.lists(st.dictionaries(st.text(), st.integers() | st.text(), max_size=3), max_size=5))
def test_any_array_of_tasks_is_read_whole(
    tmp_path_factory: pytest.TempPathFactory, tasks: list[dict[str, object]]
) -> None:
    path = tmp_path_factory.mktemp("tasks") / "tasks.json"
    path.write_text(json.dumps([{**task, "text": "hi"} for task in tasks]), encoding="utf-8")
    assert holds_tasks(path)
    assert len(list(read_tasks(path, Columns()))) == len(tasks)


def test_a_cut_file_of_tasks_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "tasks.json"
    path.write_text(json.dumps(TASKS)[:-5])
    with pytest.raises(InputError, match="not a whole JSON array"):
        list(read_tasks(path, Columns()))


def test_all_columns_and_the_order_are_kept(clf: pipeline.Classifier, tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [
        {"id": f"r{i}", "text": f"{ASKING} {i}", "nested": {"a": [i]}, "primary": "mine"}
        for i in range(25)
    ]
    source = write_jsonl(tmp_path / "in.jsonl", rows)
    for form in ("jsonl", "parquet", "csv"):
        path = tmp_path / f"out.{form}"
        written(path, form, list(predict_stream(clf, incoming_from([str(source)]))))
        found = rows_in(path, form)
        assert [row["id"] for row in found] == [row["id"] for row in rows]
        assert {row["input_primary"] for row in found} == {"mine"}
        nested = json.loads(str(found[3]["nested"])) if form == "csv" else found[3]["nested"]
        assert nested == {"a": [3]}
