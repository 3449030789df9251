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

CHARACTERS_PER_TOKEN = 400
"""Of a text longer than this many for each token that is read, the rest is not even looked at."""


class Encoder:
    """Turns texts into token ids with the tokenizer of a model folder."""

    def __init__(
        self, tokenizer_file: Path, max_length: int, long_messages: LongMessages = "head"
    ) -> None:
        """Load a ``tokenizer.json``.

        Args:
            tokenizer_file: where it is.
            max_length: tokens read of a text, special ones included.
            long_messages: what is read of a longer one: its head, or half head and half tail.

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
        self._max_length, self._head_only = max_length, long_messages == "head"
        if self._head_only:
            self._tokenizer.enable_truncation(max_length)
        else:
            self._tokenizer.no_truncation()
        self._most = max_length * CHARACTERS_PER_TOKEN

    def __call__(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids per text, special tokens included, at most `max_length` each."""
        found = self._tokenizer.encode_batch_fast(self._cut(texts))
        if self._head_only:
            return [encoded.ids for encoded in found]
        return [_head_and_tail(encoded, self._max_length) for encoded in found]

    def read_until(self, texts: Sequence[str]) -> list[int]:
        """Per text, how many of its characters are read before it is cut at `max_length`."""
        if not self._head_only:
            return [len(text) for text in texts]
        return [
            max((end for _, end in encoded.offsets), default=0)
            for encoded in self._tokenizer.encode_batch(self._cut(texts))
        ]

    def _cut(self, texts: Sequence[str]) -> list[str]:
        if self._head_only:
            return [text[: self._most] for text in texts]
        return [
            t if len(t) <= 2 * self._most else t[: self._most] + t[-self._most :] for t in texts
        ]


def _head_and_tail(encoded: Encoding, most: int) -> list[int]:
    """At most so many ids: special ones as they stand, then half from each end."""
    ids: list[int] = encoded.ids
    if len(ids) <= most:
        return ids
    special = encoded.special_tokens_mask
    before = special.index(0)
    after = special[::-1].index(0)
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
