"""From labelled messages to what the Trainer reads: token ids and targets, on disk.

Messages stream through in chunks and only their lengths stay in memory, so that two million of them
need no more of it than two thousand: about 40 bytes a message, and on disk four bytes a token.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import cast, overload

import numpy as np
from numpy.typing import NDArray

from pipeline.records import LabelledMessage, render
from pipeline.store import atomic_path

_TOKENS, _LENGTHS, _TARGETS = "tokens.i32", "lengths.npy", "targets.npy"
_CHUNK = 1024


class TokenRows(Sequence[Sequence[int]]):
    """The token ids of many messages, one behind the other in one array.

    Attributes:
        lengths: tokens of each message, shape (messages,).
        starts: where each begins, shape (messages,).
    """

    def __init__(self, tokens: NDArray[np.int32], lengths: NDArray[np.int64]) -> None:
        """Tokens of shape (all tokens,), lengths of shape (messages,)."""
        self._tokens = tokens
        self.lengths = lengths
        self.starts = np.cumsum(lengths) - lengths

    @overload
    def __getitem__(self, index: int) -> Sequence[int]: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Sequence[int]]: ...
    def __getitem__(self, index: int | slice) -> Sequence[int] | Sequence[Sequence[int]]:
        """The ids of one message, or of several."""
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        start = self.starts[index]
        return cast("Sequence[int]", self._tokens[start : start + self.lengths[index]])

    def __len__(self) -> int:
        """How many messages there are."""
        return len(self.lengths)

    def chosen(self, where: NDArray[np.int64]) -> TokenRows:
        """Only the messages at these places, in this order (copied into memory)."""
        rows = [np.asarray(self[int(i)]) for i in where]
        joined = np.concatenate(rows) if rows else np.zeros(0, np.int32)
        return TokenRows(joined, self.lengths[where])


@dataclass(frozen=True)
class Examples:
    """Encoded messages with their targets."""

    ids: TokenRows
    targets: NDArray[np.float32]
    """Shape (messages, labels): per label the share of annotators who found it."""

    def __len__(self) -> int:
        """How many messages there are."""
        return len(self.ids)

    def chosen(self, where: NDArray[np.int64]) -> Examples:
        """Only the messages at these places, in this order."""
        return Examples(self.ids.chosen(where), self.targets[where])


def write_examples(
    messages: Iterable[LabelledMessage],
    encode: Callable[[Sequence[str]], Sequence[Sequence[int]]],
    folder: Path,
) -> None:
    """Encode a stream of messages into `folder`; the file of targets is written last."""
    folder.mkdir(parents=True, exist_ok=True)
    lengths: list[NDArray[np.int64]] = [np.zeros(0, np.int64)]
    targets: list[NDArray[np.float32]] = []
    with (folder / _TOKENS).open("wb") as out:
        for chunk in _chunks(messages):
            rows = encode([render(message.subject, message.text) for message in chunk])
            lengths.append(np.array([len(row) for row in rows], np.int64))
            np.concatenate([np.asarray(row, np.int32) for row in rows]).tofile(out)
            targets.append(np.array([message.targets for message in chunk], np.float32))
    np.save(folder / _LENGTHS, np.concatenate(lengths))
    with atomic_path(folder / _TARGETS) as path, path.open("wb") as out:
        np.save(out, np.concatenate(targets) if targets else np.zeros((0, 0), np.float32))


def are_written(folder: Path) -> bool:
    """Whether `write_examples` has finished there."""
    return (folder / _TARGETS).is_file()


def open_examples(folder: Path) -> Examples:
    """What `write_examples` wrote, read from disk as it is needed."""
    lengths = np.load(folder / _LENGTHS)
    empty = not lengths.sum()
    tokens = (
        np.zeros(0, np.int32) if empty else np.memmap(folder / _TOKENS, dtype=np.int32, mode="r")
    )
    return Examples(TokenRows(tokens, lengths), np.load(folder / _TARGETS))


def _chunks(messages: Iterable[LabelledMessage]) -> Iterator[list[LabelledMessage]]:
    rest = iter(messages)
    while chunk := list(islice(rest, _CHUNK)):
        yield chunk
