"""Variation changes how a message looks, and its label only with the words that make the ask."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import DataError
from pipeline.records import LabelledMessage
from pipeline.settings import Augment, Task
from pipeline.training.augment import augmented, read_evidence

TASK = Task(labels=("information", "influence", "job_lead"))
ASKING = LabelledMessage(
    "a",
    "Hi Tom,\nThe move went well and the boxes are in. Could you introduce me to Ada? The dog "
    "likes the new garden. We paint on Friday.\nNora",
    asks=("influence",),
    primary="influence",
    targets=(0.0, 1.0, 0.0),
)
SILENT = LabelledMessage(
    "s",
    "The call is at three. Bring the slides.",
    targets=(0.0, 0.0, 0.0),
    extra={"origin": "public"},
)
EVIDENCE = {"a": {"influence": "introduce me to Ada"}}


def varied(
    *messages: LabelledMessage, seed: int = 1, multi_label: bool = True, **shares: float
) -> list[LabelledMessage]:
    return list(augmented(lambda: messages, EVIDENCE, Augment(**shares), seed, multi_label))


def test_nothing_asked_for_nothing_changes() -> None:
    assert varied(ASKING, SILENT) == [ASKING, SILENT]


def test_an_ask_is_carried_over_as_a_whole_sentence_with_its_targets() -> None:
    original, made, host = varied(ASKING, SILENT, carried_over=1.0)
    assert (original, host) == (ASKING, SILENT)
    assert "Could you introduce me to Ada?" in made.text
    assert "Bring the slides." in made.text
    assert "boxes" not in made.text
    assert (made.asks, made.targets) == (ASKING.asks, ASKING.targets)


def test_asks_are_not_carried_over_where_the_passage_of_one_is_not_known() -> None:
    two = replace(ASKING, asks=("information", "influence"), targets=(1.0, 1.0, 0.0))
    assert varied(two, SILENT, carried_over=1.0, cut_out=1.0, crops=1.0) == [two, SILENT]


def test_a_message_without_its_ask_asks_for_next_to_nothing() -> None:
    _, rest = varied(ASKING, cut_out=1.0)
    assert "introduce" not in rest.text
    assert "boxes" in rest.text
    assert rest.asks == ()
    assert max(rest.targets) < 0.5


def test_a_crop_holds_the_ask_and_little_else() -> None:
    crops = [varied(ASKING, seed=seed, crops=1.0)[1] for seed in range(20)]
    assert all("Could you introduce me to Ada?" in crop.text for crop in crops)
    assert all(crop.text in ASKING.text and crop.text != ASKING.text for crop in crops)
    assert {crop.asks for crop in crops} == {ASKING.asks}
    assert len({crop.text for crop in crops}) > 3


def test_a_silent_crop_holds_no_ask() -> None:
    crops = [varied(ASKING, seed=seed, silent_crops=1.0)[1] for seed in range(20)]
    assert not any("introduce" in crop.text for crop in crops)
    assert all(crop.text in ASKING.text for crop in crops)
    assert {crop.primary for crop in crops} == {"none"}
    assert max(max(crop.targets) for crop in crops) < 0.5
    assert varied(SILENT, crops=1.0, silent_crops=1.0) == [SILENT]


@pytest.mark.parametrize("variation", ["carried_over", "cut_out", "silent_crops"])
def test_in_a_single_label_task_no_message_is_left_without_a_label(variation: str) -> None:
    assert varied(ASKING, SILENT, multi_label=False, **{variation: 1.0}) == [ASKING, SILENT]


def test_in_a_single_label_task_a_crop_keeps_its_label() -> None:
    _, crop = varied(ASKING, multi_label=False, crops=1.0)
    assert (crop.asks, crop.targets) == (ASKING.asks, ASKING.targets)


def test_evidence_that_is_not_in_the_text_is_not_used() -> None:
    other = LabelledMessage("a", "Something else.", asks=("influence",), targets=(0.0, 1.0, 0.0))
    assert varied(other, SILENT, carried_over=1.0, cut_out=1.0) == [other, SILENT]


def test_people_and_typing_change_the_text_and_never_the_label() -> None:
    seen = {varied(ASKING, seed=seed, people=1.0, noise=1.0)[0].text for seed in range(30)}
    assert len(seen) > 20
    for seed in range(30):
        made = varied(ASKING, seed=seed, people=1.0, noise=1.0)[0]
        assert (made.asks, made.targets) == (ASKING.asks, ASKING.targets)
        assert "introduc" in made.text.lower() or "Ada" not in made.text  # letters may be swapped


def test_the_same_seed_gives_the_same_messages() -> None:
    shares = {"carried_over": 0.5, "cut_out": 0.5, "people": 0.5, "noise": 0.5}
    assert varied(ASKING, SILENT, **shares) == varied(ASKING, SILENT, **shares)


@given(text=st.text(min_size=1), seed=st.integers(0, 1000))
def test_any_text_can_be_varied(text: str, seed: int) -> None:
    message = LabelledMessage("a", text, subject=text, asks=("influence",), targets=(0.0, 1.0, 0.0))
    evidence = {"a": {"influence": text[: seed % len(text) + 1]}}
    every = Augment(**dict.fromkeys(Augment.model_fields, 1.0))
    for made in augmented(lambda: [message, SILENT], evidence, every, seed, multi_label=True):
        assert len(made.targets) == 3


def test_evidence_with_an_unknown_label_says_which(tmp_path: Path) -> None:
    file = tmp_path / "evidence.jsonl"
    file.write_text('{"message": "a", "evidence": {"money": "lend me"}}\n')
    with pytest.raises(DataError, match=r"line 1: the task has no label 'money'"):
        read_evidence([file], TASK)


@pytest.mark.parametrize("line", ["{", "[]", '{"message": "a"}', '{"evidence": {}}'])
def test_a_line_that_is_no_evidence_says_where(tmp_path: Path, line: str) -> None:
    file = tmp_path / "evidence.jsonl"
    file.write_text(f"\n{line}\n")
    with pytest.raises(DataError, match="line 2: expected"):
        read_evidence([file], TASK)
