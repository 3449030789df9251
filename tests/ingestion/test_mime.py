"""Cutting mails into fields and parts: as the standard library does, on mails that it wrote."""

import email
import email.generator
import email.policy
import io
from email.message import EmailMessage
from email.mime.base import MIMEBase

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.ingestion import mime

TEXT = st.text(
    alphabet=st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")) | st.just("\n"),
    max_size=120,
)
ENCODINGS = st.sampled_from(["7bit", "8bit", "quoted-printable", "base64"])


@st.composite
def mails(draw, depth=2):
    """A mail or part as the standard library writes it, with parts inside parts."""
    mail = EmailMessage(policy=email.policy.SMTP if draw(st.booleans()) else email.policy.default)
    kind = draw(st.sampled_from(["text", "mixed", "alternative", "attachment"]))
    if kind == "text" or depth == 0:
        encoding = draw(ENCODINGS)
        text = draw(TEXT)
        if encoding == "7bit":
            text = text.encode("ascii", "ignore").decode()
        subtype = draw(st.sampled_from(["plain", "html"]))
        mail.set_content(text, subtype=subtype, cte=encoding)
    elif kind == "attachment":
        mail.set_content(draw(TEXT), cte="base64")
        mail.add_attachment(draw(st.binary(max_size=50)), "application", "pdf", filename="a.pdf")
    else:
        mail["Content-Type"] = f'multipart/{kind}; boundary="b {depth}.=_"'
        mail.set_payload([draw(mails(depth - 1)) for _ in range(draw(st.integers(1, 3)))])
    return mail


def written(mail: EmailMessage) -> bytes:
    out = io.BytesIO()
    email.generator.BytesGenerator(out, policy=mail.policy.clone(cte_type="8bit")).flatten(mail)
    return out.getvalue()


def by_library(data: bytes) -> list[tuple[str, bytes]]:
    return [
        (part.get_content_type(), part.get_payload(decode=True) or b"")
        for part in email.message_from_bytes(data).walk()
        if not part.is_multipart() and part.get_content_disposition() != "attachment"
    ]


@settings(max_examples=80, deadline=None)
@given(mails())
def test_the_parts_are_those_that_the_library_finds(mail):
    data = written(mail)
    found = [(p.content_type, p.content()) for p in mime.leaves(mime.parse(data))]
    plain = [(kind, body.replace(b"\r\n", b"\n")) for kind, body in by_library(data)]
    assert [(kind, body.replace(b"\r\n", b"\n")) for kind, body in found] == plain


@pytest.mark.parametrize(
    ("value", "name", "expected"),
    [
        ("text/plain; charset=UTF-8", "charset", "UTF-8"),
        ('text/plain; format=flowed;\n\tcharset="iso-8859-1"', "charset", "iso-8859-1"),
        ('multipart/mixed; boundary="a;b\\"c"', "boundary", 'a;b"c'),
        ("multipart/mixed; boundary*0=ab; boundary*1=cd", "boundary", "abcd"),
        ("text/plain; charset*=us-ascii'en'utf-8", "charset", "utf-8"),
        ("nonsense", "charset", ""),
    ],
)
def test_parameters(value, name, expected):
    mail = mime.parse(f"Content-Type: {value}\n\nx".encode())
    assert mail.parameter(name) == expected


def test_fields_keep_their_order_and_their_folds():
    mail = mime.parse(b"Received: one\r\nTo: a@x,\r\n b@y\r\nRECEIVED: two\r\n\r\nbody")
    assert mail.fields == {"received": [b"one", b"two"], "to": [b"a@x,\n b@y"]}
    assert mail.body == b"body"


@pytest.mark.parametrize("body", [b"aGVsbG8=", b"aGVs\nbG8", b"aGVs!bG8=", b"aGVsbG8=x", b"aGVsb"])
def test_broken_base64_gives_what_can_be_read(body):
    mail = mime.parse(b"Content-Transfer-Encoding: BASE64\n\n" + body)
    assert mail.content().startswith(b"hel")


def test_uuencode_is_left_to_the_library():
    data = b"Content-Transfer-Encoding: x-uuencode\n\nbegin 644 a\n%:&5L;&\\\n`\nend\n"
    assert mime.parse(data).content() == b"hello"


def test_a_multipart_without_boundaries_is_text():
    mail = mime.parse(b'Content-Type: multipart/mixed; boundary="b"\n\nno boundary here\n')
    assert [p.body for p in mime.leaves(mail)] == [b"no boundary here\n"]


def test_a_digest_holds_mails_of_others():
    data = b"Content-Type: multipart/digest; boundary=b\n\n--b\n\nFrom: x@y\n\nhi\n--b--\n"
    assert list(mime.leaves(mime.parse(data))) == []


def test_a_mail_of_countless_parts_ends():
    data = b"Content-Type: multipart/mixed; boundary=b\n\n" + b"--b\n" * 300_000
    assert sum(1 for _ in mime.leaves(mime.parse(data))) < mime.MAX_PARTS


def test_every_mime_base_is_read_back():
    part = MIMEBase("text", "plain")
    part.set_payload("caf\u00e9", "latin-1")
    mail = mime.parse(part.as_bytes())
    assert mail.content().decode(mail.parameter("charset")) == "caf\u00e9"
