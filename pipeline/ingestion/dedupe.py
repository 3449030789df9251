"""Near-duplicates: which messages are one template with other names in it?

MinHash over word 3-grams, locality-sensitive hashing to find candidates, and a check of every
candidate's true Jaccard similarity (Leskovec, Rajaraman, Ullman, *Mining of Massive Datasets*,
ch. 3). Names and numbers are masked first, because a template differs in just these.

Signatures and 3-grams go to scratch files, and buckets are found by sorting one band at a time.
So a million messages take memory for a few columns of numbers, and time near linear in their
number; an index in memory takes several kilobytes a message.
"""

from __future__ import annotations

import re
import zlib
from array import array
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

SEED = 20
BANDS = 16
REPRESENTATIVES = 8
"""Groups compared with in one bucket; keeps the work linear where a bucket is crowded."""

_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?|\d+|~")
# A run of capitalised words inside a sentence is a name more often than not.
_NAME = re.compile(r"[A-Z](?<=[a-z,;:] .)[\w'’-]*(?: [A-Z][\w'’-]*)*")
_NUMBER = re.compile(r"\d[\d.,:/-]*")


def templates(texts: Iterable[str], similarity: float, scratch: Path) -> NDArray[np.int64]:
    """Group texts whose masked word 3-grams have at least this Jaccard similarity.

    Args:
        texts: in a fixed order.
        similarity: 0 to 1.
        scratch: a folder for temporary files.

    Returns:
        Shape (n,): per text the index of its group's first text; -1 for a text without a double.
    """
    with TemplateFinder(similarity, scratch) as finder:
        for text in texts:
            finder.add(text)
        return finder.groups()


class TemplateFinder:
    """`templates` for texts that come one by one."""

    def __init__(self, similarity: float, scratch: Path) -> None:
        self._similarity = similarity
        self._rows = _rows_per_band(similarity)
        self._grams = _Grams(scratch / "grams")
        self._paths = [scratch / f"band{i}" for i in range(BANDS)]
        self._bands = [path.open("wb") for path in self._paths]

    def __enter__(self) -> TemplateFinder:
        return self

    def __exit__(self, *_: object) -> None:
        for band, path in zip(self._bands, self._paths, strict=True):
            band.close()
            path.unlink(missing_ok=True)
        self._grams.close()

    def add(self, text: str) -> None:
        """Take in the next text."""
        _write_bands(self._bands, self._rows, self._grams.add(text))

    def groups(self) -> NDArray[np.int64]:
        """What `templates` returns, for the texts added so far; none can be added after."""
        parent = np.arange(len(self._grams), dtype=np.int64)
        for band, path in zip(self._bands, self._paths, strict=True):
            band.close()
            _join(path, parent, self._grams, self._similarity)
        roots = np.array([_find(parent, i) for i in range(len(parent))], dtype=np.int64)
        sizes = np.bincount(roots, minlength=len(roots))
        return np.where(sizes[roots] > 1, roots, -1) if len(roots) else roots


def _rows_per_band(similarity: float) -> int:
    """As many rows as let a pair at the threshold meet in some band with at least 99.5 %."""
    rows = [r for r in range(1, 13) if 1 - (1 - similarity**r) ** BANDS >= 0.995]
    return max(rows, default=1)


def grams_of(text: str) -> NDArray[np.uint64]:
    """The hashes of a text's word 3-grams, sorted and distinct; of its words if it has fewer.

    >>> a = grams_of("I saw your talk at Acme Labs, are you hiring?")
    >>> b = grams_of("I saw your talk at Globex, are you hiring?")
    >>> bool((a == b).all())
    True
    """
    masked = _NUMBER.sub(" 0 ", _NAME.sub("~", text))
    words = [zlib.crc32(word.encode()) for word in _WORD.findall(masked.lower())]
    hashed = _mix(np.array(words, dtype=np.uint64))
    if len(hashed) >= 3:
        hashed = _mix(hashed[:-2] + _mix(hashed[1:-1]) + _mix(_mix(hashed[2:])))
    return np.unique(hashed)


def _mix(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Spread the bits of 64-bit numbers (the finaliser of SplitMix64)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def _signature(grams: NDArray[np.uint64], size: int) -> NDArray[np.uint64]:
    factors, offsets = _permutations(size)
    least = np.full(size, np.iinfo(np.uint64).max)
    for start in range(0, len(grams), 2048):  # bounds the memory a very long message takes
        # Multiply-add permutes 64-bit numbers; their upper bits, which decide a minimum, mix well.
        block = grams[start : start + 2048, None] * factors + offsets
        least = np.minimum(least, block.min(axis=0))
    return least


@cache
def _permutations(size: int) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    seeds = _mix(np.arange(1, 2 * size + 1, dtype=np.uint64) * np.uint64(SEED * 2 + 1))
    return seeds[:size] | np.uint64(1), seeds[size:]


def _write_bands(bands: Sequence[BinaryIO], rows: int, grams: NDArray[np.uint64]) -> None:
    signature = _signature(grams, BANDS * rows).reshape(BANDS, rows)
    weights, _ = _permutations(rows)
    keys = (signature * weights).sum(axis=1, dtype=np.uint64).tobytes()
    for number, band in enumerate(bands):
        band.write(keys[8 * number : 8 * number + 8])


class _Grams:
    """Sets of 3-grams on disk; only where each begins is held in memory."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._starts = array("q", [0])
        self._file = path.open("w+b")

    def __len__(self) -> int:
        return len(self._starts) - 1

    def close(self) -> None:
        self._file.close()
        self._path.unlink(missing_ok=True)

    def add(self, text: str) -> NDArray[np.uint64]:
        grams = grams_of(text)
        self._file.write(grams.tobytes())
        self._starts.append(self._starts[-1] + grams.nbytes)
        return grams

    def __getitem__(self, index: int) -> NDArray[np.uint64]:
        self._file.seek(self._starts[index])
        size = self._starts[index + 1] - self._starts[index]
        return np.frombuffer(self._file.read(size), dtype=np.uint64)


def _join(path: Path, parent: NDArray[np.int64], grams: _Grams, similarity: float) -> None:
    """Join, in `parent`, the texts that share a bucket of this band and are truly alike."""
    for bucket in _buckets(np.fromfile(path, dtype=np.uint64)):
        known: list[int] = []
        for index in map(int, bucket):
            if not _joined(index, known, parent, grams, similarity):
                known.append(index)


def _buckets(keys: NDArray[np.uint64]) -> Iterator[NDArray[np.int64]]:
    order = np.argsort(keys, kind="stable")
    ends = np.flatnonzero(np.diff(keys[order])) + 1
    for start, end in zip([0, *ends], [*ends, len(order)], strict=True):
        if end - start > 1:
            yield order[start:end]


def _joined(
    index: int, known: list[int], parent: NDArray[np.int64], grams: _Grams, similarity: float
) -> bool:
    """Whether the text belongs to one of the groups seen in this bucket; it is joined to it."""
    root = _find(parent, index)
    if any(_find(parent, other) == root for other in known):
        return True
    own = grams[index]
    for other in known:
        if _jaccard(own, grams[other]) >= similarity:
            first, second = sorted((root, _find(parent, other)))
            parent[second] = first
            return True
    return len(known) >= REPRESENTATIVES


def _jaccard(a: NDArray[np.uint64], b: NDArray[np.uint64]) -> float:
    if not len(a) or not len(b):
        return 0.0
    shared = len(np.intersect1d(a, b, assume_unique=True))
    return shared / (len(a) + len(b) - shared)


def _find(parent: NDArray[np.int64], index: int) -> int:
    while parent[index] != index:
        parent[index] = parent[parent[index]]
        index = int(parent[index])
    return index
