"""From rendered texts to token ids, and from token ids to batches: the same in training and use."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Encoding, Tokenizer

from pipeline.errors import ModelFolderError
from pipeline.records import LongMessages

Ids = NDArray[np.int64]

MOST_WINDOWS = 16
"""Windows read of a message; what comes after them is not."""
CHARACTERS_PER_TOKEN = 400
"""Of a text longer than this many for each token that is read, the rest is not even looked at."""


class Encoder:
    """Turns texts into token ids with the tokenizer of a model folder."""

    def __init__(
        self, tokenizer_file: Path, max_length: int, long_messages: LongMessages = "windows"
    ) -> None:
        """Load a ``tokenizer.json``.

        Args:
            tokenizer_file: where it is.
            max_length: tokens read of a text, special ones included.
            long_messages: what is read of a longer one.

        Raises:
            ModelFolderError: the file is missing or damaged.
        """
        try:
            self._tokenizer = Tokenizer.from_file(str(tokenizer_file))
        except Exception as error:  # noqa: BLE001 - the Rust side raises bare Exception
            raise ModelFolderError(
                f"{tokenizer_file}: not a tokenizer ({type(error).__name__}); copy or train again."
            ) from None
        self._tokenizer.no_padding()
        self._max_length, self._long = max_length, long_messages
        if long_messages == "head":
            self._tokenizer.enable_truncation(max_length)
        else:
            self._tokenizer.no_truncation()
        self._most = max_length * CHARACTERS_PER_TOKEN

    def __call__(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids per text, special tokens included, at most `max_length` each.

        Where windows are read, this is the first one.
        """
        found = self._tokenizer.encode_batch_fast(self._cut(texts))
        if self._long == "head":
            return [encoded.ids for encoded in found]
        if self._long == "windows":
            return [_windows(encoded, self._max_length)[0] for encoded in found]
        return [_head_and_tail(encoded, self._max_length) for encoded in found]

    def windows(self, texts: Sequence[str]) -> tuple[list[list[int]], Ids]:
        """All that is read: token ids per window, and of which text each is, shape (windows,)."""
        if self._long != "windows":
            return self(texts), np.arange(len(texts))
        found = self._tokenizer.encode_batch_fast(self._cut(texts))
        windows = [_windows(encoded, self._max_length) for encoded in found]
        owners = np.repeat(np.arange(len(texts)), [len(rows) for rows in windows])
        return [row for rows in windows for row in rows], owners

    @property
    def capacity(self) -> int:
        """How many tokens of a text are read at most."""
        if self._long != "windows":
            return self._max_length
        room = self._max_length - self._tokenizer.num_special_tokens_to_add(is_pair=False)
        return self._max_length + (MOST_WINDOWS - 1) * _step(room)

    def read_until(self, texts: Sequence[str]) -> list[int]:
        """Per text, how many of its characters are read before it is cut."""
        if self._long == "head_tail":
            return [len(text) for text in texts]
        return [
            max((end for _, end in encoded.offsets[: self.capacity]), default=0)
            for encoded in self._tokenizer.encode_batch(self._cut(texts))
        ]

    def _cut(self, texts: Sequence[str]) -> list[str]:
        if self._long != "head_tail":
            return [text[: self._most] for text in texts]
        return [
            t if len(t) <= 2 * self._most else t[: self._most] + t[-self._most :] for t in texts
        ]


def highest(found: NDArray[np.float64], owners: Ids, texts: int) -> NDArray[np.float64]:
    """Per text and label the highest over its windows, shape (texts, labels).

    Args:
        found: logits of each window, shape (windows, labels).
        owners: of which text each window is, as `Encoder.windows` gives them.
        texts: how many there are.
    """
    if len(found) == texts:  # each is its own only window
        return found
    best = np.full((texts, found.shape[1]), -np.inf)
    np.maximum.at(best, owners, found)
    return best


def _windows(encoded: Encoding, most: int) -> list[list[int]]:
    """The ids in rows of at most so many, each with the special ones, overlapping by half."""
    ids: list[int] = encoded.ids
    if len(ids) <= most:
        return [ids]
    before, after = _special(encoded)
    first, inner, last = ids[:before], ids[before : len(ids) - after], ids[len(ids) - after :]
    room = most - before - after
    starts = range(0, len(inner) - room + _step(room), _step(room))[:MOST_WINDOWS]
    return [[*first, *inner[start : start + room], *last] for start in starts]


def _step(room: int) -> int:
    """Tokens from the start of a window to that of the next, of a room of so many."""
    return max(1, room // 2)


def _special(encoded: Encoding) -> tuple[int, int]:
    """How many special tokens stand before and after a text's own."""
    special = encoded.special_tokens_mask
    return special.index(0), special[::-1].index(0)


def _head_and_tail(encoded: Encoding, most: int) -> list[int]:
    """At most so many ids: special ones as they stand, then half from each end."""
    ids: list[int] = encoded.ids
    if len(ids) <= most:
        return ids
    before, after = _special(encoded)
    room = most - before - after
    head, tail = before + (room + 1) // 2, after + room // 2
    return ids[:head] + ids[len(ids) - tail :]


def pad(ids: Sequence[Sequence[int]], pad_id: int = 0) -> tuple[Ids, Ids]:
    """Token ids and attention mask, both of shape (batch, longest)."""
    lengths = np.array([len(row) for row in ids])
    mask = (np.arange(lengths.max()) < lengths[:, None]).astype(np.int64)
    padded = np.full(mask.shape, pad_id, dtype=np.int64)
    padded[mask.astype(bool)] = np.concatenate([np.asarray(row, dtype=np.int64) for row in ids])
    return padded, mask


def batches(lengths: Sequence[int], tokens: int) -> Iterator[list[int]]:
    """Indices in batches of similar length that hold at most `tokens` tokens when padded.

    >>> list(batches([5, 50, 6, 40], tokens=100))
    [[1, 3], [2, 0]]
    """
    order = sorted(range(len(lengths)), key=lambda i: -lengths[i])
    batch: list[int] = []
    for i in order:  # longest first, so the first of a batch sets its width
        if batch and (len(batch) + 1) * lengths[batch[0]] > tokens:
            yield batch
            batch = []
        batch.append(i)
    if batch:
        yield batch
