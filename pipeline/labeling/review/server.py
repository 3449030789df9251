"""From a project to a running review page."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from pathlib import Path

from pipeline.errors import DataError
from pipeline.labeling.codebook import outdated_in_words
from pipeline.labeling.lists import items_of
from pipeline.labeling.log import latest, moment
from pipeline.labeling.project import Project
from pipeline.labeling.resolve import MACHINES
from pipeline.labeling.review.app import create_app
from pipeline.labeling.review.pages import Suggest
from pipeline.labeling.review.session import Plan, Session
from pipeline.progress import SILENT, Progress
from pipeline.records import Annotation, Message, render
from pipeline.web import LOCAL, hosts_of, listen


def review(
    project: Project,
    *,
    messages: Path | None = None,
    outdated: bool = False,
    overlap: float = 0.2,
    readers: int = 2,
    gold: bool = False,
    model: Path | None = None,
    host: str = LOCAL[0],
    port: int = 8765,
    progress: Progress = SILENT,
) -> None:
    """Serve the review page until it is stopped; answers go to the project's log as they come.

    Args:
        project: what there is to label.
        messages: a list that `outreach label next`, `issues` or `agreement` wrote: these messages,
            in this order, asked again even where somebody has answered before.
        outdated: the messages whose answers are older than the codebook, asked again.
        overlap: share of the messages that several people label.
        readers: how many people label each of those.
        gold: whether answers are gold, which overrides everybody else's.
        model: a model folder, for suggestions beside those of rules and language models.
        host: the address to serve at. Any but a local one asks visitors for a token.
        port: the port to serve at.
        progress: is told the address.

    Raises:
        InputError: the list cannot be read, or the address is in use.
        DataError: there is nothing to label.
    """
    session = open_session(
        project,
        messages=messages,
        outdated=outdated,
        overlap=overlap,
        readers=readers,
        gold=gold,
        progress=progress,
    )
    token = "" if host in LOCAL else secrets.token_urlsafe(18)
    suggest = suggestions(project, model)
    app = create_app(session, suggest=suggest, token=token, hosts=hosts_of(host))
    server, listening = listen(app, host, port)
    query = f"?token={token}" if token else ""
    older = "" if outdated else outdated_in_words(project.annotations, project.codebook)
    if older:
        progress.note(older)
    progress.note(f"{len(session.plan.order)} messages to label at http://{host}:{port}/{query}")
    progress.note(f"Answers go to {project.settings.log}. Stop with Ctrl-C; nothing is lost.")
    server.run(sockets=[listening])


def open_session(
    project: Project,
    *,
    messages: Path | None = None,
    outdated: bool = False,
    overlap: float = 0.2,
    readers: int = 2,
    gold: bool = False,
    progress: Progress = SILENT,
) -> Session:
    """The session behind `review`, with the same arguments and errors."""
    plan = _plan(project, messages, outdated, overlap, readers, gold, progress)
    if not plan.order:
        raise DataError(
            "Nothing is left to label: people have answered every message. Take a list "
            "(`outreach label next`, `issues`) or --outdated to look at some of them again."
        )
    return Session(
        project.messages,
        project.annotations,
        task=project.settings.task,
        codebook=project.codebook,
        log=project.settings.log,
        plan=plan,
    )


def _plan(
    project: Project,
    messages: Path | None,
    outdated: bool,
    overlap: float,
    readers: int,
    gold: bool,
    progress: Progress,
) -> Plan:
    role = "gold" if gold else "reader"
    seed = project.settings.seed
    version = project.codebook.version
    people = [
        a for a in latest(project.annotations) if a.role not in MACHINES and a.asks is not None
    ]
    if messages is not None:
        items = items_of(messages, project.by_id, progress)
        order = list(dict.fromkeys(item.message for item in items))
        made = max((moment(item.made) for item in items), default=0.0)
        return Plan(order, overlap, readers, lambda a: moment(a.time) >= made, role, seed)
    if outdated:
        old = dict.fromkeys(a.message for a in people if a.codebook not in ("", version))
        return Plan(list(old), 0.0, 1, lambda a: a.codebook in ("", version), role, seed)
    given: dict[str, set[str]] = {}
    for annotation in people:
        given.setdefault(annotation.message, set()).add(annotation.annotator)
    ours = {a.message for a in people if a.role == role and a.time}
    order = [m.id for m in project.messages if m.id not in given or m.id in ours]
    return Plan(order, overlap, readers, role=role, seed=seed)


def suggestions(project: Project, model: Path | None = None) -> Suggest | None:
    """What machines say of a message, in words; None where no machine has said anything."""
    given: dict[str, list[Annotation]] = {}
    for annotation in latest(project.annotations):
        if annotation.role in MACHINES and annotation.asks is not None:
            given.setdefault(annotation.message, []).append(annotation)
    classifier = None
    if model is not None:
        from pipeline.inference.classifier import load

        classifier = load(model)
    if not given and classifier is None:
        return None

    def suggest(message: Message) -> Sequence[tuple[str, str]]:
        found = [(a.annotator, _in_words(a.asks or ())) for a in given.get(message.id, ())]
        if classifier is not None:
            answer = classifier.predict([render(message.subject, message.text)])[0]
            scores = ", ".join(f"{k.replace('_', ' ')} {v:.0%}" for k, v in answer.scores.items())
            found.append(
                (f"model {classifier.folder.name}", f"{_in_words(answer.asks)} ({scores})")
            )
        return found

    return suggest


def _in_words(asks: Sequence[str]) -> str:
    return " and ".join(ask.replace("_", " ") for ask in asks) or "none of them"
