"""From what several annotators say of a message to one answer, keeping how much they agreed."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from pipeline.labeling.log import latest
from pipeline.records import NONE, Annotation
from pipeline.settings import Task

MACHINES = frozenset({"rule", "llm", "model"})
"""Roles that are no people."""

GOLD = "gold"
RULES = "rules"
"""The annotator that all rules together are."""

Method = Literal["majority", "dawid_skene", "mace"]
Machines = Literal["where_alone", "always", "never"]
Ballots = Mapping[str, Sequence[Annotation]]


@dataclass(frozen=True)
class Resolved:
    """What the annotations of one message amount to."""

    asks: tuple[str, ...]
    primary: str
    targets: tuple[float, ...]
    """Per label, in task order: the share of annotators who found that ask, or its probability."""
    annotators: int


def resolve(
    annotations: Iterable[Annotation],
    task: Task,
    method: Method = "majority",
    machines: Machines = "where_alone",
) -> dict[str, Resolved]:
    """Resolve the annotations of each message; messages without a vote are left out.

    Args:
        annotations: the whole log, in any order.
        task: names the labels.
        method: by majority (`by_majority`), or by a model of the annotators
            (`pipeline.labeling.crowd`), in which gold still overrides.
        machines: when rules and models have a say, as in `ballots`.
    """
    cast = ballots(annotations, task, machines)
    majority = {message: _resolve(votes, task) for message, votes in cast.items()}
    if method == "majority":
        return majority
    from pipeline.labeling.crowd import by_model

    gold = {m: majority[m] for m, votes in cast.items() if votes[0].role == GOLD}
    return by_model(cast, task, method) | gold


def by_majority(annotations: Iterable[Annotation], task: Task) -> dict[str, Resolved]:
    """Resolve each message by the majority of its annotators; those who abstained do not count.

    Where a `gold` annotation exists only gold counts. Ties go to the side with more annotators
    who were sure, then to the ask (rather than its absence) and to the first in label order.
    Each annotator has one vote, its standing answer (`pipeline.labeling.log.latest`).
    """
    return resolve(annotations, task)


def judged_by_people(annotations: Iterable[Annotation]) -> set[str]:
    """The messages on which a person's answer stands."""
    return {
        annotation.message
        for annotation in latest(annotations)
        if annotation.asks is not None and annotation.role not in MACHINES
    }


def ballots(
    annotations: Iterable[Annotation], task: Task, machines: Machines = "where_alone"
) -> dict[str, list[Annotation]]:
    """The votes that count, by message: gold alone where there is gold, and one for all rules.

    A rule looks for one thing and says nothing of the others, so rules do not vote one by one:
    all of a message's rules are one annotator (`vote_of_rules`).

    Args:
        annotations: the whole log, in any order.
        task: names the labels.
        machines: "where_alone" lets rules and models vote only where no person did, "always" lets
            them vote beside people, "never" leaves them out.
    """
    standing: dict[str, list[Annotation]] = defaultdict(list)
    for annotation in latest(annotations):
        if annotation.asks is not None:
            standing[annotation.message].append(annotation)
    cast = {message: _counting(votes, task, machines) for message, votes in standing.items()}
    return {message: votes for message, votes in cast.items() if votes}


def _counting(votes: list[Annotation], task: Task, machines: Machines) -> list[Annotation]:
    gold = [vote for vote in votes if vote.role == GOLD]
    people = [vote for vote in votes if vote.role not in MACHINES]
    if gold or machines == "never" or (people and machines == "where_alone"):
        return gold or people
    rules = [vote for vote in votes if vote.role == "rule"]
    others = [vote for vote in votes if vote.role != "rule"]
    return [*others, vote_of_rules(rules, task)] if rules else others


def vote_of_rules(rules: Sequence[Annotation], task: Task) -> Annotation:
    """What the rules that spoke on one message say together.

    Every ask that a rule found is there, unless more rules say "none of them". The primary is
    what most rules found, the first in label order on a tie.
    """
    found = Counter(ask for vote in rules for ask in vote.asks or ())
    against = sum(vote.asks == () for vote in rules)
    if task.multi_label and against > found.total():
        found.clear()
    asks = tuple(label for label in task.labels if found[label])
    primary = max(asks, key=lambda label: found[label], default=NONE)
    if not task.multi_label:
        asks = (primary,)
    unanimous = not (found and against)
    return replace(rules[0], annotator=RULES, asks=asks, primary=primary, sure=unanimous)


def _resolve(cast: Sequence[Annotation], task: Task) -> Resolved:
    found = [[label in (vote.asks or ()) for vote in cast] for label in task.labels]
    targets = tuple(sum(hits) / len(cast) for hits in found)
    primary = _primary(cast, task)
    if primary == NONE:
        asks: tuple[str, ...] = ()
    else:
        asks = tuple(
            label
            for label, hits in zip(task.labels, found, strict=True)
            if label == primary or (task.multi_label and _carried(hits, cast))
        )
    return Resolved(asks, primary, targets, len(cast))


def _carried(hits: Sequence[bool], cast: Sequence[Annotation]) -> bool:
    lead = 2 * sum(hits) - len(hits)
    sure = sum((1 if hit else -1) for hit, vote in zip(hits, cast, strict=True) if vote.sure)
    return lead > 0 or (lead == 0 and sure >= 0)


def _primary(cast: Sequence[Annotation], task: Task) -> str:
    order = (*task.labels, NONE)
    votes: dict[str, tuple[int, int, int]] = {}
    for i, label in enumerate(order):
        mine = [vote for vote in cast if vote.primary == label]
        votes[label] = (len(mine), sum(vote.sure for vote in mine), -i)
    return max(order, key=lambda label: votes[label])
