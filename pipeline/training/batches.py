"""Batches of messages of like length, so that little of what the model computes is padding."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset, Sampler

from pipeline.inference.encoding import pad
from pipeline.training.examples import Examples

Floats = NDArray[Any]
STEP = 8
"""Messages whose lengths round up to the same multiple of this are alike."""
FEW_TOKENS = 32
"""Shorter messages are read whole: little is gained by leaving tokens out, and an ask may go."""


class Buckets(Sampler[list[int]]):
    """Batches of like length, drawn anew each epoch; how many there are never changes.

    Messages are ordered by rounded length, equals by chance, and the order is cut where a batch is
    full. The rounded lengths in order are the same whatever the chance, and so are the cuts.

    With several processes, each takes its own of every `ranks` batches that stand side by side, so
    that all have about as much to do at the same time.
    """

    def __init__(
        self,
        lengths: NDArray[np.int64],
        *,
        size: int,
        tokens: int = 0,
        seed: int | None = None,
        rank: int = 0,
        ranks: int = 1,
    ) -> None:
        """At most `size` messages and, unless 0, `tokens` padded tokens a batch.

        Args:
            lengths: tokens of each message, shape (messages,).
            size: messages a batch, at most.
            tokens: tokens a batch, padding included, at most; 0: no limit.
            seed: of the draw; None: no draw, shortest first.
            rank: which process this is.
            ranks: how many processes there are.
        """
        self._rounded = -(-lengths // STEP) * STEP
        self._cuts = _cuts(np.sort(self._rounded), size, tokens)
        self._seed, self._epoch, self._rank, self._ranks = seed, 0, rank, ranks

    def set_epoch(self, epoch: int) -> None:
        """Draw for another epoch."""
        self._epoch = epoch

    def __len__(self) -> int:
        """Batches an epoch of one process."""
        return -(-(len(self._cuts) + 1) // self._ranks)

    def __iter__(self) -> Iterator[list[int]]:
        """Places of messages, a batch at a time."""
        if self._seed is None:
            groups = np.arange(len(self))
            order = np.argsort(self._rounded, kind="stable")
        else:
            rng = np.random.default_rng((self._seed, self._epoch))
            order = np.lexsort((rng.random(len(self._rounded)), self._rounded))
            groups = rng.permutation(len(self))
        batches = np.split(order, self._cuts)
        for group in groups:  # the last group may lack batches: some process then repeats one
            yield batches[(int(group) * self._ranks + self._rank) % len(batches)].tolist()


def _cuts(lengths: NDArray[np.int64], size: int, tokens: int) -> list[int]:
    """Where batches of ascending lengths end, but for the last."""
    cuts, first = [], 0
    for i, length in enumerate(lengths):
        count = i - first + 1
        if count > size or (tokens and count > 1 and count * length > tokens):
            cuts.append(i)
            first = i
    return cuts


class Rows(Dataset[dict[str, Any]]):
    """Examples one by one, as token ids or, if there are any, as cached hidden states."""

    def __init__(self, examples: Examples, hidden: Floats | None = None) -> None:
        """`hidden` has shape (all tokens, width), in the order of the examples' tokens."""
        self.examples, self._hidden = examples, hidden

    def __len__(self) -> int:
        """How many there are."""
        return len(self.examples)

    def __getitem__(self, index: int) -> dict[str, Any]:
        """One example."""
        ids, targets = self.examples.ids, self.examples.targets
        if self._hidden is None:
            return {"input_ids": ids[index], "labels": targets[index]}
        start = ids.starts[index]
        states = self._hidden[start : start + ids.lengths[index]]
        return {"inputs_embeds": states, "labels": targets[index]}


class SomeTokens(Dataset[dict[str, Any]]):
    """Cached rows of which an epoch sees only some tokens: the first and others by chance.

    The layers below have read all of the message, so those that are left know what stood beside
    them, and carry their positions. Source: random layerwise token dropping (Yao et al., 2022,
    https://arxiv.org/abs/2211.11586), for layers above frozen ones.
    """

    def __init__(self, rows: Rows, shares: Sequence[float], seed: int) -> None:
        """Of rows that hold hidden states.

        Args:
            rows: the rows, whole.
            shares: of a message's tokens that each epoch sees, one an epoch; at least `FEW_TOKENS`
                tokens.
            seed: of the draw, which differs by epoch and message.
        """
        self._rows, self._shares, self._seed, self._epoch = rows, shares, seed, 0

    def set_epoch(self, epoch: int) -> None:
        """Draw for another epoch."""
        self._epoch = epoch

    def __len__(self) -> int:
        """How many there are."""
        return len(self._rows)

    def __getitem__(self, index: int) -> dict[str, Any]:
        """One row, with fewer tokens."""
        row = self._rows[index]
        count = len(row["inputs_embeds"])
        kept = min(count, max(FEW_TOKENS, round(self._shares[self._epoch] * count)))
        if kept == count:
            return row
        rng = np.random.default_rng((self._seed, self._epoch, index))
        others = 1 + rng.choice(count - 1, kept - 1, replace=False)
        return {**row, "inputs_embeds": row["inputs_embeds"][np.sort(np.append(others, 0))]}


def by_epoch(shares: Sequence[float], epochs: int) -> list[float]:
    """One share an epoch: the last is the last epoch's, the first that of all before the list."""
    return [*[shares[0]] * (epochs - len(shares)), *shares][-epochs:]


def collate(rows: Sequence[Mapping[str, Any]]) -> dict[str, torch.Tensor]:
    """Pad rows to one batch."""
    targets = torch.tensor(np.stack([row["labels"] for row in rows]), dtype=torch.float32)
    if "input_ids" in rows[0]:
        ids, mask = pad([row["input_ids"] for row in rows])
        batch = {"input_ids": torch.from_numpy(ids), "attention_mask": torch.from_numpy(mask)}
    else:
        states = [row["inputs_embeds"] for row in rows]
        _, mask = pad([range(len(s)) for s in states])
        padded = np.zeros((*mask.shape, states[0].shape[1]), np.float32)
        padded[mask.astype(bool)] = np.concatenate(states)
        batch = {
            "inputs_embeds": torch.from_numpy(padded),
            "attention_mask": torch.from_numpy(mask),
        }
    return {**batch, "labels": targets}


class Loader(DataLoader[dict[str, Any]]):
    """A loader that tells its batches which epoch it is, as the Trainer expects."""

    def set_epoch(self, epoch: int) -> None:
        """Draw for another epoch."""
        if isinstance(self.batch_sampler, Buckets):
            self.batch_sampler.set_epoch(epoch)
        if isinstance(self.dataset, SomeTokens):
            self.dataset.set_epoch(epoch)


def loader(rows: Rows | SomeTokens, batches: Buckets) -> Loader:
    """A loader of such batches."""
    return Loader(
        rows,
        batch_sampler=batches,
        collate_fn=collate,
        pin_memory=torch.cuda.is_available(),
    )
