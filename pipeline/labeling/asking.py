"""Asking a language model about one message.

It is asked again where its answer cannot be used, and twice where the message seems to speak to
the labeller: with the suspicious words and without.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from pipeline.labeling.endpoint import Endpoint, Usage
from pipeline.labeling.examples import few_shots
from pipeline.labeling.project import Project
from pipeline.labeling.prompt import (
    Chat,
    Reply,
    addresses_labeller,
    chat,
    read_reply,
    without_tricks,
)
from pipeline.records import Message
from pipeline.settings import Task

ATTEMPTS = 3
"""How often an answer that cannot be read is asked for again."""


@dataclass(frozen=True)
class Found:
    """What asking about one message gave: replies with and without suspicious words, or why not."""

    reply: Reply | None
    calm: Reply | None
    """The reply to the message without its suspicious words; None where there are none."""
    usage: Usage
    cached: bool
    problem: str = ""


class Asker:
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

    def ask(self, message: Message) -> Found:
        """Ask about a message, and again without its suspicious words where it has some."""
        try:
            reply, usage = self._ask(self._chat(message))
            if not addresses_labeller(message, self._task):
                return Found(reply, None, usage, cached=False)
            calm = replace(message, text=without_tricks(message, self._task))
            second, more = self._ask(self._chat(calm))
            return Found(reply, second, usage + more, cached=False)
        except ValueError as error:
            return Found(None, None, Usage(), cached=False, problem=str(error))

    def read(self, message: Message, known: Mapping[str, Any]) -> Found:
        """What the cache has kept of an answer."""
        calm = known["calm"]
        return Found(_reply(known["reply"]), _reply(calm) if calm else None, Usage(), cached=True)

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


def kept(found: Found) -> dict[str, Any]:
    """What the cache keeps of an answer; `Asker.read` reads it back."""
    return {
        "reply": vars(found.reply) if found.reply else None,
        "calm": vars(found.calm) if found.calm else None,
    }


def _reply(row: Mapping[str, Any]) -> Reply:
    return Reply(**{**row, "asks": tuple(row["asks"])})
