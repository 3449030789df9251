"""Train, validation and test: whole groups, all labels balanced, and proof that nothing leaks.

No kept library splits by group and several labels at once (scikit-learn's StratifiedGroupKFold is
single-label, iterative-stratification knows no groups), hence this one: the iterative
stratification of Sechidis, Tsoumakas and Vlahavas (ECML 2011), with a group in the place of a row.
"""

from __future__ import annotations

import json
import math
import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import DataError
from pipeline.records import Message
from pipeline.store import numbered_lines

SPLITS = ("train", "validation", "test")

KEPT_TOGETHER = ("pair", "thread", "template")
"""Fields whose value makes messages belong together, whoever splits or resamples them."""


@dataclass(frozen=True)
class Item:
    """What splitting needs to know of a message."""

    id: str
    keys: tuple[str, ...]
    """Messages that share a key stay together."""
    strata: tuple[str, ...]
    """What is balanced over the splits: its labels, where it comes from."""
    time: float | None = None
    """Seconds since 1970, where it is known; only `split_by_time` looks at it."""


def split(
    items: Sequence[Item],
    shares: Mapping[str, float],
    seed: int,
    kept: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """Assign each item's id to a split; the same items and seed give the same assignment.

    Args:
        items: messages with distinct ids.
        shares: split name to its share of the messages, adding up to 1.
        seed: decides between equals.
        kept: id to split of items that are assigned already, whatever the shares; the others are
            drawn so that together they come close to them. A group whose items were kept in
            several splits goes to train, so that nothing trained on is ever tested on.
    """
    kept = kept or {}
    rng = random.Random(seed)  # noqa: S311 - a draw, not a secret
    open_splits = [name for name, share in shares.items() if share > 0]
    groups = group(items)
    rng.shuffle(groups)
    totals = Counter(s for item in items for s in item.strata)
    wanted = {
        name: {s: shares[name] * count for s, count in totals.items()} for name in open_splits
    }
    room = {name: shares[name] * len(items) for name in open_splits}
    # Those that are kept first, as the others fill up; then the rarest, as what is common can still
    # be evened out at the end.
    groups.sort(
        key=lambda members: (
            all(item.id not in kept for item in members),
            min(totals[s] for item in members for s in item.strata),
        )
    )
    assigned: dict[str, str] = {}
    for members in groups:
        counts = Counter(s for item in members for s in item.strata)
        rarest = min(counts, key=lambda s: (totals[s], s))
        name = _kept_in(members, kept) or max(
            open_splits, key=lambda n: (wanted[n][rarest] / shares[n], room[n] / shares[n])
        )
        if name in room:
            room[name] -= len(members)
            for stratum, count in counts.items():
                wanted[name][stratum] -= count
        assigned.update((item.id, name) for item in members)
    return assigned


def _kept_in(members: Iterable[Item], kept: Mapping[str, str]) -> str | None:
    """The split of those that are assigned already; train if they stand in several."""
    names = {kept[item.id] for item in members if item.id in kept}
    return names.pop() if len(names) == 1 else "train" if names else None


def read_splits(files: Sequence[Path]) -> dict[str, str]:
    """Which split each message stands in already, from JSON Lines of ``id`` and ``split``.

    Raises:
        InputError: a file cannot be read.
        DataError: a line has no id or no split, or an id stands in two splits.
    """
    found: dict[str, str] = {}
    for place, line in numbered_lines(files):
        try:
            entry = json.loads(line)
            name, where = str(entry["id"]), entry["split"]
        except (ValueError, KeyError, TypeError):
            name, where = "", None
        if where not in SPLITS:
            raise DataError(
                f'{place}: expected {{"id": ID, "split": "train", "validation" or "test"}}; mend '
                "the line or leave the file out of label.splits."
            )
        if found.setdefault(name, where) != where:
            raise DataError(
                f"{place}: {name} stands in {found[name]} before and in {where} here; remove one."
            )
    return found


def split_by_time(items: Sequence[Item], shares: Mapping[str, float]) -> dict[str, str]:
    """Assign the oldest messages to train, the next to validation and the newest to test.

    A group stands where its newest message belongs, so that training never sees what came after.
    Groups without any time go to train. Shares are of the messages with a time.

    Raises:
        DataError: fewer than half of the messages have a time.
    """
    dated = sum(item.time is not None for item in items)
    if 2 * dated < len(items):
        raise DataError(
            f"label.split_by is time, but only {dated} of {len(items)} messages say when they were "
            "sent. Set data.columns.sent_at to the column that does, or split at random."
        )
    groups = [
        (max((item.time for item in members if item.time is not None), default=-math.inf), members)
        for members in group(items)
    ]
    groups.sort(key=lambda entry: entry[0])  # stable: as they came where times are equal
    assigned: dict[str, str] = {}
    left = {name: shares[name] * dated for name in reversed(SPLITS) if shares.get(name)}
    for newest, members in reversed(groups):  # fill from the newest side
        name = next(iter(left)) if newest > -math.inf else "train"
        assigned.update((item.id, name) for item in members)
        left[name] -= len(members)
        if left[name] <= 0 and len(left) > 1:
            del left[name]
    return assigned


def group(items: Iterable[Item]) -> list[list[Item]]:
    """Items joined by shared keys, directly or through others, in order of first appearance."""
    items = list(items)
    members: dict[int, list[Item]] = defaultdict(list)
    for item, number in zip(items, connected([item.keys for item in items]), strict=True):
        members[number].append(item)
    return list(members.values())


def groups_of(messages: Sequence[Message], kinds: Iterable[str] = KEPT_TOGETHER) -> list[int]:
    """Per message the number of its group: those that share a pair, a thread or a template.

    Whatever resamples, cross-validates or splits messages should do it with these.

    Args:
        messages: in any order.
        kinds: which fields join messages.
    """
    return connected([keys_of(message, kinds) for message in messages])


def keys_of(message: Message, kinds: Iterable[str]) -> tuple[str, ...]:
    """What a message shares with the others of its group, such as ``thread:abc``.

    >>> keys_of(Message("m1", "text", pair="p7"), ("pair", "thread"))
    ('pair:p7',)
    """
    return tuple(f"{kind}:{value}" for kind in kinds if (value := getattr(message, kind)))


def connected(keys: Iterable[Iterable[str]]) -> list[int]:
    """Number the groups of rows that share a key, directly or through others.

    Numbers start at 0 and rise in order of first appearance. A row without keys is a group of its
    own.

    >>> connected([["a"], ["a", "b"], [], ["b"], []])
    [0, 0, 1, 0, 2]
    """
    parent: dict[object, object] = {}

    def root(node: object) -> object:
        while parent[node] != node:
            parent[node] = parent[parent[node]]  # halve the path as we climb
            node = parent[node]
        return node

    count = 0
    for count, row in enumerate(keys, start=1):
        parent[count] = count  # rows are numbers and keys are texts, so they never meet
        for key in row:
            parent.setdefault(key, key)
            parent[root(count)] = root(key)
    numbers: dict[object, int] = {}
    return [numbers.setdefault(root(row), len(numbers)) for row in range(1, count + 1)]


def prove_disjoint(items: Iterable[Item], assigned: Mapping[str, str]) -> None:
    """Check that no key stands in two splits.

    Raises:
        DataError: one does; the text names the splits and how many keys cross, never a message.
    """
    places: dict[str, set[str]] = defaultdict(set)
    for item in items:
        for key in item.keys:
            places[key].add(assigned[item.id])
    crossing = [key for key, names in places.items() if len(names) > 1]
    if crossing:
        kinds = Counter(key.partition(":")[0] for key in crossing)
        listed = ", ".join(f"{count} by {kind}" for kind, count in kinds.items())
        raise DataError(
            f"{len(crossing)} group(s) of messages stand in more than one split ({listed}). "
            "Scores on such a split mean nothing; remove the messages from one side, or take the "
            "kind out of label.keep_together if it is meant."
        )
