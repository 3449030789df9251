"""Every format: how many messages and rejections, and what of them matters."""

import io
import mailbox
import sys
from pathlib import Path

import pytest

from pipeline.errors import InputError
from pipeline.ingestion.sources import Incoming, read
from pipeline.records import Rejection
from tests.ingestion.conftest import ANN, MAIL, PLIST

EXPECTED = {
    "all.mbox": (3, ["bulk", "spam_folder"]),
    "one.eml": (1, []),
    "1.emlx": (1, []),
    "rows.jsonl": (1, ["empty_text", "not_json"]),
    "rows.csv": (1, ["empty_text"]),
    "rows.tsv": (1, ["empty_text"]),
    "utf16.csv": (1, ["empty_text"]),
    "rows.xlsx": (1, ["empty_text"]),
    "rows.parquet": (1, ["empty_text"]),
    "note.txt": (1, []),
    "chat.txt": (2, ["automatic", "empty_text"]),
    "android.txt": (1, ["automatic", "empty_text"]),
    "slack.zip": (2, ["automatic", "empty_text", "not_a_message"]),
    "Invitations.csv": (1, ["empty_text"]),
    "all.mbox.gz": (3, ["bulk", "spam_folder"]),
    "rows.jsonl.gz": (1, ["empty_text", "not_json"]),
    "mixed.zip": (4, ["bulk", "empty_text", "not_json", "spam_folder", "unusable_file"]),
    "linkedin.zip": (3, ["bulk", "draft", "empty_text"]),
    "messages-2023.csv": (2, []),
    "messages-mid-2023.csv": (3, []),
    "messages-2025.csv": (2, ["bulk", "draft"]),
    "messages-2026.csv": (3, []),
}


def _read(path: Path) -> tuple[list[Incoming], list[Rejection]]:
    records = list(read(path))
    incoming = [r for r in records if isinstance(r, Incoming)]
    return incoming, [r for r in records if isinstance(r, Rejection)]


@pytest.mark.parametrize("name", EXPECTED)
def test_counts(files, name):
    incoming, rejected = _read(files[name])
    assert (len(incoming), sorted(r.reason for r in rejected)) == EXPECTED[name]
    for record in incoming:
        assert record.message.source == str(files[name])
        assert record.row
    assert len({(r.position, r.reason) for r in rejected}) == len(rejected)


def test_mail_fields(files):
    [record], _ = _read(files["one.eml"])
    message = record.message
    assert message.id == "m1@archive.example"
    assert message.subject == "Café on Friday"
    assert message.sender == "ann@archive.example"
    assert message.sent_at == "2026-03-03T10:12:00+01:00"
    assert message.thread == "m0@home.example"
    assert message.channel == "email"
    assert "From what I hear you hire." in message.text
    assert record.recipients == ("robin@home.example",)
    assert list(record.row) == ["id", "sent_at", "from", "to", "subject", "text"]


def test_mbox_splits_only_at_separators(files):
    incoming, _ = _read(files["all.mbox"])
    first, second, third = (r.message for r in incoming)
    assert first.text.rstrip().endswith("From what I hear you hire.")
    assert second.thread == "9007199254740993"
    assert second.text == (
        "Are you hiring at the café, Robin, or do you know of anyone who is?\n\n> old words"
    )
    assert third.text == "From the start: what do you look for?\n"
    assert first.position == "0"


def test_mbox_and_maildir_written_by_the_standard_library(tmp_path):
    box = mailbox.mbox(tmp_path / "made.mbox")
    maildir = mailbox.Maildir(tmp_path / "maildir")
    for number in range(5):
        text = f"Subject: {number}\nFrom: a@b.example\n\nFrom here on,\nwhat is number {number}?\n"
        box.add(text)
        maildir.add(text)
    box.close()
    assert len(_read(tmp_path / "made.mbox")[0]) == 5
    incoming, rejected = _read(tmp_path / "maildir")
    assert len(incoming) == 5
    assert not rejected


def test_maildir_flags_and_folders_tell_drafts_and_spam(tmp_path):
    for name in ("cur/1:2,S", "cur/2:2,DS", "cur/3:2,T"):
        path = tmp_path / "box" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(MAIL)
    (tmp_path / "box" / "Junk").mkdir()
    (tmp_path / "box" / "Junk" / "4.eml").write_text(MAIL)
    incoming, rejected = _read(tmp_path / "box")
    assert len(incoming) == 1
    assert sorted(r.reason for r in rejected) == ["draft", "spam_folder", "spam_folder"]


def test_maildir_subfolders_are_read_though_their_names_are_hidden(tmp_path):
    box = mailbox.Maildir(tmp_path / "maildir")
    box.add("Subject: 1\nFrom: a@b.example\n\nIn the inbox.\n")
    for name in ("Sent", "Work.Letters", "Junk"):
        folder = box.add_folder(name)
        folder.add(f"Subject: 1\nFrom: a@b.example\n\nIn {name}.\n")
    (tmp_path / "maildir" / ".cache").mkdir()
    (tmp_path / "maildir" / ".cache" / "x.eml").write_text(MAIL)
    incoming, rejected = _read(tmp_path / "maildir")
    assert sorted(r.message.text.strip() for r in incoming) == [
        "In Sent.",
        "In Work.Letters.",
        "In the inbox.",
    ]
    assert [r.reason for r in rejected] == ["spam_folder"]


@pytest.mark.parametrize(("flags", "reasons"), [(1, []), (1 << 6, ["draft"]), (3, ["spam_folder"])])
def test_emlx_flags_tell_drafts_and_deleted_mails(tmp_path, flags, reasons):
    path = tmp_path / "1.emlx"
    plist = PLIST.replace("<integer>1<", f"<integer>{flags}<")
    path.write_text(f"{len(MAIL.encode())}\n{MAIL}{plist}")
    assert [r.reason for r in _read(path)[1]] == reasons


@pytest.mark.parametrize("path", ["Junk.mbox/mbox", "Inbox.sbd/Junk", "Trash.sbd/Old", "Spam.mbox"])
def test_folders_of_mail_programs_tell_spam(tmp_path, path):
    file = tmp_path / path
    file.parent.mkdir(exist_ok=True)
    file.write_text(f"From a@b.example Tue Mar  3 10:12:00 2026\n{MAIL}")
    assert [r.reason for r in _read(file)[1]] == ["spam_folder"]


def test_a_mail_whose_text_stands_beyond_what_is_read_says_so(tmp_path):
    path = tmp_path / "a.eml"
    attachment = "QUJD" * 19 + "\n"
    path.write_text(
        'From: a@b.example\nContent-Type: multipart/mixed; boundary="b"\n\n--b\n'
        "Content-Disposition: attachment\nContent-Transfer-Encoding: base64\n\n"
        f"{attachment * 30_000}\n--b\n\nCould you help?\n--b--\n"
    )
    assert [r.reason for r in _read(path)[1]] == ["too_long"]


@pytest.mark.parametrize(
    ("head", "reason"),
    [
        ("Auto-Submitted: auto-replied", "automatic"),
        ("Precedence: bulk", "bulk"),
        ("List-Unsubscribe: <mailto:x@y>", "bulk"),
        ("Content-Type: multipart/report", "automatic"),
        ("X-Mozilla-Status: 0009", "spam_folder"),
        ("X-Gmail-Labels: =?utf-8?q?Entw=C3=BCrfe?=", "draft"),
    ],
)
def test_automatic_mail_has_a_reason(tmp_path, head, reason):
    path = tmp_path / "a.eml"
    path.write_text(f"{head}\n{MAIL}")
    _, [rejection] = _read(path)
    assert rejection.reason == reason
    assert rejection.record == ""


def test_robots_are_told_by_their_address(tmp_path):
    path = tmp_path / "a.eml"
    path.write_text(MAIL.replace("ann@archive", "no-reply@archive"))
    assert _read(path)[1][0].reason == "automatic"


def test_linkedin_directions_and_texts(files):
    incoming, _ = _read(files["messages-mid-2023.csv"])
    assert [r.outgoing for r in incoming] == [False, True, True]
    assert incoming[0].message.text == "Could you refer me?"
    assert incoming[0].message.sender == ANN
    assert incoming[0].message.thread == "c1"
    assert incoming[0].message.sent_at == "2023-08-02T10:00:00+00:00"
    [first, *_], _ = _read(files["messages-2026.csv"])
    assert first.message.text == 'Two lines:\nare you "hiring" now?'
    [note], _ = _read(files["Invitations.csv"])
    assert note.message.sent_at == "2026-03-14T09:05:00"
    assert note.outgoing is False


def test_of_a_linkedin_folder_only_messages_are_read(tmp_path, files):
    folder = tmp_path / "export"
    folder.mkdir()
    (folder / "messages.csv").write_bytes(files["messages-2025.csv"].read_bytes())
    (folder / "Connections.csv").write_text("First Name,Last Name\nAnn,Lee\n")
    (folder / "learning_coach_messages.csv").write_text("a,b\n")
    incoming, rejected = _read(folder)
    assert (len(incoming), len(rejected)) == (2, 2)


def test_slack_marks_become_words(files):
    incoming, _ = _read(files["slack.zip"])
    direct, public = (r.message for r in incoming)
    assert public.text == "@bo who hires & where? the list @here #general"
    assert (direct.channel, public.channel) == ("dm", "forum")
    assert direct.id == "D1/1772532722.000200"
    assert direct.thread == "D1/1772532722.000200"
    assert direct.sent_at == "2026-03-03T10:12:02+00:00"


def test_whatsapp_dates_are_kept_only_where_they_are_sure(files, tmp_path):
    incoming, _ = _read(files["chat.txt"])
    assert incoming[1].message.text == "Are you still hiring?\nI am free from May."
    assert incoming[1].message.sent_at == "2026-03-13T10:15:34"
    [message], _ = _read(files["android.txt"])
    assert message.message.sent_at == "2026-03-14T21:06:00"
    unsure = tmp_path / "u.txt"
    unsure.write_text("01/02/2026, 10:15 - Ann: hi there\n01/02/2026, 10:16 - Bo: yes\n")
    assert [r.message.sent_at for r in _read(unsure)[0]] == ["", ""]


def test_plain_text_of_another_encoding(files):
    [record], _ = _read(files["note.txt"])
    assert record.message.text == "Könnten Sie mir helfen?"


@pytest.mark.parametrize(
    "name", ["all.mbox", "rows.jsonl", "mixed.zip", "rows.parquet", "note.txt"]
)
def test_standard_input(files, name, monkeypatch):
    data = io.BytesIO(files[name].read_bytes())
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(data)))
    incoming, rejected = _read(Path("-"))
    assert (len(incoming), sorted(r.reason for r in rejected)) == EXPECTED[name]


def test_bytes_are_reported(files):
    for name in ("all.mbox", "rows.csv", "all.mbox.gz"):
        sizes: list[int] = []
        list(read(files[name], on_bytes=sizes.append))
        assert sum(sizes) == files[name].stat().st_size


@pytest.mark.parametrize(
    ("magic", "said"),
    [
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", r"outreach-intent\[msg\].*GPL-3"),
        (b"!BDN", r"\[pst\]"),
    ],
)
def test_outlook_files_say_which_extra_they_need(tmp_path, monkeypatch, magic, said):
    monkeypatch.setitem(sys.modules, "extract_msg", None)
    monkeypatch.setitem(sys.modules, "pypff", None)
    path = tmp_path / "a.bin"
    path.write_bytes(magic + b"\0" * 100)
    with pytest.raises(InputError, match=said):
        _read(path)
