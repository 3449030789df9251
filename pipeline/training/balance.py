"""Keeping messages that ask for nothing from drowning those that ask, origin by origin.

Most real mail asks for nothing and most mail written for a project asks. A model that is shown both
as they come learns to tell the two apart and takes whatever looks real for `none`. So messages
without asks are held to the same share in each origin: in training by leaving some out, and when
the trained model is calibrated by weighting them down.
"""

from __future__ import annotations

import heapq
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.records import LabelledMessage

Messages = Callable[[], Iterable[LabelledMessage]]
"""Gives a stream of messages anew with every call, so that they need not stand in memory."""


def balanced(
    messages: Messages, share: float, repeat: Mapping[str, int], seed: int
) -> Iterator[LabelledMessage]:
    """The messages with at most `share` without asks in each origin, in order.

    Within an origin the sources with the most such messages give first, so that the few of a small
    one stay. An origin in which nothing asks stays whole: there is nothing to drown.

    Args:
        messages: gives the messages anew with every call; it is called twice.
        share: what messages without asks may be of an origin's messages, from 0 to 1.
        repeat: origin to how often each of its asking messages is given; once where not named.
        seed: of the draw.
    """
    if share == 1:
        left_out: set[int] = set()
    else:
        left_out = _left_out(messages(), share, repeat, seed)
    for place, message in enumerate(messages()):
        if message.asks:
            yield from [message] * repeat.get(origin(message), 1)
        elif place not in left_out:
            yield message


def weights(messages: Sequence[LabelledMessage], share: float) -> NDArray[np.float64]:
    """One weight a message, shape (messages,), that brings each origin to `share` without asks.

    Messages that ask weigh 1, the others at most that.
    """
    asking = Counter(origin(m) for m in messages if m.asks)
    silent = Counter(origin(m) for m in messages if not m.asks)
    ratio = share / (1 - share) if share < 1 else np.inf
    held_to = {
        name: min(1.0, ratio * asking[name] / count) if asking[name] else 1.0
        for name, count in silent.items()
    }
    return np.array([1.0 if m.asks else held_to[origin(m)] for m in messages])


def origin(message: LabelledMessage) -> str:
    """Where a message comes from, as far as its looks go: `public`, or `own`."""
    return str(message.extra.get("origin") or "own")


def _left_out(
    messages: Iterable[LabelledMessage], share: float, repeat: Mapping[str, int], seed: int
) -> set[int]:
    """The places of messages without asks that are too many."""
    asking: Counter[str] = Counter()
    silent: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for place, message in enumerate(messages):
        name = origin(message)
        if message.asks:
            asking[name] += repeat.get(name, 1)
        else:
            silent[name][message.source].append(place)
    left_out: set[int] = set()
    for name, sources in silent.items():
        if asking[name]:
            left_out |= _drawn(sources, round(asking[name] * share / (1 - share)), seed)
    return left_out


def _drawn(silent: Mapping[str, list[int]], allowed: int, seed: int) -> set[int]:
    """Which of the places, by source, to leave out so that no more than `allowed` are left."""
    rng = random.Random(seed)  # noqa: S311 - a draw, not a secret
    for places in silent.values():
        rng.shuffle(places)
    largest = [(-len(places), rank, places) for rank, places in enumerate(silent.values())]
    heapq.heapify(largest)
    left_out: set[int] = set()
    for _ in range(sum(map(len, silent.values())) - allowed):
        _, rank, places = largest[0]
        left_out.add(places.pop())
        heapq.heapreplace(largest, (-len(places), rank, places))
    return left_out
