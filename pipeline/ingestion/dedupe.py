"""Near-duplicates: which messages are one template with other names in it?

MinHash over word 3-grams, locality-sensitive hashing to find candidates, and a check of every
candidate's true Jaccard similarity (Leskovec, Rajaraman, Ullman, *Mining of Massive Datasets*,
ch. 3). Names and numbers are masked first, because a template differs in just these.

`sketch` works out signatures and 3-grams of many texts at once; they go to scratch files, and
buckets are found by sorting one band at a time. So a million messages take memory for a few columns
of numbers, and time near linear in their number; an index in memory takes several kilobytes a
message.
"""

from __future__ import annotations

import re
import zlib
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

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


@dataclass(frozen=True, slots=True)
class Sketches:
    """What near-duplicates are found by, for n texts."""

    grams: NDArray[np.uint32]
    """The hashed 3-grams of all texts behind one another, those of each sorted and distinct."""
    ends: NDArray[np.int64]
    """Shape (n,): where those of each text end."""
    bands: NDArray[np.uint64]
    """Shape (n, BANDS): texts with the same key in a band are candidates."""

    def grams_by_text(self) -> list[bytes]:
        """The bytes of each text's 3-grams."""
        return [piece.tobytes() for piece in np.split(self.grams, self.ends[:-1])][: len(self.ends)]


def sketch(texts: Sequence[str], similarity: float) -> Sketches:
    """The sketches of these texts; they depend on nothing but the text and the similarity."""
    grams, ends = _grams(texts)
    starts = np.concatenate([[0], ends[:-1]]).astype(np.int64)[: len(ends)]
    rows = _rows_per_band(similarity)
    bands = np.zeros((len(texts), BANDS), dtype=np.uint64)
    some = np.flatnonzero(ends > starts)
    if len(some):
        factors, offsets = _permutations(BANDS * rows)
        weights = _mix(np.arange(1, rows + 1, dtype=np.uint32)).astype(np.uint64) << np.uint64(16)
        for number in range(BANDS * rows):
            # Multiply-add permutes 32-bit numbers; the upper bits, which decide, mix well.
            least = np.minimum.reduceat(grams * factors[number] + offsets[number], starts[some])
            bands[some, number // rows] += _spread(least * weights[number % rows])
    return Sketches(grams, ends, bands)


def templates(texts: Sequence[str], similarity: float, scratch: Path) -> NDArray[np.int64]:
    """Group texts whose masked word 3-grams have at least this Jaccard similarity.

    Args:
        texts: in a fixed order.
        similarity: 0 to 1.
        scratch: a folder for temporary files.

    Returns:
        Shape (n,): per text the index of its group's first text; -1 for a text without a double.
    """
    with TemplateFinder(similarity, scratch) as finder:
        found = sketch(texts, similarity)
        finder.add(found.grams_by_text(), found.bands)
        return finder.groups()


class TemplateFinder:
    """`templates` for texts that come in pieces."""

    def __init__(self, similarity: float, scratch: Path) -> None:
        self._similarity = similarity
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

    def add(self, grams: Sequence[bytes], bands: NDArray[np.uint64]) -> None:
        """Take in the next texts: the 3-grams of each as bytes, and their keys (n, BANDS)."""
        self._grams.add(grams)
        for band, keys in zip(self._bands, bands.T, strict=True):
            band.write(keys.tobytes())

    def groups(self) -> NDArray[np.int64]:
        """What `templates` returns, for the texts added so far; none can be added after."""
        parent = np.arange(len(self._grams), dtype=np.int64)
        for band, path in zip(self._bands, self._paths, strict=True):
            band.close()
            _join(path, parent, self._grams, self._similarity)
        roots = parent
        while not np.array_equal(roots, parent[roots]):
            roots = parent[roots]
        sizes = np.bincount(roots, minlength=len(roots))
        return np.where(sizes[roots] > 1, roots, -1) if len(roots) else roots


def _rows_per_band(similarity: float) -> int:
    """As many rows as let a pair at the threshold meet in some band with at least 99.5 %."""
    rows = [r for r in range(1, 13) if 1 - (1 - similarity**r) ** BANDS >= 0.995]
    return max(rows, default=1)


def grams_of(text: str) -> NDArray[np.uint32]:
    """The hashes of a text's word 3-grams, sorted and distinct; of its words if it has fewer.

    >>> a = grams_of("I saw your talk at Acme Labs, are you hiring?")
    >>> b = grams_of("I saw your talk at Globex, are you hiring?")
    >>> bool((a == b).all())
    True
    """
    return _grams([text])[0]


def _grams(texts: Sequence[str]) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
    """The 3-grams of texts behind one another, and where those of each end."""
    if len(_WORD_HASHES) > MAX_WORDS:
        _WORD_HASHES.clear()
    flat: list[int] = []
    lengths = []
    for text in texts:
        found = _WORD.findall(_NUMBER.sub(" 0 ", _NAME.sub("~", text)).lower())
        flat += map(_WORD_HASHES.__getitem__, found)
        lengths.append(len(found))
    words = _mix(np.array(flat, dtype=np.uint32))
    owner = np.repeat(np.arange(len(texts), dtype=np.uint64), lengths)
    few = np.array(lengths, dtype=np.int64) < 3
    alone = few[owner.astype(np.int64)]
    hashed, owners = words[alone], owner[alone]
    if len(words) >= 3:
        threes = _mix(words[:-2] + _mix(words[1:-1]) + _mix(_mix(words[2:])))
        within = owner[:-2] == owner[2:]
        hashed = np.concatenate([hashed, threes[within]])
        owners = np.concatenate([owners, owner[:-2][within]])
    distinct = np.unique(owners << np.uint64(32) | hashed)
    counts = np.bincount((distinct >> np.uint64(32)).astype(np.int64), minlength=len(texts))
    return distinct.astype(np.uint32), np.cumsum(counts, dtype=np.int64)


class _WordHashes(dict[str, int]):
    """Words and their hashes; most words were seen before."""

    def __missing__(self, word: str) -> int:
        self[word] = found = zlib.crc32(word.encode())
        return found


MAX_WORDS = 50_000
"""Words whose hashes are remembered."""
_WORD_HASHES = _WordHashes()


def _mix(values: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """Spread the bits of 32-bit numbers (the finaliser of MurmurHash3)."""
    values = (values ^ (values >> np.uint32(16))) * np.uint32(0x85EBCA6B)
    values = (values ^ (values >> np.uint32(13))) * np.uint32(0xC2B2AE35)
    return values ^ (values >> np.uint32(16))


def _spread(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Spread the bits of 64-bit numbers (the finaliser of SplitMix64)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


@cache
def _permutations(size: int) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
    seeds = _mix(np.arange(1, 2 * size + 1, dtype=np.uint32) * np.uint32(SEED * 2 + 1))
    return seeds[:size] | np.uint32(1), seeds[size:]


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

    def add(self, grams: Sequence[bytes]) -> None:
        self._file.writelines(grams)
        for piece in grams:
            self._starts.append(self._starts[-1] + len(piece))

    def __getitem__(self, index: int) -> NDArray[np.uint32]:
        self._file.seek(self._starts[index])
        size = self._starts[index + 1] - self._starts[index]
        return np.frombuffer(self._file.read(size), dtype=np.uint32)


def _join(path: Path, parent: NDArray[np.int64], grams: _Grams, similarity: float) -> None:
    """Join, in `parent`, the texts that share a bucket of this band and are truly alike."""
    for bucket in _buckets(np.fromfile(path, dtype=np.uint64)):
        known: list[int] = []
        for index in map(int, bucket):
            if not _joined(index, known, parent, grams, similarity):
                known.append(index)


def _buckets(keys: NDArray[np.uint64]) -> Iterator[NDArray[np.int64]]:
    """The texts, in order, of each key that more than one of them has."""
    order = np.argsort(keys, kind="stable")
    edges = np.flatnonzero(np.diff(keys[order])) + 1
    starts, ends = np.append(0, edges), np.append(edges, len(order))
    crowded = ends - starts > 1
    for start, end in zip(starts[crowded], ends[crowded], strict=True):
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


def _jaccard(a: NDArray[np.uint32], b: NDArray[np.uint32]) -> float:
    if not len(a) or not len(b):
        return 0.0
    shared = len(np.intersect1d(a, b, assume_unique=True))
    return shared / (len(a) + len(b) - shared)


def _find(parent: NDArray[np.int64], index: int) -> int:
    while parent[index] != index:
        parent[index] = parent[parent[index]]
        index = int(parent[index])
    return index
