"""Batches hold messages of like length, every message once, and never more than allowed."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pipeline.training.batches import (
    FEW_TOKENS,
    STEP,
    Buckets,
    Rows,
    SomeTokens,
    by_epoch,
    loader,
)
from pipeline.training.examples import Examples, TokenRows

lengths = st.lists(st.integers(1, 60), min_size=1, max_size=80).map(np.array)


@given(lengths, st.integers(1, 9), st.sampled_from([0, 64, 200]), st.integers(0, 3))
def test_each_epoch_has_every_message_once_in_as_many_batches(
    lengths: np.ndarray, size: int, tokens: int, epoch: int
) -> None:
    buckets = Buckets(lengths, size=size, tokens=tokens, seed=5)
    buckets.set_epoch(epoch)
    batches = list(buckets)
    assert len(batches) == len(buckets)
    assert sorted(i for batch in batches for i in batch) == list(range(len(lengths)))
    for batch in batches:
        assert len(batch) <= size
        widest = -(-lengths[batch].max() // STEP) * STEP
        assert not tokens or len(batch) == 1 or len(batch) * widest <= tokens


@given(lengths, st.integers(1, 4))
def test_processes_share_the_batches_and_take_as_many_steps(
    lengths: np.ndarray, ranks: int
) -> None:
    parts = [list(Buckets(lengths, size=4, seed=1, rank=r, ranks=ranks)) for r in range(ranks)]
    assert len({len(part) for part in parts}) == 1
    seen = {i for part in parts for batch in part for i in batch}
    assert seen == set(range(len(lengths)))


def test_epochs_differ_and_come_again() -> None:
    buckets = Buckets(np.full(50, 10), size=8, seed=1)
    first = list(buckets)
    buckets.set_epoch(1)
    assert list(buckets) != first
    buckets.set_epoch(0)
    assert list(buckets) == first


def test_little_of_a_batch_is_padding() -> None:
    lengths = np.random.default_rng(0).integers(5, 250, 2000)
    batches = list(Buckets(lengths, size=16, seed=1))
    padded = sum(len(batch) * lengths[batch].max() for batch in batches)
    assert padded < 1.05 * lengths.sum()


def _numbered_rows(lengths: list[int]) -> Rows:
    """Rows of which each token's state is its place in the message."""
    places = np.concatenate([np.arange(n) for n in lengths])
    ids = TokenRows(places.astype(np.int32), np.array(lengths))
    targets = np.zeros((len(lengths), 2), np.float32)
    return Rows(Examples(ids, targets), places[:, None].astype(np.float32))


@given(lengths, st.floats(0.05, 1), st.integers(0, 3))
def test_early_epochs_see_the_first_token_and_others_in_their_order(
    lengths: np.ndarray, share: float, epoch: int
) -> None:
    rows = SomeTokens(_numbered_rows(lengths.tolist()), [share, share, 1, 1], seed=3)
    rows.set_epoch(epoch)
    for index, length in enumerate(lengths):
        places = rows[index]["inputs_embeds"][:, 0].tolist()
        assert places[0] == 0
        assert places == sorted(set(places))
        wanted = length if epoch >= 2 else max(min(length, FEW_TOKENS), round(share * length))
        assert len(places) == wanted


def test_which_tokens_are_seen_differs_by_epoch_and_message_and_comes_again() -> None:
    rows = SomeTokens(_numbered_rows([200, 200]), [0.5, 0.5], seed=1)
    batches = loader(rows, Buckets(np.array([200, 200]), size=2, seed=1))

    def seen(epoch: int) -> list[list[float]]:
        batches.set_epoch(epoch)
        return [rows[i]["inputs_embeds"][:, 0].tolist() for i in range(2)]

    first = seen(0)
    assert first[0] != first[1]
    assert seen(1)[0] != first[0]
    assert seen(0) == first


def test_however_many_epochs_there_are_the_last_has_the_last_share() -> None:
    assert by_epoch([0.3, 0.5, 1], 3) == [0.3, 0.5, 1]
    assert by_epoch([0.3, 0.5, 1], 1) == [1]
    assert by_epoch([0.3, 0.5, 1], 2) == [0.5, 1]
    assert by_epoch([0.3, 0.5, 1], 5) == [0.3, 0.3, 0.3, 0.5, 1]
    assert by_epoch([0.5], 2) == [0.5, 0.5]
