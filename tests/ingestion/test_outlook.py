"""Outlook's .msg: real files, written by hand from the format, through the optional library.

The library is GPL-3 and in no extra that the tests install: `pip install 'outreach-intent[msg]'`.
"""

import pytest

from pipeline.errors import InputError
from pipeline.ingestion.sources import read
from tests.ingestion import outlook_files as outlook

pytest.importorskip("extract_msg")

HEADERS = (
    "Received: by mail.example\r\nFrom: Ann Lee <ann@archive.example>\r\n"
    "To: Robin\r\n\t<robin@home.example>\r\nSubject: =?utf-8?q?Caf=C3=A9?= on Friday\r\n"
    "Date: Tue, 3 Mar 2026 10:12:00 +0100\r\nMessage-ID: <o1@archive.example>\r\n"
    "Content-Type: multipart/alternative; boundary=x\r\n"
)
RTF = (
    r"{\rtf1\ansi\ansicpg1252\fromhtml1 \deff0{\fonttbl{\f0\fswiss Arial;}}"
    r"{\*\htmltag64 <p>}Could we talk about the lab?{\*\htmltag72 </p>}\par}"
)


def _one(tmp_path, properties, recipients=()):
    path = tmp_path / "a.msg"
    path.write_bytes(outlook.msg(properties, dict(recipients)))
    [record] = read(path)
    return record


def test_a_received_mail(tmp_path):
    record = _one(tmp_path, {outlook.HEADERS: HEADERS, outlook.BODY: "Could you help?\r\n\r\nAnn"})
    message = record.message
    assert message.id == "o1@archive.example"
    assert message.subject == "Café on Friday"
    assert message.sender == "ann@archive.example"
    assert message.sent_at == "2026-03-03T10:12:00+01:00"
    assert message.text == "Could you help?\n\nAnn"
    assert record.recipients == ("robin@home.example",)


def test_a_mail_without_headers_is_known_by_its_properties(tmp_path):
    properties = {
        outlook.SUBJECT: "A question",
        outlook.BODY: "Are you hiring? " * 800,  # a stream in sectors of the larger kind
        outlook.SENDER_NAME: "Bo Ek",
        outlook.SENDER_ADDRESS: "bo@firm.example",
    }
    record = _one(tmp_path, properties, {"Robin": "robin@home.example", "Cy": "cy@z.example"})
    assert record.message.subject == "A question"
    assert record.message.sender == "bo@firm.example"
    assert record.message.text.count("Are you hiring?") == 800
    assert record.recipients == ("robin@home.example", "cy@z.example")


@pytest.mark.parametrize(
    "body",
    [
        {outlook.HTML: b"<p>Could we <b>talk</b> about the lab?</p>"},
        {outlook.RTF: outlook.uncompressed_rtf(RTF)},
    ],
    ids=["html", "html wrapped in rtf"],
)
def test_a_body_that_is_no_plain_text(tmp_path, body):
    record = _one(tmp_path, {outlook.HEADERS: HEADERS, **body})
    assert "talk" in record.message.text
    assert record.message.text.endswith("about the lab?")


def test_a_cut_file_is_an_error(tmp_path):
    path = tmp_path / "a.msg"
    path.write_bytes(outlook.msg({outlook.BODY: "x"}, {})[:700])
    with pytest.raises(InputError, match=r"damaged \.msg"):
        list(read(path))


def test_the_library_for_pst_has_what_is_asked_of_it(tmp_path):
    # No program is known that writes .pst files, so a whole one was never read here.
    pypff = pytest.importorskip("pypff")
    asked = {
        pypff.file: ("open_file_object", "get_root_folder", "close"),
        pypff.folder: ("name", "sub_folders", "number_of_sub_messages", "get_sub_message"),
        pypff.message: ("transport_headers", "subject", "sender_name", "plain_text_body"),
    }
    assert [(kind, name) for kind in asked for name in asked[kind] if not hasattr(kind, name)] == []
    assert hasattr(pypff.message, "html_body")
    path = tmp_path / "a.pst"
    path.write_bytes(b"!BDN" + bytes(2000))
    with pytest.raises(InputError, match=r"damaged \.pst"):
        list(read(path))
