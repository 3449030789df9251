"""The fast student: one table look-up per token and token pair instead of a network.

A linear model over the counts of token n-grams, each weighted by how rare it is and the whole
scaled to length one. Pairs are hashed into a fixed table (Weinberger et al., 2009), so an
answer is a gather, a sum and a division; it needs numpy and nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import ModelFolderError

NGRAMS = 2
"""Tokens in the longest n-gram."""
MOST_CELLS = 1 << 21
"""Cells of the table (8 MB in memory); it is as long as its width leaves room for."""

_PRIMES = (np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F))
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Student:
    """A trained student.

    Attributes:
        table: shape (buckets, labels + 1): per n-gram its weight for each label, times its rarity,
            and last the square of its rarity.
        scale, shift: shape (labels,): from the linear model's output to calibrated logits.
        sure_from: `balanced` takes the student's word from this certainty on (logits).
    """

    table: NDArray[np.float32]
    scale: Floats
    shift: Floats
    sure_from: float = float("inf")

    @classmethod
    def load(cls, path: Path) -> Student:
        """Read what `save` wrote.

        Raises:
            ModelFolderError: the file is damaged.
        """
        try:
            with np.load(path, allow_pickle=False) as arrays:
                table = arrays["table"].astype(np.float32)
                return cls(table, arrays["scale"], arrays["shift"], float(arrays["sure_from"]))
        except Exception as error:  # noqa: BLE001 - zipfile's, numpy's, KeyError …
            raise ModelFolderError(
                f"{path}: not a student ({type(error).__name__}); train or copy it again."
            ) from None

    def save(self, path: Path) -> None:
        """Write it as an ``.npz`` file, the table in half precision."""
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as stream:
            np.savez_compressed(
                stream,
                table=self.table.astype(np.float16),
                scale=self.scale,
                shift=self.shift,
                sure_from=np.float64(self.sure_from),
            )

    def logits(self, encoded: Sequence[Sequence[int]]) -> Floats:
        """Calibrated logits of encoded texts, shape (texts, labels)."""
        if not encoded:
            return np.empty((0, len(self.scale)))
        return self.raw(encoded) * self.scale + self.shift

    def raw(self, encoded: Sequence[Sequence[int]]) -> Floats:
        """The linear model's output before calibration, shape (texts, labels)."""
        places, starts = ngrams(encoded, len(self.table))
        sums = np.add.reduceat(self.table[places], starts, axis=0, dtype=np.float64)
        return np.asarray(sums[:, :-1] / np.sqrt(np.maximum(sums[:, -1:], 1e-12)))


def buckets_for(labels: int) -> int:
    """How long a table with a column a label, and one more, may be; a power of two."""
    return 1 << (MOST_CELLS // (labels + 1)).bit_length() - 1


def ngrams(
    encoded: Sequence[Sequence[int]], buckets: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The table places of all n-grams of all texts, and where each text's begin.

    Two n-grams may share a place. Every text has at least its two special tokens, so none is
    empty. N-grams do not cross from one text into the next: the places of a text are its single
    tokens, then their pairs.
    """
    lengths = np.array([len(ids) for ids in encoded], dtype=np.int64)
    flat = np.concatenate([np.asarray(ids, dtype=np.uint64) for ids in encoded])
    text = np.repeat(np.arange(len(encoded)), lengths)
    grams = [flat % np.uint64(buckets)]
    owners = [text]
    rolling: Any = flat  # numpy's stubs take products of uint64 for floats
    for n in range(1, NGRAMS):
        rolling = rolling[:-1] * _PRIMES[0] + flat[n:] * _PRIMES[1]
        rolling = rolling ^ (rolling >> np.uint64(29))
        inside = text[:-n] == text[n:]
        grams.append((rolling % np.uint64(buckets))[inside])
        owners.append(text[:-n][inside])
    owner = np.concatenate(owners)
    order = np.argsort(owner, kind="stable")
    counts = np.bincount(owner, minlength=len(encoded))
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    return np.concatenate(grams)[order].astype(np.int64), starts
