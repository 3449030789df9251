"""A language model as annotator: which messages it is asked about, and what goes into the log."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Any

from pipeline.errors import DataError
from pipeline.labeling.answers import Answers
from pipeline.labeling.asking import Asker, Found, kept
from pipeline.labeling.endpoint import CHARACTERS_A_TOKEN, Endpoint, Usage
from pipeline.labeling.examples import few_shots
from pipeline.labeling.log import append, latest, now
from pipeline.labeling.project import Project
from pipeline.labeling.prompt import characters, chat
from pipeline.progress import SILENT, Progress
from pipeline.records import Annotation, Message
from pipeline.settings import Llm

ANSWER_TOKENS = 45
"""Tokens of a typical answer, for the estimate."""

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
    asker = Asker(project, Endpoint(settings, project.settings.task))
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


def _answered(
    asker: Asker,
    messages: Sequence[Message],
    answers: Answers,
    pool: ThreadPoolExecutor,
    settings: Llm,
) -> Iterator[tuple[Message, Found]]:
    """Every message with what asking gave, as answers come in; the cache is asked first."""
    running: dict[Future[Found], tuple[Message, Any]] = {}
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
    running: dict[Future[Found], tuple[Message, Any]], answers: Answers
) -> Iterator[tuple[Message, Found]]:
    for future in wait(running, return_when=FIRST_COMPLETED).done:
        message, request = running.pop(future)
        found = future.result()
        if found.reply is not None:
            answers.put(request, kept(found))
        yield message, found


def _take(run: LlmRun, project: Project, message: Message, found: Found) -> None:
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
