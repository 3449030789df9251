"""Keeping messages that ask for nothing from drowning those that ask."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Sequence

from pipeline.records import LabelledMessage


def thin_none(
    messages: Sequence[LabelledMessage], share: float, seed: int
) -> list[LabelledMessage]:
    """Leave out messages without asks until they are at most `share` of the rest, in order.

    Most real mail asks for nothing, and a model trained on all of it learns to say so. The origins
    (sources) with the most such messages give first, so that the few of a small one stay.
    """
    asking = sum(bool(message.asks) for message in messages)
    allowed = round(asking * share / (1 - share)) if share < 1 else len(messages)
    silent: dict[str, list[str]] = defaultdict(list)
    for message in messages:
        if not message.asks:
            silent[str(message.extra.get("origin") or message.source)].append(message.id)
    rng = random.Random(seed)  # noqa: S311 - a draw, not a secret
    for ids in silent.values():
        rng.shuffle(ids)
    left_out: set[str] = set()
    for _ in range(sum(map(len, silent.values())) - allowed):
        left_out.add(max(silent.values(), key=len).pop())
    return [message for message in messages if message.id not in left_out]
