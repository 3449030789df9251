"""Keeping messages that ask for nothing from drowning those that ask."""

from __future__ import annotations

import heapq
import random
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping

from pipeline.records import LabelledMessage


def without_some_none(
    messages: Callable[[], Iterable[LabelledMessage]], share: float, seed: int
) -> Iterator[LabelledMessage]:
    """Leave out messages without asks until they are at most `share` of the rest, in order.

    Most real mail asks for nothing, and a model trained on all of it learns to say so. The origins
    (sources) with the most such messages give first, so that the few of a small one stay.

    Args:
        messages: gives the messages anew with every call; it is called twice, so that they need
            never stand in memory together.
        share: what messages without asks may be of all, from 0 to 1.
        seed: of the draw.
    """
    if share == 1:
        yield from messages()
        return
    asking = 0
    silent: dict[str, list[int]] = defaultdict(list)
    for place, message in enumerate(messages()):
        if message.asks:
            asking += 1
        else:
            silent[str(message.extra.get("origin") or message.source)].append(place)
    # Where nothing asks there is nothing to drown; what lacks is said elsewhere.
    count = sum(map(len, silent.values()))
    allowed = round(asking * share / (1 - share)) if asking else count
    left_out = _drawn(silent, allowed, seed)
    for place, message in enumerate(messages()):
        if place not in left_out:
            yield message


def _drawn(silent: Mapping[str, list[int]], allowed: int, seed: int) -> set[int]:
    """Which of the places, by origin, to leave out so that no more than `allowed` are left."""
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
