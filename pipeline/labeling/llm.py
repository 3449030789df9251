"""A language model as annotator: which messages it is asked about, and what goes into the log."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pipeline.errors import DataError
from pipeline.labeling.answers import Answers
from pipeline.labeling.endpoint import CHARACTERS_A_TOKEN, Endpoint, Usage
from pipeline.labeling.log import append, latest, now
from pipeline.labeling.project import Project
from pipeline.labeling.prompt import (
    Chat,
    Reply,
    addresses_labeller,
    characters,
    chat,
    read_reply,
    without_tricks,
)
from pipeline.labeling.resolve import MACHINES, ballots, resolve
from pipeline.progress import SILENT, Progress
from pipeline.records import Annotation, LabelledMessage, Message
from pipeline.settings import Llm, Task
from pipeline.store import read_records

ANSWER_TOKENS = 45
"""Tokens of a typical answer, for the estimate."""

ATTEMPTS = 3
"""How often an answer that cannot be read is asked for again."""

SUSPICIOUS = "seems to address the labeller"


@dataclass
class LlmRun:
    """What a run did."""

    annotator: str
    labelled: int = 0
    from_cache: int = 0
    """Of those, answers that were already paid for."""
    suspicious: list[str] = field(default_factory=list)
    """Ids of messages that seem to address the labeller; people should look at them."""
    withheld: int = 0
    """Of those, messages whose answer changed without the suspicious words: an abstention."""
    failures: Counter[str] = field(default_factory=Counter)
    """Messages without an answer, by reason; the next run asks again."""
    usage: Usage = field(default_factory=Usage)
    """What this run sent and received; the cache costs nothing."""
    cost: float | None = None


@dataclass(frozen=True)
class Estimate:
    """What a run would take, before anything is sent."""

    messages: int
    usage: Usage
    cost: float | None


def annotator_of(settings: Llm) -> str:
    """Who the log says it was."""
    return f"llm:{settings.model}"


def to_ask(project: Project, limit: int | None = None, only: Iterable[str] = ()) -> list[Message]:
    """The messages that this model has not labelled yet under this codebook, in order.

    Args:
        project: messages and log.
        limit: at most so many.
        only: these messages; empty for all.
    """
    name, version = annotator_of(project.settings.llm), project.codebook.version
    done = {
        a.message
        for a in latest(project.annotations)
        if a.annotator == name and a.codebook == version
    }
    wanted = set(only)
    open_ = [m for m in project.messages if m.id not in done and (not wanted or m.id in wanted)]
    return open_[:limit]


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
        if message.id in chosen and len(message.text) < 800:
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


def estimate(project: Project, messages: Sequence[Message]) -> Estimate:
    """What labelling these messages would take at most; what is in the cache costs nothing more."""
    settings = project.settings.llm
    shots = few_shots(project)
    read = sum(
        characters(chat(m, project.settings.task, project.codebook, shots)) for m in messages
    )
    usage = Usage(round(read / CHARACTERS_A_TOKEN), ANSWER_TOKENS * len(messages), len(messages))
    return Estimate(len(messages), usage, usage.cost(settings))


def label_with_llm(
    project: Project, messages: Sequence[Message], *, progress: Progress = SILENT
) -> LlmRun:
    """Ask the model about messages and write each answer to the log as it comes.

    A run that is stopped goes on where it was: what is in the log is not asked again (`to_ask`),
    and what was answered but not logged is in the cache.

    Raises:
        InputError: the endpoint or the log cannot be used.
        DataError: the run would cost more than `llm.budget`.
    """
    settings = project.settings.llm
    expected = estimate(project, messages)
    if settings.budget is not None and (expected.cost or 0) > settings.budget:
        raise DataError(
            f"Labelling {len(messages)} messages may cost {expected.cost:.2f}, more than "
            f"llm.budget ({settings.budget:.2f}). Raise it, or take fewer with --limit."
        )
    run = LlmRun(annotator_of(settings))
    cache = project.settings.data.processed / project.settings.name / "llm" / "answers.sqlite"
    asker = _Asker(project, Endpoint(settings, project.settings.task))
    with (
        Answers(cache) as answers,
        progress.task(run.annotator, len(messages)) as task,
        ThreadPoolExecutor(settings.concurrency) as pool,
    ):
        try:
            for message, found in _answered(asker, messages, answers, pool, settings):
                _take(run, project, message, found)
                task.advance()
                if settings.budget is not None and (run.cost or 0) >= settings.budget:
                    progress.note("llm.budget is spent; the same command goes on with a new one.")
                    break
        finally:
            pool.shutdown(cancel_futures=True)
    return run


@dataclass(frozen=True)
class _Found:
    """What asking about one message gave: replies with and without suspicious words, or why not."""

    reply: Reply | None
    calm: Reply | None
    """The reply to the message without its suspicious words; None where there are none."""
    usage: Usage
    cached: bool
    problem: str = ""


def _answered(
    asker: _Asker,
    messages: Sequence[Message],
    answers: Answers,
    pool: ThreadPoolExecutor,
    settings: Llm,
) -> Iterator[tuple[Message, _Found]]:
    """Every message with what asking gave, as answers come in; the cache is asked first."""
    running: dict[Future[_Found], tuple[Message, Any]] = {}
    for message in messages:
        request = asker.request(message)
        known = answers.get(request)
        if known is not None:
            yield message, asker.read(message, known)
            continue
        running[pool.submit(asker.ask, message)] = (message, request)
        if len(running) >= 2 * settings.concurrency:
            yield from _finished(running, answers)
    while running:
        yield from _finished(running, answers)


def _finished(
    running: dict[Future[_Found], tuple[Message, Any]], answers: Answers
) -> Iterator[tuple[Message, _Found]]:
    for future in wait(running, return_when=FIRST_COMPLETED).done:
        message, request = running.pop(future)
        found = future.result()
        if found.reply is not None:
            answers.put(request, _kept(found))
        yield message, found


class _Asker:
    """Asks about one message at a time, from several threads."""

    def __init__(self, project: Project, endpoint: Endpoint) -> None:
        self._task: Task = project.settings.task
        self._codebook = project.codebook
        self._endpoint = endpoint
        self._settings = project.settings.llm
        self._shots = few_shots(project)

    def request(self, message: Message) -> Any:
        """All that an answer depends on."""
        settings = self._settings
        return {
            "url": settings.base_url,
            "model": settings.model,
            "temperature": settings.temperature,
            "structured": settings.structured,
            "chat": self._chat(message),
        }

    def ask(self, message: Message) -> _Found:
        """Ask about a message, and again without its suspicious words where it has some."""
        try:
            reply, usage = self._ask(self._chat(message))
            if not addresses_labeller(message, self._task):
                return _Found(reply, None, usage, cached=False)
            calm = replace(message, text=without_tricks(message, self._task))
            second, more = self._ask(self._chat(calm))
            return _Found(reply, second, usage + more, cached=False)
        except ValueError as error:
            return _Found(None, None, Usage(), cached=False, problem=str(error))

    def read(self, message: Message, known: Mapping[str, Any]) -> _Found:
        """What the cache has kept of an answer."""
        calm = known["calm"]
        return _Found(_reply(known["reply"]), _reply(calm) if calm else None, Usage(), cached=True)

    def _chat(self, message: Message) -> Chat:
        return chat(message, self._task, self._codebook, self._shots)

    def _ask(self, said: Chat) -> tuple[Reply, Usage]:
        usage = Usage()
        for _ in range(ATTEMPTS):
            content, used = self._endpoint.ask(said)
            usage += used
            try:
                return read_reply(content, self._task), usage
            except ValueError as error:
                problem = str(error)
                said = [
                    *said,
                    {"role": "assistant", "content": content},
                    {"role": "user", "content": f"That cannot be used: {problem}. Answer again."},
                ]
        raise ValueError("no usable answer")


def _kept(found: _Found) -> dict[str, Any]:
    return {
        "reply": vars(found.reply) if found.reply else None,
        "calm": vars(found.calm) if found.calm else None,
    }


def _reply(row: Mapping[str, Any]) -> Reply:
    return Reply(**{**row, "asks": tuple(row["asks"])})


def _take(run: LlmRun, project: Project, message: Message, found: _Found) -> None:
    """Write an answer to the log and count it."""
    run.usage += found.usage
    run.cost = run.usage.cost(project.settings.llm)
    reply = found.reply
    if reply is None:
        run.failures[found.problem] += 1
        return
    suspicious = reply.addresses_labeller or found.calm is not None
    withheld = found.calm is not None and found.calm.asks != reply.asks
    note = ""
    if suspicious:
        run.suspicious.append(message.id)
        note = SUSPICIOUS + ("; the answer changes without those words" if withheld else "")
    annotation = Annotation(
        message.id,
        run.annotator,
        None if withheld else reply.asks,
        None if withheld else reply.primary,
        role="llm",
        sure=not suspicious,
        confidence=reply.confidence,
        time=now(),
        codebook=project.codebook.version,
        note=note,
    )
    append(project.settings.log, [annotation])
    run.labelled += 1
    run.from_cache += found.cached
    run.withheld += withheld
