"""Readers of tables: what they take, what they refuse and what they say."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.errors import InputError
from pipeline.ingestion.sources import Incoming, read
from pipeline.records import Rejection
from pipeline.settings import Columns


def _read(path: Path, **columns: str) -> tuple[list[Incoming], list[Rejection]]:
    records = list(read(path, Columns(**columns)))
    incoming = [r for r in records if isinstance(r, Incoming)]
    return incoming, [r for r in records if isinstance(r, Rejection)]


def _file(tmp_path: Path, name: str, content: str | bytes) -> Path:
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_jsonl_keeps_every_other_column_and_the_row_in_its_order(tmp_path):
    row = {"stage": "early", "text": "Are you hiring?", "id": 7, "cues": ["family"], "note": None}
    [incoming], rejected = _read(_file(tmp_path, "a.jsonl", json.dumps(row) + "\n"))
    assert not rejected
    assert incoming.message.id == "7"
    assert incoming.message.extra == {"stage": "early", "cues": ["family"], "note": None}
    assert list(incoming.row.items()) == list(row.items())
    assert incoming.message.source == str(tmp_path / "a.jsonl")
    assert incoming.message.position == "1"


def test_jsonl_rejects_bad_lines_with_their_place_and_goes_on(tmp_path):
    lines = [
        b'{"text": "one"}',
        b"not json",
        b"",
        b'{"text": "caf\xe9"}',
        b'{"text": "  "}',
        b'["a", "list"]',
        b'{"text": 5}',
        b'{"text": "half a \\ud83d pair"}',
        b'{"text": "n", "x": NaN}',
        b"[" * 100_000,
        b'{"text": "two"}',
    ]
    path = _file(tmp_path, "a.jsonl", b"\n".join(lines) + b"\n")
    incoming, rejected = _read(path)
    assert [r.message.text for r in incoming] == ["one", "two"]
    assert [(r.position, r.reason) for r in rejected] == [
        ("2", "not_json"),
        ("4", "not_utf8"),
        ("5", "empty_text"),
        ("6", "not_an_object"),
        ("7", "not_text"),
        ("8", "not_utf8"),
        ("9", "not_json"),
        ("10", "not_json"),
    ]
    assert rejected[0].record == "not json"
    assert json.loads(rejected[2].record) == {"text": "  "}


def test_a_row_without_an_id_gets_the_same_one_on_every_reading(tmp_path):
    path = _file(tmp_path, "a.jsonl", '{"text": "one"}\n\n{"text": "two", "id": ""}\n')
    first, _ = _read(path)
    assert [r.message.id for r in first] == [f"{path}:1", f"{path}:3"]
    assert _read(path)[0] == first


def test_csv_with_other_column_names(tmp_path):
    path = _file(tmp_path, "a.csv", 'Body,Kind\n"Hi, ""you"" there\nand so on",x\nNA,null\n')
    incoming, rejected = _read(path, text="Body", label="Kind")
    assert not rejected
    assert [r.message.text for r in incoming] == ['Hi, "you" there\nand so on', "NA"]
    assert [r.message.position for r in incoming] == ["2", "4"]
    assert incoming[1].message.extra == {"Kind": "null"}
    assert list(incoming[1].row) == ["Body", "Kind"]


@pytest.mark.parametrize(
    "content",
    [
        "id\ttext\n1\tHello, you\n",
        "id;text\n1;Hello, you\n",
        "sep=;\r\nid;text\r\n1;Hello, you\r\n",
        '\ufeffid,text\r\n1,"Hello, you"\r\n',
        "id|text\n1|Hello, you\n",
    ],
)
def test_csv_delimiters_bom_and_excel_line(tmp_path, content):
    [incoming], rejected = _read(_file(tmp_path, "a.csv", content))
    assert not rejected
    assert incoming.row == {"id": "1", "text": "Hello, you"}


def test_csv_rejects_bad_rows_and_goes_on(tmp_path):
    content = b'id,text\n1,one\n2,a,b\n3,caf\xe9\n4,"x"y\n5,\n6,six\n'
    incoming, rejected = _read(_file(tmp_path, "a.csv", content))
    assert [r.message.id for r in incoming] == ["1", "6"]
    assert [(r.position, r.reason) for r in rejected] == [
        ("3", "malformed_row"),
        ("4", "not_utf8"),
        ("5", "malformed_row"),
        ("6", "empty_text"),
    ]
    assert rejected[0].record == "2,a,b"
    assert rejected[1].record == r"3,caf\xe9"


def test_parquet_keeps_columns_of_any_type(tmp_path):
    when = datetime(2026, 3, 1, 12, tzinfo=UTC)
    table = pa.table({"id": [1, 2], "text": ["one", None], "when": [when, when], "n": [0.5, None]})
    pq.write_table(table, tmp_path / "a.parquet")
    [incoming], [rejection] = _read(tmp_path / "a.parquet", sent_at="when")
    assert incoming.message.sent_at == "2026-03-01T12:00:00+00:00"
    assert incoming.message.extra == {"n": 0.5}
    assert incoming.row["when"] == when
    assert (rejection.position, rejection.reason) == ("2", "empty_text")


@pytest.mark.parametrize(
    ("name", "content"),
    [("a.csv", "id,body\n1,x\n"), ("a.jsonl", '{"id": 1, "body": "x"}\n')],
)
def test_without_a_text_column_the_error_says_what_is_there(tmp_path, name, content):
    with pytest.raises(
        InputError,
        match=r"expected a column 'text' .* found: (body, id|id, body)\. .*data\.columns\.text",
    ):
        _read(_file(tmp_path, name, content))


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.csv", "", "empty; expected a header line"),
        ("a.csv", "text,text\nx,y\n", "column 'text' stands twice"),
        ("a.parquet", b"PAR1 and then nothing of use", "damaged Parquet file"),
        ("a.parquet", "id,text\n", "not a Parquet file"),
        ("a.bin", b"\x00\x01\x02", "found no known format"),
    ],
)
def test_unusable_files_are_refused(tmp_path, name, content, said):
    with pytest.raises(InputError, match=said):
        _read(_file(tmp_path, name, content))


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        _read(tmp_path / "nothing.csv")


def test_no_message_text_in_an_error(tmp_path):
    path = _file(tmp_path, "a.csv", 'id,text\n1,"my private words\n')
    _, [rejection] = _read(path)
    assert "private" not in rejection.detail
    assert "private" in rejection.record
