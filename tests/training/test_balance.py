"""Each origin is held to its share of messages that ask nothing, in training and calibration."""

from collections import Counter

import numpy as np

from pipeline.records import LabelledMessage
from pipeline.training.balance import balanced, origin, weights


def mail(name: str, asking: int, silent: dict[str, int]) -> list[LabelledMessage]:
    """Messages of one origin that ask, then silent ones of each of its sources."""
    extra = {"origin": name}
    found = [LabelledMessage(f"{name}{i}", "x", asks=("a",), extra=extra) for i in range(asking)]
    for source, count in silent.items():
        found += [
            LabelledMessage(f"{source}{i}", "x", source=source, extra=extra) for i in range(count)
        ]
    return found


def drawn(messages: list[LabelledMessage], share: float, seed: int = 1) -> list[LabelledMessage]:
    return list(balanced(lambda: messages, share, {}, seed))


def test_each_origin_is_held_to_the_share_by_itself() -> None:
    messages = mail("public", 10, {"archive": 90}) + mail("own", 30, {"inbox": 20})
    kept = Counter((origin(m), bool(m.asks)) for m in drawn(messages, 0.5))
    assert kept == {
        ("public", True): 10,
        ("public", False): 10,
        ("own", True): 30,
        ("own", False): 20,
    }


def test_the_largest_source_gives_first() -> None:
    kept = Counter(m.source for m in drawn(mail("public", 60, {"big": 100, "small": 10}), 0.4))
    assert kept == {"": 60, "big": 30, "small": 10}


def test_too_few_are_left_as_they_are() -> None:
    messages = mail("public", 60, {"archive": 5})
    assert drawn(messages, 0.4) == messages


def test_an_origin_in_which_nothing_asks_stays_whole() -> None:
    messages = mail("public", 0, {"archive": 5}) + mail("own", 5, {})
    assert drawn(messages, 0.4) == messages


def test_all_may_stay() -> None:
    messages = mail("public", 1, {"archive": 50})
    assert drawn(messages, 1.0) == messages


def test_what_asks_can_be_given_twice_and_makes_room_for_as_many_that_do_not() -> None:
    messages = mail("public", 10, {"archive": 90}) + mail("own", 10, {})
    kept = list(balanced(lambda: messages, 0.5, {"public": 2}, 1))
    assert Counter((origin(m), bool(m.asks)) for m in kept) == {
        ("public", True): 20,
        ("public", False): 20,
        ("own", True): 10,
    }


def test_the_draw_is_the_seeds() -> None:
    messages = mail("public", 10, {"archive": 100})
    assert drawn(messages, 0.4, seed=1) == drawn(messages, 0.4, seed=1)
    assert drawn(messages, 0.4, seed=1) != drawn(messages, 0.4, seed=2)


def test_weights_bring_each_origin_to_the_share() -> None:
    messages = mail("public", 10, {"archive": 90}) + mail("own", 30, {"inbox": 20})
    found = weights(messages, 0.5)
    silent = np.array([not m.asks for m in messages])
    public = np.array([origin(m) == "public" for m in messages])
    assert np.all(found[~silent] == 1)
    assert np.isclose(found[silent & public].sum(), 10)
    assert np.all(found[silent & ~public] == 1)  # fewer than the share: not raised
