"""Cleaning: the labelled bodies, and what must hold of any text."""

import json
import time
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import InputError
from pipeline.ingestion import redact as redaction
from pipeline.ingestion.clean import KEPT, clean_text
from pipeline.ingestion.decode import decode, readable
from pipeline.ingestion.markup import to_text
from pipeline.ingestion.prepare import prepare
from pipeline.ingestion.redact import KINDS, redact
from pipeline.records import Message
from pipeline.settings import Cleaning

BODIES = [
    json.loads(line)
    for line in (Path(__file__).parent / "bodies.jsonl").read_text(encoding="utf-8").splitlines()
]


def test_the_set_is_as_wide_as_promised():
    assert len(BODIES) >= 150
    assert len({body["client"] for body in BODIES}) >= 8
    assert len({body["language"] for body in BODIES}) >= 6


@pytest.mark.parametrize("body", BODIES, ids=[b["id"] for b in BODIES])
def test_own_words_stay_and_the_rest_goes(body):
    flat = " ".join(clean_text(body["body"]).text.split())
    assert [part for part in body["keep"] if " ".join(part.split()) not in flat] == []
    assert [part for part in body["drop"] if " ".join(part.split()) in flat] == []


def test_where_nothing_is_left_the_whole_stays_and_says_so():
    quoted = "> Would you have time?\n> Ann"
    cleaned = clean_text(quoted)
    assert cleaned.text == quoted
    assert cleaned.removed == (KEPT,)


@given(st.text(max_size=400))
@settings(max_examples=60, deadline=None)
def test_any_text_is_cleaned_without_crash(text):
    once = clean_text(text).text
    redacted = redact(once, KINDS)
    redacted.encode("utf-8")


@given(
    st.binary(max_size=300), st.sampled_from(["", "utf-8", "gb2312", "x-unknown", "utf-7", "rot13"])
)
def test_any_bytes_become_text(data, charset):
    readable(decode(data, charset)).encode("utf-8")


NASTY = {
    "one long line": "a" * 40_000,
    "long quoted line": "> " * 20_000,
    "dashes": "-" * 20_000,
    "wrote": "On " + "1 " * 50_000 + "wrote",
    "many wrote": "On 2026 wrote:\n" * 5_000,
    "from lines": "From: \n" * 8_000,
    "spaces": " " * 30_000 + "x",
    "digits": "1 " * 20_000,
    "phone words": "call " * 60_000,
    "numbered": "account " * 40_000,
    "dots": "a." * 10_000,
    "at": "a@" * 10_000,
    "url": "http://" * 40_000,
    "capitals": "Aa " * 10_000,
    "address": "1 Aa Bb Cc Dd Ee " * 20_000,
    "open tags": "<p>" + "<div>" * 50_000 + "x",
    "quotes in html": "<p>" + "<blockquote>" * 5_000 + "x",
    "broken tags": "<p><" * 9_000,
    "attributes": "<p " + "a='" * 60_000,
    "zero width": "\u200b\u200c " * 10_000,
    "mojibake": "Ã©" * 10_000,
    "iban": "DE12 " * 50_000,
    "paragraphs": "this message\n\n" * 20_000,
    "sign-offs": "Best\n" * 9_000,
}


@pytest.mark.parametrize("name", NASTY)
def test_no_text_takes_long(name):
    started = time.process_time()
    prepare(Message("1", NASTY[name], subject=NASTY[name][:2000]), Cleaning())
    assert time.process_time() - started < 4


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Write to ann.lee+jobs@x.co.uk.", "Write to [EMAIL]."),
        ("vince . j @ enron . com wrote", "[EMAIL] wrote"),
        ("See https://x.org/a?b=c (or www.y.org/z).", "See [URL] (or [URL])."),
        ("I am on linkedin.com/in/ann.", "I am on [URL]."),
        ("Call (713) 555-0142 or 414 555 0186", "Call [PHONE] or [PHONE]"),
        ("Tel. 030 5550 1234, mobile +49 151 5550182", "Tel. [PHONE], mobile [PHONE]"),
        ("My card is 4111 1111 1111 1111.", "My card is [ACCOUNT]."),
        ("IBAN DE89 3704 0044 0532 0130 00", "IBAN [ACCOUNT]"),
        ("account number 12345678", "account number [ACCOUNT]"),
        ("SSN 078-05-1120", "SSN [ACCOUNT]"),
        ("We sit at 12 Baker Street, London NW1 6XE", "We sit at [ADDRESS]"),
        ("Musterstraße 12, 10115 Berlin", "[ADDRESS]"),
        ("12 rue de la Paix, 75002 Paris", "[ADDRESS]"),
        ("Calle Mayor 5", "[ADDRESS]"),
    ],
)
def test_private_data_becomes_placeholders(text, expected):
    assert redact(text, KINDS) == expected


@pytest.mark.parametrize(
    "text",
    [
        "In 2019-2023 I led 12 people.",
        "We meet on 03/04/2026 at 10:30, room 4.12.",
        "It costs 1,200,000 euros or $3,860.",
        "Only 3 place left in your city",
        "My math.CO paper and my B.Com",
        "version 2.10.4 of the tool",
        "I read 20 people on the way home",
        "e.g. this, i.e. that, Dr. Who",
    ],
)
def test_other_numbers_and_words_stay(text):
    assert redact(text, KINDS) == text


def test_preparing_keeps_the_original_and_says_what_went():
    message = Message("1", "Hiring? Mail ann@x.org\n\nSent from my iPhone", subject="for ann@x.org")
    prepared = prepare(message, Cleaning())
    assert prepared.text == "Hiring? Mail [EMAIL]"
    assert prepared.subject == "for [EMAIL]"
    assert prepared.extra == {"original": message.text, "removed": ["mobile_footer"]}
    again = prepare(prepared, Cleaning())
    assert again.text == prepared.text


def test_settings_turn_parts_off():
    message = Message("1", "Hiring? ann@x.org\n\nSent from my iPhone")
    off = Cleaning(own_words=False, redact=())
    assert prepare(message, off) == message
    assert prepare(message, Cleaning(redact=())).text == "Hiring? ann@x.org"


def test_names_need_their_extra(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "spacy", None)
    redaction._names_model.cache_clear()
    with pytest.raises(InputError, match=r"outreach-intent\[names\]"):
        prepare(Message("1", "Ask Ann Lee."), Cleaning(names=True))


def test_names_are_replaced_where_the_model_finds_them(monkeypatch):
    class Entity:
        start_char, end_char, label_ = 4, 11, "PERSON"

    class Document:
        ents = (Entity(),)

    monkeypatch.setattr(redaction, "_names_model", lambda: lambda _: Document())
    prepared = prepare(Message("1", "Ask Ann Lee."), Cleaning(names=True))
    assert prepared.text == "Ask [PERSON]."


def test_hidden_html_is_not_read():
    html = '<div style="display:none">preview</div><p>Hi</p><script>x()</script><img src="p.gif">'
    assert to_text(html) == "Hi"


def test_prepared_message_is_otherwise_the_same():
    message = Message("1", "Hi\u200b there, are you hiring?", channel="email", thread="t")
    prepared = prepare(message, Cleaning())
    assert replace(prepared, text=message.text, extra={}) == message
