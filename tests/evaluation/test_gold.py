import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.errors import DataError, InputError
from pipeline.evaluation.gold import GoldSet
from pipeline.evaluation.reading import read_labelled
from pipeline.records import LabelledMessage
from pipeline.settings import Columns
from pipeline.store import write_records

ROWS = [
    {
        "id": "a",
        "text": "Are you hiring?",
        "asks": "job_lead",
        "primary": "job_lead",
        "city": "Ely",
    },
    {"id": "b", "text": "Coffee?", "asks": "information;influence", "primary": "influence"},
    {"id": "c", "text": "Thanks!", "asks": "", "primary": "none"},
]


def _write(path, rows):
    match path.suffix:
        case ".jsonl":
            path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        case ".csv":
            lines = ["id,text,asks,primary,city"]
            lines += [
                ",".join(row.get(k, "") for k in ("id", "text", "asks", "primary", "city"))
                for row in rows
            ]
            path.write_text("\n".join(lines))
        case ".parquet":
            pq.write_table(pa.Table.from_pylist(rows), path)
    return path


@pytest.mark.parametrize("ending", ["jsonl", "csv", "parquet"])
def test_a_users_table_with_labels_is_read(tmp_path, ending):
    messages = read_labelled(_write(tmp_path / f"mine.{ending}", ROWS), Columns())
    assert [m.asks for m in messages] == [("job_lead",), ("information", "influence"), ()]
    assert [m.primary for m in messages] == ["job_lead", "influence", "none"]
    assert messages[0].extra["city"] == "Ely"
    assert messages[0].source == f"mine.{ending}"


def test_lists_of_asks_and_a_missing_primary(tmp_path):
    rows = [{"text": "x", "asks": ["influence", "information"]}, {"text": "y", "asks": []}]
    messages = read_labelled(_write(tmp_path / "mine.jsonl", rows), Columns())
    assert [m.primary for m in messages] == ["influence", "none"]


def test_a_single_label_column(tmp_path):
    path = tmp_path / "bank.csv"
    path.write_text("text,category\nwhere is my card,card_arrival\n")
    (message,) = read_labelled(path, Columns(label="category"))
    assert (message.primary, message.asks) == ("card_arrival", ("card_arrival",))


def test_the_label_stages_own_file_keeps_everything(tmp_path, messages):
    write_records(tmp_path / "test.parquet", messages, LabelledMessage)
    assert tuple(read_labelled(tmp_path / "test.parquet", Columns())) == messages


@pytest.mark.parametrize(
    ("name", "content", "kind", "words"),
    [
        ("x.xlsx", b"", InputError, "expected .jsonl, .ndjson, .csv, .parquet"),
        ("x.jsonl", b"{no}", InputError, "line 1 is not JSON"),
        ("x.jsonl", b"[1]", InputError, "not an object"),
        ("x.jsonl", b'{"text": "\xff"}', InputError, "not UTF-8"),
        ("x.jsonl", b'{"text": "secret", "to": 1}', DataError, "expected a column 'asks'"),
        ("x.jsonl", b'{"asks": [], "body": "secret"}', DataError, "no text in column 'text'"),
        ("x.parquet", b"junk", InputError, "not a Parquet file"),
    ],
)
def test_files_that_cannot_be_read_are_refused_in_words(tmp_path, name, content, kind, words):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(kind, match=words) as caught:
        read_labelled(path, Columns())
    assert "secret" not in str(caught.value)


def test_labels_the_model_does_not_know_are_refused():
    message = LabelledMessage(id="1", text="x", asks=("money",), primary="money")
    with pytest.raises(DataError, match=r"does not know: money\. The model knows: information"):
        GoldSet((message,), ("information", "influence"), multi_label=True)


def test_an_empty_set_is_refused():
    with pytest.raises(DataError, match="no message"):
        GoldSet((), ("a", "b"), multi_label=False)


def test_messages_that_share_a_pair_are_one_group(gold):
    groups = gold.groups.tolist()
    assert groups[0] == groups[1]
    assert groups[2] == groups[3] != groups[0]
    assert len(set(groups)) == 4 + 32
