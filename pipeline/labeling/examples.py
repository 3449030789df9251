"""Labelled messages that a prompt shows, so that a model sees what the codebook means."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pipeline.labeling.project import Project
from pipeline.labeling.prompt import addresses_labeller
from pipeline.labeling.resolve import MACHINES, ballots, resolve
from pipeline.records import LabelledMessage, Message
from pipeline.store import read_records

LONGEST_EXAMPLE = 800
"""Characters beyond which a message is too long to be an example."""


def few_shots(project: Project) -> list[LabelledMessage]:
    """Labelled messages to show, one for each combination of asks in turn, the short ones first.

    Gold where there is any, else messages on which at least two people agree without doubt. Never
    a message of the validation or test split, or one that addresses the labeller.
    """
    settings = project.settings
    people = [a for a in project.annotations if a.role not in MACHINES]
    cast = ballots(people, settings.task)
    gold = {m for m, votes in cast.items() if votes[0].role == "gold"}
    agreed = {
        m
        for m, votes in cast.items()
        if len(votes) > 1 and all(v.sure for v in votes) and len({v.asks for v in votes}) == 1
    }
    chosen = (gold or agreed) - _held_out(settings.label_dir)
    answers = resolve(people, settings.task)
    pool: dict[tuple[str, ...], list[Message]] = defaultdict(list)
    for message in project.messages:
        if message.id in chosen and len(message.text) < LONGEST_EXAMPLE:
            pool[answers[message.id].asks].append(message)
    rng = random.Random(settings.seed)  # noqa: S311 - a draw, not a secret
    queues = []
    for asks in sorted(pool, key=lambda asks: (len(asks), asks)):
        usable = [m for m in pool[asks] if not addresses_labeller(m, settings.task)]
        queues.append([(m, answers[m.id]) for m in rng.sample(usable, min(8, len(usable)))])
    found = [
        LabelledMessage(m.id, m.text, m.subject, asks=a.asks, primary=a.primary, targets=a.targets)
        for m, a in _in_turn(queues)
    ]
    return found[: settings.llm.examples]


def _held_out(label_dir: Path) -> set[str]:
    files = [label_dir / f"{name}.parquet" for name in ("validation", "test")]
    return {m.id for f in files if f.exists() for m in read_records(f, LabelledMessage)}


def _in_turn(queues: Sequence[list[Any]]) -> Iterator[Any]:
    for i in range(max((len(q) for q in queues), default=0)):
        yield from (queue[i] for queue in queues if i < len(queue))
