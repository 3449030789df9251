# ruff: noqa: E501
"""Files of every format, written by hand from the descriptions of the formats."""

import gzip
import io
import json
import zipfile
from pathlib import Path

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

MAIL = (
    "From: Ann Lee <ann@archive.example>\n"
    "To: Robin <robin@home.example>\n"
    "Subject: =?utf-8?q?Caf=C3=A9?= on Friday\n"
    "Date: Tue, 3 Mar 2026 10:12:00 +0100\n"
    "Message-ID: <m1@archive.example>\n"
    "References: <m0@home.example>\n"
    "\n"
    "Could you introduce me to Priya?\n"
    "\n"
    "From what I hear you hire.\n"
)
HTML_MAIL = (
    "From: Bo <bo@firm.example>\r\n"
    "To: robin@home.example\r\n"
    "Subject: a question\r\n"
    "Message-ID: <m2@firm.example>\r\n"
    "MIME-Version: 1.0\r\n"
    'Content-Type: multipart/alternative; boundary="b1"\r\n'
    "\r\n"
    "--b1\r\nContent-Type: text/plain; charset=x-unknown\r\n\r\nSee HTML.\r\n"
    "--b1\r\nContent-Type: text/html; charset=iso-8859-1\r\n"
    "Content-Transfer-Encoding: quoted-printable\r\n\r\n"
    "<div>Are you hiring at the caf=E9, Robin, or do you know of anyone who is?</div>"
    "<blockquote>old words</blockquote>\r\n--b1--\r\n"
)
LIST_MAIL = (
    "From: list@lists.example\nSubject: digest\nList-Id: <l.lists.example>\n"
    "Message-ID: <m3@l>\n\nNews.\n"
)
MBOX = (
    f"From ann@archive.example Tue Mar  3 10:12:00 2026\n{MAIL}\n"
    f"From 1790123456789012345@xxx Mon Mar 04 11:20:34 +0000 2024\nX-GM-THRID: 9007199254740993\n"
    f"{HTML_MAIL}\n"
    f"From list@lists.example Wed Mar  4 10:12:00 2026\n{LIST_MAIL}\n"
    "From x@y.example Wed Mar  4 10:12:00 2026\nX-Gmail-Labels: Spam,Important\nFrom: x@y.example\n"
    "Subject: win\n\nYou have won.\n\n"
    "From cy@z.example Wed Mar  4 10:12:00 2026\nFrom: a@[1.2\nSubject: =?bogus?q?=FF?=\n"
    "Content-Type: text/plain; charset=utf8mb4\n\n>From the start: what do you look for?\n"
)
PLIST = '<?xml version="1.0"?>\n<plist><dict><key>flags</key><integer>1</integer></dict></plist>\n'

ANN = "https://www.linkedin.com/in/ann"
ROBIN = "https://www.linkedin.com/in/robin"
LINKEDIN = {
    "2023": (
        "CONVERSATION ID,CONVERSATION TITLE,FROM,SENDER PROFILE URL,TO,DATE,SUBJECT,CONTENT,FOLDER\n"
        f'c1,,Ann Lee,{ANN},"Robin Hale, Ph.D.",2023-01-02 10:00:00 UTC,Hello,'
        '"Could you refer me? I saw ""Archivist""",INBOX\n'
        f"c1,,Robin Hale,{ROBIN},Ann Lee,2023-01-03 10:00:00 UTC,,Sure.,INBOX\n"
    ),
    "mid-2023": (
        "CONVERSATION ID,CONVERSATION TITLE,FROM,SENDER PROFILE URL,TO,RECIPIENT PROFILE URLS,DATE,"
        "SUBJECT,CONTENT,FOLDER\n"
        f"c1,,Ann Lee,{ANN},Robin Hale,{ROBIN},2023-08-02 10:00:00 UTC,,"
        '"<p>Could you&nbsp;refer me?</p>",INBOX\n'
        f"c1,,Robin Hale,{ROBIN},Ann Lee,{ANN},2023-08-03 10:00:00 UTC,,Sure.,INBOX\n"
        f"c2,,Robin Hale,{ROBIN},Bo,https://www.linkedin.com/in/bo,2023-08-04 10:00:00 UTC,,Hi Bo.,INBOX\n"
    ),
    "2025": (
        "CONVERSATION ID,CONVERSATION TITLE,FROM,SENDER PROFILE URL,TO,RECIPIENT PROFILE URLS,DATE,"
        "SUBJECT,CONTENT,FOLDER,ATTACHMENTS,IS MESSAGE DRAFT,IS CONVERSATION DRAFT\n"
        f"c1,,Ann Lee,{ANN},Robin Hale,{ROBIN},2025-01-02 10:00:00 UTC,,Could you refer me?,INBOX,,No,No\n"
        f"c1,,Robin Hale,{ROBIN},Ann Lee,{ANN},2025-01-03 10:00:00 UTC,,Not yet sent,INBOX,,Yes,No\n"
        f"c2,,Robin Hale,{ROBIN},Bo,https://www.linkedin.com/in/bo,2025-01-03 10:00:00 UTC,,Hi Bo.,INBOX,,No,No\n"
        "c3,Sponsored Conversation,Firm,,Robin Hale,"
        f'{ROBIN},2025-01-04 10:00:00 UTC,,"<p class=""spinmail-quill-editor__spin-break"">Hi '
        '%FIRSTNAME%</p>",INBOX,,No,No\n'
    ),
    "2026": (
        '"CONVERSATION ID","CONVERSATION TITLE","FROM","SENDER PROFILE URL","TO",'
        '"RECIPIENT PROFILE URLS","DATE","SUBJECT","CONTENT","FOLDER","ATTACHMENTS"\n'
        f'"c1","","Ann Lee","{ANN}","Robin Hale","{ROBIN}","2026-04-02 10:00:00 UTC","",'
        '"Two lines:\r\nare you \\"hiring\\" now?","INBOX",""\n'
        f'"c1","","Robin Hale","{ROBIN}","Ann Lee","{ANN}","2026-04-03 10:00:00 UTC","","Yes.","INBOX",""\n'
        f'"c2","","Robin Hale","{ROBIN}","Bo","https://b","2026-04-03 10:00:00 UTC","","Hi.","INBOX",""\n'
    ),
}
INVITATIONS = (
    "From,To,Sent At,Message,Direction,inviterProfileUrl,inviteeProfileUrl\n"
    f'Ann Lee,Robin Hale,"3/14/26, 9:05 AM",I would love to connect.,INCOMING,{ANN},{ROBIN}\n'
    f'Robin Hale,Bo,"3/15/26, 1:05 PM",,OUTGOING,{ROBIN},https://www.linkedin.com/in/bo\n'
)
SLACK = {
    "users.json": [{"id": "U1", "real_name": "Ann Lee"}, {"id": "U2", "name": "bo"}],
    "channels.json": [{"id": "C1", "name": "general"}],
    "dms.json": [{"id": "D1", "members": ["U1", "U2"]}],
    "general/2026-03-03.json": [
        {"type": "message", "user": "U1", "ts": "1772532720.000100",
         "text": "<@U2> who hires &amp; where? <https://a.example|the list> <!here> <#C1|general>"},
        {"type": "message", "subtype": "channel_join", "user": "U2", "ts": "1772532721.000100",
         "text": "joined"},
        {"type": "message", "subtype": "bot_message", "bot_id": "B1", "ts": "1", "text": "beep"},
    ],
    "D1/2026-03-03.json": [
        {"type": "message", "user": "U2", "ts": "1772532722.000200", "thread_ts": "1772532722.000200",
         "text": "Could you introduce me?"},
        {"type": "message", "user": "U2", "ts": "1772532723.000200", "text": ""},
    ],
}  # fmt: skip
WHATSAPP = (
    "[13/03/2026, 10:15:33] Ann: \u200eMessages and calls are end-to-end encrypted.\n"
    "[13/03/2026, 10:15:34] Ann: Are you still hiring?\nI am free from May.\n"
    "[13/03/2026, 10:16:00] Robin: \u200eimage omitted\n"
    "[13/03/2026, 10:17:00] Robin left\n"
)
ANDROID = (
    "3/14/26, 9:05 PM - Messages are encrypted.\n"
    "3/14/26, 9:06 PM - Ann Lee: Could we talk about the lab?\n"
    "3/14/26, 9:07 PM - Robin: <Media omitted>\n"
)


def zipped(members: dict[str, str | bytes]) -> bytes:
    """A zip file with these members."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def workbook(rows: list[list[object]]) -> bytes:
    """An Excel workbook with these rows."""
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    buffer = io.BytesIO()
    book.save(buffer)
    return buffer.getvalue()


def parquet(rows: list[dict[str, object]]) -> bytes:
    """A Parquet file with these rows."""
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), buffer)
    return buffer.getvalue()


def formats() -> dict[str, bytes]:
    """One small file of every format, by name."""
    mbox = MBOX.encode()
    jsonl = b'{"id": "j1", "text": "Are you hiring?", "who": "x"}\nno json\n{"text": ""}\n'
    csv = b"id,text,who\nc1,Are you hiring?,x\nc2,,y\n"
    slack = {name: json.dumps(content) for name, content in SLACK.items()}
    found = {
        "all.mbox": mbox,
        "one.eml": MAIL.replace("\n", "\r\n").encode(),
        "1.emlx": f"{len(MAIL.encode())}\n{MAIL}{PLIST}".encode(),
        "rows.jsonl": jsonl,
        "rows.csv": csv,
        "rows.tsv": csv.replace(b",", b"\t"),
        "utf16.csv": csv.decode().encode("utf-16"),
        "rows.xlsx": workbook(
            [["id", "text", "who"], ["x1", "Are you hiring?", 5], ["x2", None, 6]]
        ),
        "rows.parquet": parquet(
            [{"id": "p1", "text": "Are you hiring?"}, {"id": "p2", "text": ""}]
        ),
        "note.txt": "Könnten Sie mir helfen?".encode("latin-1"),
        "chat.txt": WHATSAPP.encode(),
        "android.txt": ANDROID.encode(),
        "slack.zip": zipped(slack),
        "Invitations.csv": INVITATIONS.encode(),
        "all.mbox.gz": gzip.compress(mbox, mtime=0),
        "rows.jsonl.gz": gzip.compress(jsonl, mtime=0),
        "mixed.zip": zipped({"a/all.mbox": mbox, "b/rows.jsonl": jsonl, "c/x.bin": b"\0\1\2"}),
        "linkedin.zip": zipped(
            {
                "messages.csv": LINKEDIN["2025"],
                "Invitations.csv": INVITATIONS,
                "Connections.csv": "Notes:\n\nFirst Name,Last Name\nAnn,Lee\n",
            }
        ),
    }
    for era, content in LINKEDIN.items():
        found[f"messages-{era}.csv"] = content.encode()
    return found


@pytest.fixture
def files(tmp_path) -> dict[str, Path]:
    """The files of `formats`, written to disk."""
    folder = tmp_path / "files"
    folder.mkdir()
    paths = {}
    for name, content in formats().items():
        paths[name] = folder / name
        paths[name].write_bytes(content)
    return paths
