"""Labelling functions: plain Python functions with names, run over messages.

A rule looks for one thing. It returns the asks it found, an empty tuple for "this message asks for
none of them", or None where it has nothing to say. A rule that raises has failed, which is neither.
"""

from __future__ import annotations

import importlib.util
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import DataError, InputError
from pipeline.labeling.log import now
from pipeline.labeling.parse import annotation_from
from pipeline.labeling.resolve import GOLD, MACHINES, ballots, resolve
from pipeline.progress import SILENT, Progress, track
from pipeline.records import Annotation, Message
from pipeline.settings import Settings, Task

Vote = str | tuple[str, ...] | list[str] | None
Function = Callable[[Message], Vote]

PREFIX = "rule:"
SHIPPED = Path(__file__).with_name("shipped_rules.py")


@dataclass(frozen=True)
class Rule:
    """A labelling function and its name, which is its annotator's name too."""

    name: str
    function: Function

    @property
    def annotator(self) -> str:
        """Who the log says it was."""
        return PREFIX + self.name


def rule(function: Function) -> Rule:
    """Make a labelling function of a plain one; its name becomes the rule's name.

    >>> @rule
    ... def asks_for_an_introduction(message):
    ...     return "influence" if "introduce me" in message.text else None
    >>> asks_for_an_introduction.name
    'asks_for_an_introduction'
    """
    return Rule(function.__name__, function)


@dataclass(frozen=True)
class Outcome:
    """What rules said of messages, and where they failed."""

    annotations: list[Annotation]
    """One for each rule and message that it had something to say about."""
    failures: dict[str, Counter[str]]
    """Per rule that failed: what went wrong, and on how many messages."""


@dataclass(frozen=True)
class RuleReport:
    """One rule's row of the table. Shares are of all messages."""

    rule: str
    asks: tuple[str, ...]
    """What it ever votes for."""
    coverage: float
    """Share of the messages it votes on."""
    overlap: float
    """Share on which it and another rule vote."""
    conflict: float
    """Share on which another rule contradicts it: one says "none of them", the other an ask."""
    accuracy: float | None
    """Share of its votes that people agree with; None where no person annotated those messages."""
    compared: int
    """On how many messages that is."""
    failures: int


def load_rules(settings: Settings) -> list[Rule]:
    """The shipped rules and those in the user's files, as `label.rules` says.

    Raises:
        InputError: a file is missing, cannot be run, or has no rules.
        DataError: two rules have the same name, or there are none at all.
    """
    files = [SHIPPED] if settings.label.shipped_rules else []
    found = [one for path in (*files, *settings.label.rules) for one in _rules_in(path)]
    twice = [name for name, count in Counter(one.name for one in found).items() if count > 1]
    if twice:
        raise DataError(f"More than one rule is called {', '.join(twice)}; give each its own name.")
    if not found:
        raise DataError("There are no rules: set label.rules to files, or label.shipped_rules.")
    return found


def _rules_in(path: Path) -> list[Rule]:
    spec = importlib.util.spec_from_file_location(f"outreach_rules_{path.stem}", path)
    if spec is None or spec.loader is None or not path.is_file():
        raise InputError(f"{path}: no Python file with rules is there.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise InputError(f"{path}: cannot be run ({type(error).__name__}: {error}).") from error
    found = [value for value in vars(module).values() if isinstance(value, Rule)]
    if not found:
        raise InputError(
            f"{path}: has no rules. Put `from pipeline.labeling.rules import rule` at its top and "
            "@rule, without parentheses, above each function."
        )
    return found


def apply_rules(
    rules: Iterable[Rule],
    messages: Sequence[Message],
    task: Task,
    *,
    codebook: str = "",
    progress: Progress = SILENT,
) -> Outcome:
    """Run every rule over every message.

    A rule that raises, or votes for a label the task does not have, has failed on that message;
    the others go on, and the failures are counted. What it raised is named by its kind only, since
    its text may quote the message.
    """
    annotations: list[Annotation] = []
    failures: dict[str, Counter[str]] = defaultdict(Counter)
    time = now()
    rules = list(rules)
    for message in track(messages, "rules", len(messages), progress):
        for one in rules:
            try:
                vote = one.function(message)
                if vote is None:
                    continue
                asks = [vote] if isinstance(vote, str) else list(vote)
                row = {"message": message.id, "annotator": one.annotator, "asks": asks}
                extra = {"role": "rule", "time": time, "codebook": codebook}
                annotations.append(annotation_from(row | extra, task))
            except Exception as error:  # noqa: BLE001 - anything a user's function may raise
                failures[one.name][type(error).__name__] += 1
    return Outcome(annotations, dict(failures))


def fresh(outcome: Outcome, standing: Iterable[Annotation]) -> list[Annotation]:
    """What of an outcome the log does not say yet, with withdrawals of what is no longer so.

    Running the same rules on the same messages twice adds nothing.
    """
    new = {(a.message, a.annotator): a for a in outcome.annotations}
    old = {(a.message, a.annotator): a for a in standing if a.role == "rule"}
    changed = [a for key, a in new.items() if key not in old or old[key].asks != a.asks]
    ran = {a.annotator for a in outcome.annotations}
    gone = [
        Annotation(a.message, a.annotator, None, role="rule", time=now(), codebook=a.codebook)
        for key, a in old.items()
        if a.annotator in ran and a.asks is not None and key not in new
    ]
    return [*changed, *gone]


def report(
    rules: Sequence[Rule],
    outcome: Outcome,
    annotations: Iterable[Annotation],
    messages: int,
    task: Task,
) -> list[RuleReport]:
    """The table of rules, in their order.

    A vote agrees with people if every ask it names is among theirs, or if it says "none of them"
    and so do they. People are those of `annotations` whose role is no machine's.

    Args:
        rules: the rules that ran.
        outcome: what they said.
        annotations: the log, for what people say.
        messages: how many messages the rules ran over.
        task: names the labels.
    """
    people = resolve((a for a in annotations if a.role not in MACHINES), task)
    by_message: dict[str, list[Annotation]] = defaultdict(list)
    by_rule: dict[str, list[Annotation]] = defaultdict(list)
    for vote in outcome.annotations:
        by_message[vote.message].append(vote)
        by_rule[vote.annotator].append(vote)
    rows = []
    for one in rules:
        votes = by_rule[one.annotator]
        others = [[o for o in by_message[v.message] if o is not v] for v in votes]
        conflicts = sum(
            any(_contradicts(vote, other, task) for other in rest)
            for vote, rest in zip(votes, others, strict=True)
        )
        judged = [vote for vote in votes if vote.message in people]
        right = sum(_agrees(vote, people[vote.message].asks) for vote in judged)
        named = {ask for vote in votes for ask in vote.asks or ()}
        rows.append(
            RuleReport(
                one.name,
                tuple(label for label in task.labels if label in named),
                len(votes) / max(messages, 1),
                sum(bool(rest) for rest in others) / max(messages, 1),
                conflicts / max(messages, 1),
                right / len(judged) if judged else None,
                len(judged),
                outcome.failures.get(one.name, Counter()).total(),
            )
        )
    return rows


def together(
    outcome: Outcome, annotations: Iterable[Annotation], task: Task
) -> Mapping[str, float]:
    """How often all rules together are right where people have spoken, and what they cover.

    Returns:
        `covered` (messages with a vote), `compared`, `primary` and `asks` (shares of the compared
        messages on which the primary, or the whole set of asks, equals people's).
    """
    voted = ballots(outcome.annotations, task, "always")
    people = resolve((a for a in annotations if a.role not in MACHINES or a.role == GOLD), task)
    judged = [(votes[0], people[m]) for m, votes in voted.items() if m in people]
    count = max(len(judged), 1)
    return {
        "covered": len(voted),
        "compared": len(judged),
        "primary": sum(vote.primary == truth.primary for vote, truth in judged) / count,
        "asks": sum(vote.asks == truth.asks for vote, truth in judged) / count,
    }


def _contradicts(one: Annotation, other: Annotation, task: Task) -> bool:
    if task.multi_label:
        return (one.asks == ()) != (other.asks == ())
    return one.asks != other.asks


def _agrees(vote: Annotation, asks: Sequence[str]) -> bool:
    return set(vote.asks or ()) <= set(asks) if vote.asks else not asks
