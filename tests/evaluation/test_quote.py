"""What a report quotes: the ask stays readable, private data and probable names go."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.evaluation.quote import quote
from pipeline.evaluation.swaps import load_swaps

NAMES = sorted(
    {
        name
        for swap in load_swaps()
        if swap.how == "sign_off"
        for names in swap.groups.values()
        for name in names
    }
)


@pytest.mark.parametrize(
    ("text", "gone"),
    [
        ("write to jane.doe@example.org now", "jane"),
        ("see https://example.org/me?id=7", "example"),
        ("my number is (020) 7946-0123", "7946"),
        ("Dear Jane Doe, hello", "Doe"),
        ("ask Jane about it", "Jane"),
        ("I am @janedoe there", "janedoe"),
        ("account 12345678", "1234"),
        ("born on 12/04/1987 in Ely", "1987"),
        ("hi sandra its paul from the food bank", "sandra"),
        ("hi sandra its paul from the food bank", "paul"),
        ("mark okoro told me", "mark"),
        ("could you introduce me to mr baker", "baker"),
        ("Okoro said that you are hiring.", "Okoro"),
        ("Sandra's team is hiring.", "Sandra"),
        ("O'Brien's team is hiring.", "Brien"),
        ("thanks, mark", "mark"),
        ("Could you help?\nBest\nTom Baker", "Baker"),
        ("Strand,\nare you hiring?", "Strand"),
        ("HELLO DANA, CAN YOU INTRODUCE ME", "DANA"),
        ("could you ask 李明 about it", "李明"),
        ("is the ubisoft team hiring", "ubisoft"),
    ],
)
def test_private_data_is_taken_out(text, gone):
    assert gone.lower() not in quote(text).lower()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "sentence",
    [
        "Could you introduce me to {} next week?",
        "{} said that you are hiring.",
        "hi {}, are you hiring?",
        "Are you hiring?\n{}",
        "are you hiring? thanks, {}",
    ],
)
def test_the_names_of_the_swaps_are_taken_out_in_either_case(name, sentence):
    for said in (sentence.format(name), sentence.format(name).lower()):
        words = re.findall(r"[^\W\d_]+", quote(said).lower())
        assert name.lower() not in words, quote(said)


@pytest.mark.parametrize(
    "kept",
    [
        "Could you introduce me on Monday? I would be grateful.",
        "Thanks for lunch! I don't think we're hiring, but may I ask how you got in?",
        "are u hiring? i can send my cv, pls keep me in mind",
        "WOULD YOU PASS MY CV ON TO THE HIRING MANAGER?",
        "Best regards,",
        "Write to [EMAIL] or call [PHONE].",
    ],
)
def test_the_ask_stays_readable(kept):
    assert quote(kept) == kept


def test_a_long_text_is_cut_between_words():
    cut = quote("word " * 100)
    assert cut.endswith("word …")
    assert len(cut) <= 242


@given(st.text(max_size=200))
def test_any_text_is_taken_and_gives_one_line(text):
    once = quote(text)
    assert "\n" not in once
    assert not re.search(r"\d{4}", once)
