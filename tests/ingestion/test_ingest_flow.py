# ruff: noqa: E501
"""The ingest stage over time: interruption, growth, owners, senders, the command line."""

import json
import sys

import pytest
from typer.testing import CliRunner

from pipeline.cli.app import app
from pipeline.ingestion import ledger as ledgers
from pipeline.ingestion import parallel, stage
from pipeline.ingestion.stage import ingest
from pipeline.records import Message, Rejection
from pipeline.settings import parse_settings
from pipeline.store import read_manifest, read_records


@pytest.fixture
def settings(tmp_path):
    def build(path, where="processed", **ingest_settings):
        return parse_settings(
            {
                "name": "t",
                "task": {"labels": ["a", "b"]},
                "data": {"messages": [str(path)], "processed": str(tmp_path / where)},
                "ingest": ingest_settings,
            }
        )

    return build


def _messages(made) -> list[Message]:
    return read_records(made.ingest_dir / "messages.parquet", Message)


def _rejected(made) -> list[Rejection]:
    return read_records(made.ingest_dir / "rejected.parquet", Rejection)


def _mails(first: int, last: int) -> str:
    return "".join(
        f"From a@b.example Tue Mar  3 10:12:00 2026\nFrom: p{n % 3}@b.example\nTo: me@home.example\n"
        f"Subject: {n}\nMessage-ID: <{n}@b>\n\nWhat is it like to be number {n}?\n\n"
        for n in range(first, last)
    )


def test_every_format_through_one_run(settings, files, tmp_path):
    made = settings(tmp_path / "files")
    result = ingest(made)
    messages, rejected = _messages(made), _rejected(made)
    assert result.counts["messages"] == len(messages)
    assert result.counts["rejected"] == len(rejected) == sum(result.counts["reasons"].values())
    assert {m.channel for m in messages} >= {"email", "linkedin", "dm", "forum"}
    assert all("@" not in m.sender and "/" not in m.sender for m in messages)
    assert any(r.reason == "duplicate_id" for r in rejected)


def test_an_interrupted_run_goes_on_and_ends_as_if_never_stopped(settings, tmp_path, monkeypatch):
    box = tmp_path / "in" / "a.mbox"
    box.parent.mkdir()
    box.write_text(_mails(0, 60))
    (box.parent / "b.jsonl").write_text('{"text": "hi there"}\nno json\n' * 20)
    straight = settings(box.parent)
    ingest(straight)
    expected = read_manifest(straight.ingest_dir)["outputs"]

    made = settings(box.parent, "again")
    (tmp_path / "again").mkdir()
    (tmp_path / "again" / "sender-salt").write_bytes(
        (tmp_path / "processed" / "sender-salt").read_bytes()
    )
    monkeypatch.setattr(parallel, "BATCH_RECORDS", 4)
    finish, calls = parallel.finish_all, []

    def stop_in_the_middle(records, plan):
        calls.append(len(records))
        if len(calls) == 9:
            raise KeyboardInterrupt
        return finish(records, plan)

    with monkeypatch.context() as patch:
        patch.setattr(parallel, "finish_all", stop_in_the_middle)
        with pytest.raises(KeyboardInterrupt):
            ingest(made)
    done = sum(calls[:8])
    again: list[int] = []
    monkeypatch.setattr(
        parallel, "finish_all", lambda r, p: (again.append(len(r)), finish(r, p))[1]
    )
    ingest(made)
    assert done == 32
    assert sum(again) == 60 + 40 - done
    assert _messages(made) == _messages(straight)
    assert read_manifest(made.ingest_dir)["outputs"] == expected


def test_a_grown_mailbox_and_new_files_are_read_from_where_they_grew(
    settings, tmp_path, monkeypatch
):
    folder = tmp_path / "in"
    folder.mkdir()
    box = folder / "b.mbox"
    box.write_text(_mails(0, 30))
    (folder / "c.jsonl").write_text(
        '{"id": "5@b", "text": "a double"}\n{"id": "c", "text": "x y"}\n'
    )
    made = settings(folder)
    ingest(made)
    parsed: list[int] = []
    finish = parallel.finish_all

    def counting(records, plan):
        parsed.append(sum(not isinstance(r, Message | Rejection) for r in records))
        return finish(records, plan)

    monkeypatch.setattr(parallel, "finish_all", counting)
    box.write_text(_mails(0, 42))
    (folder / "a.jsonl").write_text('{"id": "new", "text": "a new message"}\n')
    ingest(made)
    assert sum(parsed) == 13
    anew = settings(folder, "anew")
    (tmp_path / "anew").mkdir()
    (tmp_path / "anew" / "sender-salt").write_bytes(
        (tmp_path / "processed" / "sender-salt").read_bytes()
    )
    ingest(anew)
    assert _messages(made) == _messages(anew)
    assert _rejected(made) == _rejected(anew)


def test_a_changed_file_is_read_anew(settings, tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "one thing"}\n')
    made = settings(path)
    ingest(made)
    path.write_text('{"text": "another"}\n')
    ingest(made)
    assert [m.text for m in _messages(made)] == ["another"]


def test_owner_keeps_only_what_was_sent_to_them(settings, files, tmp_path):
    made = settings(files["all.mbox"], owner=["Robin@home.example"])
    ingest(made)
    reasons = {r.reason for r in _rejected(made)}
    assert [m.id for m in _messages(made)][:2] == ["m1@archive.example", "m2@firm.example"]
    assert reasons == {"bulk", "spam_folder"}
    other = settings(files["all.mbox"], owner=["someone@else.example"])
    ingest(other)
    assert "not_to_owner" in {r.reason for r in _rejected(other)}
    linked = settings(files["linkedin.zip"], owner=["robin@home.example"])
    ingest(linked)
    assert {r.reason for r in _rejected(linked)} >= {"from_owner"}
    assert all(m.extra["outgoing"] is False for m in _messages(linked))


def test_senders_are_hashed_alike_within_a_project_only(settings, tmp_path):
    box = tmp_path / "a.mbox"
    box.write_text(_mails(0, 6))
    here, there = settings(box), settings(box, "other")
    ingest(here)
    ingest(there)
    mine, theirs = ([m.sender for m in _messages(s)] for s in (here, there))
    assert mine[0] == mine[3] != mine[1]
    assert not set(mine) & set(theirs)
    assert (tmp_path / "processed" / "sender-salt").stat().st_mode & 0o077 == 0


def test_several_processes_give_the_same(settings, tmp_path, monkeypatch):
    box = tmp_path / "a.mbox"
    box.write_text(_mails(0, 300))
    alone = settings(box)
    ingest(alone)
    monkeypatch.setattr(parallel, "workers_for", lambda size: 2)
    many = settings(box, "many")
    (tmp_path / "many").mkdir()
    (tmp_path / "many" / "sender-salt").write_bytes(
        (tmp_path / "processed" / "sender-salt").read_bytes()
    )
    ingest(many)
    assert _messages(many) == _messages(alone)


def test_chunks_are_merged_in_order(settings, tmp_path, monkeypatch):
    monkeypatch.setattr(ledgers, "CHUNK", 7)
    box = tmp_path / "a.mbox"
    box.write_text(_mails(0, 40))
    made = settings(box)
    ingest(made)
    assert [m.subject for m in _messages(made)] == [str(n) for n in range(40)]
    assert not list(made.ingest_dir.glob("chunks*"))


def test_command_line_with_cleaning_shown(tmp_path, monkeypatch):
    path = tmp_path / "a.jsonl"
    rows = [{"text": f"Hi, are you hiring number {n}?\n\nSent from my iPhone"} for n in range(3)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows) + "no json\n")
    config = tmp_path / "c.yaml"
    config.write_text(
        f"name: t\ntask: {{labels: [a, b]}}\ndata: {{messages: [{path}], processed: {tmp_path}/p}}\n"
    )
    result = CliRunner().invoke(app, ["ingest", "-c", str(config), "--show-cleaning", "2"])
    assert result.exit_code == 0, result.output
    assert "not json 1" in result.output
    assert "mobile footer 3" in result.output
    assert "3 messages were changed by cleaning" in result.output
    missing = CliRunner().invoke(app, ["ingest", "-c", str(config), "--owner", "x@y.example"])
    assert missing.exit_code == 0


def test_a_skipped_run_imports_nothing_heavy(settings, tmp_path, monkeypatch):
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "hi there"}\n')
    made = settings(path)
    ingest(made)
    for name in ("pipeline.ingestion.sources", "pipeline.ingestion.ledger"):
        monkeypatch.setitem(sys.modules, name, None)
    assert stage.ingest(made).skipped
