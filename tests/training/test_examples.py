"""Messages are encoded as a stream, and long ones as the settings say."""

import errno
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.inference.encoding import MOST_WINDOWS, Encoder
from pipeline.records import LabelledMessage
from pipeline.training.examples import are_written, open_examples, write_examples
from tests.training.conftest import labelled


def test_what_was_written_is_read_back_row_by_row(tiny_base: Path, tmp_path: Path) -> None:
    messages = labelled(30)
    encode = Encoder(tiny_base / "tokenizer.json", 48)
    write_examples(iter(messages), encode, tmp_path / "x")
    found = open_examples(tmp_path / "x")
    rows = encode([message.text for message in messages])
    assert [list(row) for row in found.ids] == rows
    assert found.targets.tolist() == [list(message.targets) for message in messages]
    some = found.chosen(np.array([4, 2]))
    assert [list(row) for row in some.ids] == [rows[4], rows[2]]


def test_only_a_chunk_of_messages_stands_in_memory(tiny_base: Path, tmp_path: Path) -> None:
    alive = most = 0

    def stream() -> Iterator[LabelledMessage]:
        nonlocal alive, most
        for i in range(5000):
            alive += 1
            most = max(most, alive)
            yield LabelledMessage(f"{i}", "are you hiring", targets=(1.0, 0.0))

    encoder = Encoder(tiny_base / "tokenizer.json", 48)

    def encode(texts: list[str]) -> list[list[int]]:
        nonlocal alive
        alive -= len(texts)
        return encoder(texts)

    write_examples(stream(), encode, tmp_path / "x")
    assert most <= 1024
    assert len(open_examples(tmp_path / "x")) == 5000


def test_an_interrupted_write_does_not_count(tiny_base: Path, tmp_path: Path) -> None:
    def broken() -> Iterator[LabelledMessage]:
        yield from labelled(3)
        raise KeyboardInterrupt

    try:
        write_examples(broken(), Encoder(tiny_base / "tokenizer.json", 48), tmp_path / "x")
    except KeyboardInterrupt:
        assert not are_written(tmp_path / "x")


def test_no_messages_are_no_examples(tiny_base: Path, tmp_path: Path) -> None:
    write_examples(iter(()), Encoder(tiny_base / "tokenizer.json", 48), tmp_path / "x")
    assert len(open_examples(tmp_path / "x")) == 0


words = st.lists(st.sampled_from(["hiring", "museum", "letter", "xyzzy"]), max_size=60)


@given(words, st.integers(8, 40))
def test_head_and_tail_keep_both_ends_and_the_special_tokens(
    tiny_base: Path, words: list[str], most: int
) -> None:
    text = " ".join(words)
    file = tiny_base / "tokenizer.json"
    (whole,) = Encoder(file, 10_000)([text])
    (head,) = Encoder(file, most)([text])
    (both,) = Encoder(file, most, "head_tail")([text])
    if len(whole) <= most:
        assert head == both == whole
        return
    assert len(both) == most == len(head)
    assert both[: most // 2] == whole[: most // 2]
    assert both[-(most // 2) :] == whole[-(most // 2) :]
    assert head[:-1] == whole[: most - 1]


@given(words, st.integers(8, 40))
def test_windows_read_every_word_at_least_once_and_stay_in_order(
    tiny_base: Path, words: list[str], most: int
) -> None:
    text = " ".join(words)
    file = tiny_base / "tokenizer.json"
    encoder = Encoder(file, most, "windows")
    (whole,) = Encoder(file, 10_000)([text])
    rows, owners = encoder.windows([text, "hello"])
    own = [row for row, owner in zip(rows, owners, strict=True) if owner == 0]
    assert own[0] == encoder([text])[0] == Encoder(file, most, "head")([text])[0]
    assert all(len(row) <= most and (row[0], row[-1]) == (whole[0], whole[-1]) for row in own)
    read, step = [whole[0]], (most - 2) // 2
    for number, row in enumerate(own):
        read = [*read[: 1 + number * step], *row[1:-1]]
    assert [*read, whole[-1]] == whole[: encoder.capacity]


def test_a_message_without_end_is_read_in_so_many_windows(tiny_base: Path) -> None:
    encoder = Encoder(tiny_base / "tokenizer.json", 16, "windows")
    text = "museum " * 5000
    rows, _ = encoder.windows([text])
    assert len(rows) == MOST_WINDOWS
    assert 0 < encoder.read_until([text])[0] < len(text)
    assert encoder.read_until(["museum letter"]) == [len("museum letter")]


def test_targets_that_were_half_written_do_not_count(
    tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = np.save

    def full_disk(where: object, array: np.ndarray) -> None:
        real(where, array)
        if array.ndim == 2:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(np, "save", full_disk)
    encode = Encoder(tiny_base / "tokenizer.json", 48)
    with pytest.raises(OSError, match="No space"):
        write_examples(iter(labelled(30)), encode, tmp_path / "x")
    assert not are_written(tmp_path / "x")
