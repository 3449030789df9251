"""Varying the training messages so that the model learns the ask and not its surroundings.

Written messages are tidy and mostly ask; real mail is untidy and mostly does not. A model that sees
both learns that what looks like real mail asks for nothing. So asks are carried over into mail that
made none, and cut out of mail that made one; a few sentences are shown alone, with the ask among
them and without; who the writer says they are to the reader, how they greet and sign, and how the
text is typed are varied with the labels left alone (counterfactual data augmentation: Kaushik, Hovy
and Lipton, ICLR 2020; Garg et al., AIES 2019).
"""

from __future__ import annotations

import json
import random
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from importlib import resources
from pathlib import Path

import yaml

from pipeline.errors import DataError
from pipeline.inference.sentences import sentence_places
from pipeline.records import NONE, LabelledMessage
from pipeline.settings import Augment, Task
from pipeline.store import numbered_lines
from pipeline.training.balance import origin

Evidence = Mapping[str, Mapping[str, str]]
"""Message id to ask to the verbatim passage that makes it."""

_LONGEST_HOST = 1500
"""Characters of mail that takes up an ask; in a longer one it could fall to truncation."""
_MOST_HOSTS = 2000
"""Messages of each origin that are kept at hand to take up an ask."""
_SHORTEST_REST = 8
"""Words that must be left of a message when its asks are cut out."""
_CUT_TARGET = 0.1
"""What is left of a target when its passage is gone: the rest may still hint at it."""
_WITH_SILENCE = ("carried_over", "cut_out", "silent_crops")
"""The variations that begin or end with a message that asks for nothing."""
_LONGEST_CROP = 3
"""Sentences of a crop, at most."""
GREETING = re.compile(
    r"^\s*(?:hi|hello|hey|dear|hiya|greetings|good (?:morning|afternoon|evening))\b[^\n,!.]{0,40}"
    r"(?:[,!.][ \t]*|\n|$)",
    re.IGNORECASE,
)
SIGN_OFF = re.compile(r"\n\s*(?:[-–—]\s*)?[A-Z][\w'’.-]*(?: [A-Z][\w'’.-]*){0,2}[.,]?\s*$")


def read_evidence(files: Sequence[Path], task: Task) -> dict[str, dict[str, str]]:
    """The passages that make the asks, from JSON Lines of ``{"message": …, "evidence": {…}}``.

    Raises:
        DataError: a line is something else, or names a label the task does not have.
    """
    found: dict[str, dict[str, str]] = {}
    for place, line in numbered_lines(files):
        try:
            entry = json.loads(line)
            message, passages = str(entry["message"]), dict(entry["evidence"])
        except (ValueError, KeyError, TypeError):
            raise DataError(
                f'{place}: expected {{"message": ID, "evidence": {{LABEL: PASSAGE}}}}; mend the '
                "line or leave the file out of data.evidence."
            ) from None
        unknown = sorted(set(passages) - set(task.labels))
        if unknown:
            raise DataError(
                f"{place}: the task has no label {unknown[0]!r}; it has {', '.join(task.labels)}."
            )
        found[message] = passages
    return found


def augmented(
    messages: Callable[[], Iterable[LabelledMessage]],
    evidence: Evidence,
    settings: Augment,
    seed: int,
    multi_label: bool,
) -> Iterator[LabelledMessage]:
    """The training messages, some of them varied, each followed by what is newly made of it.

    In a single-label task `carried_over`, `cut_out` and `silent_crops` do nothing: every message
    has a label there, so no mail can take up an ask, and none is right once the ask is gone.

    Args:
        messages: gives the training split anew with every call; it is called twice.
        evidence: what `read_evidence` found; messages without any are neither cut nor carried over.
        settings: how much of each variation.
        seed: decides which messages are varied, and how.
        multi_label: whether a message may ask for nothing.
    """
    if not multi_label:
        settings = settings.model_copy(update=dict.fromkeys(_WITH_SILENCE, 0.0))
    rng = random.Random(seed)  # noqa: S311 - a draw, not a secret
    hosts = _hosts(messages(), rng) if settings.carried_over else {}
    for message in messages():
        yield _varied(message, settings, rng)
        asks = _ask_spans(message.text, evidence.get(message.id, {}))
        if set(asks) != set(message.asks):  # else a label would stay without its passage
            asks = {}
        if asks and rng.random() < settings.carried_over and (host := _host(message, hosts, rng)):
            yield _varied(_carried_over(message, list(asks.values()), host, rng), settings, rng)
        if asks and rng.random() < settings.cut_out and (rest := _cut_out(message, asks)):
            yield _varied(rest, settings, rng)
        if asks and rng.random() < settings.crops and (crop := _crop(message, asks.values(), rng)):
            yield crop
        silent = asks and rng.random() < settings.silent_crops
        if silent and (crop := _silent_crop(message, asks, rng)):
            yield crop


def _varied(message: LabelledMessage, settings: Augment, rng: random.Random) -> LabelledMessage:
    text, subject = message.text, message.subject
    if rng.random() < settings.people:
        text = _other_people(text, rng)
    if subject and rng.random() < settings.no_subject:
        subject = ""
    if rng.random() < settings.noise:
        subject, text = _retyped(subject, text, rng)
    return replace(message, text=text, subject=subject)


# --- asks carried over and cut out ---------------------------------------------------------------


def _ask_spans(text: str, passages: Mapping[str, str]) -> dict[str, tuple[int, int]]:
    """Per ask the whole sentences that hold its passage; empty if one cannot be found."""
    sentences = sentence_places(text) if passages else []
    found = {}
    for ask, passage in passages.items():
        start = text.find(passage)
        inside = [(a, b) for a, b in sentences if a < start + len(passage) and b > start]
        if start < 0 or not inside:
            return {}
        found[ask] = (inside[0][0], inside[-1][1])
    return found


def _hosts(
    messages: Iterable[LabelledMessage], rng: random.Random
) -> dict[str, list[LabelledMessage]]:
    """By origin some messages that ask nothing: a reservoir sample, so that memory is bounded."""
    hosts: dict[str, list[LabelledMessage]] = defaultdict(list)
    seen: Counter[str] = Counter()
    for message in messages:
        if message.asks or len(message.text) > _LONGEST_HOST:
            continue
        name = origin(message)
        seen[name] += 1
        if len(hosts[name]) < _MOST_HOSTS:
            hosts[name].append(message)
        elif (place := rng.randrange(seen[name])) < _MOST_HOSTS:
            hosts[name][place] = message
    return hosts


def _host(
    message: LabelledMessage, hosts: Mapping[str, Sequence[LabelledMessage]], rng: random.Random
) -> LabelledMessage | None:
    """A message that asks nothing, from where the asking one does not come from if there is any."""
    elsewhere = [h for name, some in hosts.items() if name != origin(message) for h in some]
    choices = elsewhere or hosts.get(origin(message), ())
    return rng.choice(choices) if choices else None


def _carried_over(
    message: LabelledMessage,
    asks: Sequence[tuple[int, int]],
    host: LabelledMessage,
    rng: random.Random,
) -> LabelledMessage:
    """The host's mail with the message's asks somewhere between its sentences."""
    passages = " ".join(message.text[a:b].strip() for a, b in sorted(set(asks)))
    starts = [start for start, _ in sentence_places(host.text)] + [len(host.text)]
    place = rng.choice(starts)
    gap = rng.choice([" ", " ", "\n", "\n\n"])
    text = f"{host.text[:place]}{gap}{passages}{gap}{host.text[place:]}".strip()
    return replace(
        host,
        id=f"{host.id}+{message.id}",
        text=text,
        asks=message.asks,
        primary=message.primary,
        targets=message.targets,
    )


def _cut_out(
    message: LabelledMessage, asks: Mapping[str, tuple[int, int]]
) -> LabelledMessage | None:
    """The message without the sentences that ask, or None if too little is left."""
    kept, place = [], 0
    for start, end in sorted(asks.values()):
        kept.append(message.text[place : max(start, place)])
        place = max(place, end)
    text = re.sub(r"[ \t]+", " ", "".join([*kept, message.text[place:]])).strip()
    if len(text.split()) < _SHORTEST_REST:
        return None
    return replace(_silenced(message, text), subject=message.subject)


def _crop(
    message: LabelledMessage, asks: Collection[tuple[int, int]], rng: random.Random
) -> LabelledMessage | None:
    """A few sentences in a row that hold all asks, or None where these stand too far apart."""
    first, last = min(start for start, _ in asks), max(end for _, end in asks)
    sentences = sentence_places(message.text)
    inside = [i for i, (a, b) in enumerate(sentences) if a < last and b > first]
    if not inside or (spare := _LONGEST_CROP - len(inside)) < 0:
        return None
    before = rng.randint(0, spare)
    after = rng.randint(0, spare - before)
    place = slice(max(0, inside[0] - before), inside[-1] + 1 + after)
    return replace(
        message, id=f"{message.id}[asks]", subject="", text=_joined(message.text, sentences[place])
    )


def _silent_crop(
    message: LabelledMessage, asks: Mapping[str, tuple[int, int]], rng: random.Random
) -> LabelledMessage | None:
    """A few sentences in a row without an ask, or None where there are none."""
    sentences = sentence_places(message.text)
    silent = [not any(a < end and b > start for a, b in asks.values()) for start, end in sentences]
    starts = [i for i, is_so in enumerate(silent) if is_so]
    if not starts:
        return None
    start = rng.choice(starts)
    size = rng.randint(1, _LONGEST_CROP)
    end = next((i for i in range(start, len(silent)) if not silent[i]), len(silent))
    return _silenced(message, _joined(message.text, sentences[start : min(start + size, end)]))


def _silenced(message: LabelledMessage, text: str) -> LabelledMessage:
    """The message without its asks, its text being what is left of it."""
    targets = tuple(_CUT_TARGET * target for target in message.targets)
    return replace(
        message,
        id=f"{message.id}-asks",
        subject="",
        text=text,
        asks=(),
        primary=NONE,
        targets=targets,
    )


def _joined(text: str, sentences: Sequence[tuple[int, int]]) -> str:
    return text[sentences[0][0] : sentences[-1][1]]


# --- what must not matter ------------------------------------------------------------------------


@cache
def _people() -> dict[str, list[str]]:
    file = resources.files("pipeline.training").joinpath("data", "invariance.yaml")
    content: dict[str, list[str]] = yaml.safe_load(file.read_text("utf-8"))
    return content


def _other_people(text: str, rng: random.Random) -> str:
    """Another greeting, another name below, a line on who the writer is to the reader."""
    people = _people()
    greeting = GREETING.match(text)
    opening, body = (text[: greeting.end()], text[greeting.end() :]) if greeting else ("", text)
    if rng.random() < 0.4:
        opening = f"{rng.choice(people['greetings'])}{rng.choice([',', ',', '!', ''])}\n"
    if rng.random() < 0.6:
        said = rng.choice(people["ties"] if rng.random() < 0.7 else people["strangers"])
        places = [0] if rng.random() < 0.6 else [start for start, _ in sentence_places(body)] or [0]
        place = rng.choice(places)
        body = f"{body[:place]}{said} {body[place:].lstrip()}"
    if opening and not opening.endswith(("\n", " ")):
        opening += " "
    if rng.random() < 0.4:
        end = SIGN_OFF.search(body)
        body = f"{body[: end.start()] if end else body.rstrip()}\n{rng.choice(people['names'])}"
    return opening + body


def _retyped(subject: str, text: str, rng: random.Random) -> tuple[str, str]:
    how = rng.choice([_tokenised, _lower, _lower, _unpunctuated, _one_line, _mistyped])
    return (subject if how is _mistyped else how(subject, rng)), how(text, rng)


def _tokenised(text: str, rng: random.Random) -> str:
    """As old mail archives have it: lower case, every mark a word of its own."""
    return " ".join(re.sub(r"([^\w\s])", r" \1 ", text.lower()).split())


def _lower(text: str, rng: random.Random) -> str:
    return text.lower()


def _unpunctuated(text: str, rng: random.Random) -> str:
    return re.sub(r"[.,!?;:]", "", text)


def _one_line(text: str, rng: random.Random) -> str:
    return " ".join(text.split())


def _mistyped(text: str, rng: random.Random) -> str:
    """Two letters change places in every fifteenth word or so."""
    words = text.split(" ")
    for i in rng.sample(range(len(words)), max(1, len(words) // 15)):
        if len(word := words[i]) > 3:
            j = rng.randrange(len(word) - 1)
            words[i] = word[:j] + word[j + 1] + word[j] + word[j + 2 :]
    return " ".join(words)
