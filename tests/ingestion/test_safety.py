# ruff: noqa: E501
"""Hostile and damaged files: nothing crashes, hangs, fills the memory or leaves its folder."""

import gzip
import io
import random
import time
import tracemalloc
import zipfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import InputError
from pipeline.ingestion import finish as finishing
from pipeline.ingestion.finish import Plan, finish
from pipeline.ingestion.incoming import Incoming, Unparsed
from pipeline.ingestion.mail import parse
from pipeline.ingestion.mbox import SEPARATOR, split
from pipeline.ingestion.sources import read
from pipeline.records import Message, Rejection
from pipeline.settings import Cleaning
from tests.ingestion.conftest import MAIL, formats, zipped

PLAN = Plan(Cleaning())


def mutated(data: bytes, rng: random.Random) -> bytes:
    """The bytes with some flipped, cut, doubled or replaced."""
    out = bytearray(data)
    for _ in range(rng.randint(1, 6)):
        at = rng.randrange(len(out) + 1)
        choice = rng.randrange(5)
        if choice == 0 and out:
            out[at % len(out)] ^= 1 << rng.randrange(8)
        elif choice == 1:
            del out[at : at + rng.randint(1, 40)]
        elif choice == 2:
            out[at:at] = out[max(at - 30, 0) : at]
        elif choice == 3:
            out[at:at] = bytes(rng.randrange(256) for _ in range(rng.randint(1, 8)))
        else:
            out[at:at] = rng.choice(
                [b'"', b"\n", b"\0", b"<", b"{", b"From ", b"\xff", b"=?", b"\r"]
            )
    return bytes(out)


def mutated_file(name: str, data: bytes, rng: random.Random) -> bytes:
    """A mutated file; of an archive every other time what is in it, packed again."""
    if rng.random() < 0.5:
        return mutated(data, rng)
    if name.endswith(".gz"):
        return gzip.compress(mutated(gzip.decompress(data), rng), 1, mtime=0)
    if name.endswith((".zip", ".xlsx")):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = {member: archive.read(member) for member in archive.namelist()}
        hit = rng.choice(sorted(members))
        return zipped({**members, hit: mutated(members[hit], rng)})
    return mutated(data, rng)


def records_in(name: str, data: bytes) -> int | None:
    """How many records a file holds, counted another way than the readers do; None: not known."""
    if name == "rows.jsonl" and data.lstrip().startswith(b"{"):
        return sum(bool(line.strip()) for line in data.split(b"\n"))
    if name == "all.mbox" and data.startswith(b"From ann@archive.example Tue Mar  3 10:12:00 2026"):
        lines = data.split(b"\n")
        blank = [True, *(line in (b"", b"\r") for line in lines)]
        return sum(
            above and SEPARATOR.match(line) is not None
            for above, line in zip(blank, lines, strict=False)
        )
    return None


def _read_all(path) -> list[Message | Rejection]:
    try:
        return [r.message if isinstance(r, Incoming) else r for r in read(path)]
    except InputError:
        return []


@pytest.mark.parametrize("name", sorted(formats()))
def test_mutated_files_never_crash(tmp_path, name):
    rng = random.Random(name)
    data = formats()[name]
    path = tmp_path / name
    for _ in range(8):
        content = mutated_file(name, data, rng)
        path.write_bytes(content)
        records = _read_all(path)
        assert not records or len(records) == (records_in(name, content) or len(records))
        for record in records:
            if isinstance(record, Message):
                finish(Incoming(record, {}), PLAN)


@given(st.binary(max_size=400))
@settings(max_examples=60, deadline=None)
def test_any_bytes_are_a_mail_or_a_rejection(data):
    record = finish(Unparsed(parse, data, "x", "0"), PLAN)
    assert isinstance(record, Message | Rejection)
    assert not (isinstance(record, Rejection) and record.reason == "not_parsed")


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from([b"From a@b Tue Mar  3 10:12:00 2026\n", b"From here\n", b"\n", b"x\n",
                                 b">From y\n", b"Subject: s\n", b"x" * 70_000]), max_size=30))  # fmt: skip
def test_no_byte_of_an_mbox_is_lost(lines):
    data = b"".join(lines)
    mails = [mail for _, mail in split(io.BytesIO(data))]
    left = data.replace(b"From a@b Tue Mar  3 10:12:00 2026\n", b"").replace(b"\n", b"")
    together = b"".join(mails).replace(b"From a@b Tue Mar  3 10:12:00 2026\n", b"")
    unquoted = left.replace(b">From", b"From")
    assert together.replace(b"\n", b"").replace(b">From", b"From") == unquoted


def test_read_and_rejected_are_all_records(tmp_path):
    rng = random.Random(3)
    lines = [rng.choice(['{"text": "hi"}', "nonsense", '{"text": ""}', "[]"]) for _ in range(500)]
    path = tmp_path / "a.jsonl"
    path.write_text("\n".join(lines))
    assert len(list(read(path))) == 500


def test_a_record_that_takes_too_long_is_rejected(monkeypatch):
    def forever(data, source, position):
        while True:
            time.sleep(0.01)

    monkeypatch.setattr(finishing, "TIME_LIMIT", 0.2)
    record = finish(Unparsed(forever, b"", "x", "7"), PLAN)
    assert (record.reason, record.position) == ("too_slow", "7")


def test_a_defect_is_said_of_its_record_without_its_text():
    def broken(data, source, position):
        raise ValueError(data.decode())

    record = finish(Unparsed(broken, b"private words", "x", "7"), PLAN)
    assert record.reason == "not_parsed"
    assert "private" not in record.detail


def test_deep_mime_nesting():
    data = "From: a@b.example\nSubject: s\n"
    for depth in range(400):
        data += f'Content-Type: multipart/mixed; boundary="b{depth}"\n\n--b{depth}\n'
    record = finish(Unparsed(parse, f"{data}\n\nhello\n".encode(), "x", "0"), PLAN)
    assert isinstance(record, Message | Rejection)


def test_an_attached_mail_is_someone_elses(tmp_path):
    path = tmp_path / "a.eml"
    path.write_text(
        'From: a@b.example\nContent-Type: multipart/mixed; boundary="b"\n\n--b\n\nSee below.\n'
        f"--b\nContent-Type: message/rfc822\n\n{MAIL}\n--b--\n"
    )
    [record] = read(path)
    assert record.message.text.strip() == "See below."


@pytest.mark.parametrize("name", ["a.jsonl", "a.csv", "a.mbox", "a.txt"])
def test_a_huge_line_does_not_fill_the_memory(tmp_path, name):
    path = tmp_path / name
    heads = {"a.jsonl": b'{"text": "', "a.csv": b"text\n", "a.txt": b"",
             "a.mbox": b"From a@b Tue Mar  3 10:12:00 2026\nFrom: a@b\n\n"}  # fmt: skip
    with path.open("wb") as out:
        out.write(heads[name])
        for _ in range(60):
            out.write(b"x" * 1_000_000)
        out.write(b"\n")
        out.write(b'{"text": "after"}\n' if name == "a.jsonl" else b"after\n")
    tracemalloc.start()
    records = list(read(path))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 60_000_000
    if name in ("a.jsonl", "a.csv"):
        assert [r.reason for r in records if isinstance(r, Rejection)] == ["too_long"]
        assert [r.message.text for r in records if isinstance(r, Incoming)] == ["after"]


def test_zip_bombs_are_refused(tmp_path):
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.txt", b"\0" * 60_000_000)
        archive.writestr("b.jsonl", '{"text": "fine"}\n')
    records = list(read(path))
    assert [r.reason for r in records if isinstance(r, Rejection)] == ["too_compressed"]
    assert [r.message.text for r in records if isinstance(r, Incoming)] == ["fine"]


def test_gzip_bombs_are_refused(tmp_path):
    path = tmp_path / "bomb.mbox.gz"
    path.write_bytes(gzip.compress(b"From a@b Tue Mar  3 10:12:00 2026\n\n" + b"a" * 80_000_000))
    with pytest.raises(InputError, match="swells to more than 200 times"):
        list(read(path))


def test_archives_in_archives_end(tmp_path):
    data = zipped({"a.jsonl": '{"text": "deep"}'})
    for depth in range(6):
        data = zipped({f"{depth}.zip": data})
    path = tmp_path / "a.zip"
    path.write_bytes(data)
    [rejection] = read(path)
    assert rejection.reason == "too_deep"


def test_no_member_leaves_the_archive(tmp_path):
    path = tmp_path / "inner" / "a.zip"
    path.parent.mkdir()
    path.write_bytes(zipped({"../../evil.jsonl": '{"text": "x"}', "/etc/evil.csv": "text\ny\n"}))
    assert len(list(read(path))) == 2
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["a.zip", "inner"]


def test_a_member_without_a_name_is_read(tmp_path):
    path = tmp_path / "a.zip"
    path.write_bytes(zipped({"x.jsonl": '{"text": "one"}'}).replace(b"x.jsonl", b"\0.jsonl"))
    [record] = read(path)  # zipfile ends a name at its first zero
    assert record.message.text == "one"


def test_a_cut_gzip_keeps_what_stands_before(tmp_path):
    rng = random.Random(1)
    lines = "".join(f'{{"text": "{rng.random()}"}}\n' for _ in range(40_000))
    whole = gzip.compress(lines.encode())
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(whole[: len(whole) // 2])
    records = list(read(path))
    assert records[-1].reason == "damaged_file"
    assert sum(isinstance(r, Incoming) for r in records) > 10_000


def test_an_unclosed_quote_costs_one_row(tmp_path):
    path = tmp_path / "a.csv"
    rows = [f"{n},text {n}" for n in range(1000)]
    rows[3] = '3,"text 3'
    path.write_text("id,text\n" + "\n".join(rows) + "\n")
    records = list(read(path))
    assert [r.reason for r in records if isinstance(r, Rejection)] == ["malformed_row"]
    assert sum(isinstance(r, Incoming) for r in records) == 999
