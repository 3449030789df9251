"""One endpoint that speaks the OpenAI protocol: requests, their pace, and what they cost."""

from __future__ import annotations

import os
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipeline.errors import InputError
from pipeline.labeling.prompt import Chat, schema
from pipeline.settings import Llm, Task

if TYPE_CHECKING:
    from openai import OpenAI

_MODES = ("json_schema", "json_object", "text")
"""How an answer is held to its shape, the strictest first."""

CHARACTERS_A_TOKEN = 3.5
"""For the estimate only; English prose has about four, codebooks and JSON fewer."""


@dataclass(frozen=True)
class Usage:
    """Tokens read and written, and requests that took them."""

    input_tokens: int = 0
    output_tokens: int = 0
    requests: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.requests + other.requests,
        )

    def cost(self, settings: Llm) -> float | None:
        """What that costs, in the currency of the settings' prices; None where they are unknown."""
        if settings.input_price is None or settings.output_price is None:
            return None
        return (
            self.input_tokens * settings.input_price + self.output_tokens * settings.output_price
        ) / 1e6


class Endpoint:
    """Sends conversations; several threads may share one.

    Failures that pass (too many requests, a server in trouble, a dropped line) are sent again by
    the `openai` client, waiting longer each time or as long as the server says.
    """

    def __init__(self, settings: Llm, task: Task) -> None:
        """Prepare a client; nothing is sent yet.

        Raises:
            InputError: no model is named, or a hosted service lacks its key.
        """
        import openai

        if not settings.model:
            raise InputError("llm.model: name the model that the endpoint serves.")
        key = os.environ.get(settings.api_key_env, "")
        if not key and "://api." in settings.base_url:
            raise InputError(
                f"{settings.base_url} wants a key: put it into the environment variable "
                f"{settings.api_key_env}, or name another one in llm.api_key_env."
            )
        self._openai = openai
        self._client: OpenAI = openai.OpenAI(
            base_url=settings.base_url,
            api_key=key or "none",
            max_retries=settings.retries,
            timeout=settings.timeout,
        )
        self._settings, self._task = settings, task
        self._mode: str = "json_schema" if settings.structured == "auto" else settings.structured
        self._proven = False
        self._lock = threading.Lock()
        self._next = 0.0

    def ask(self, said: Chat) -> tuple[str, Usage]:
        """The model's answer to a conversation, and what it took.

        Raises:
            InputError: the endpoint cannot be reached, refuses the key or knows no such model;
                asking on would be no use.
            ValueError: this one conversation got no answer.
        """
        openai = self._openai
        while True:
            mode = self._mode
            self._wait()
            try:
                reply = self._client.chat.completions.create(
                    model=self._settings.model,
                    messages=said,  # type: ignore[arg-type]
                    temperature=self._settings.temperature,
                    max_tokens=self._settings.max_output_tokens,
                    **self._shape(mode),
                )
            except (openai.BadRequestError, openai.UnprocessableEntityError) as error:
                if not self._loosen(mode):
                    raise ValueError(f"refused ({error.status_code})") from None
            except (openai.AuthenticationError, openai.PermissionDeniedError):
                raise InputError(
                    f"{self._settings.base_url} refuses the key in {self._settings.api_key_env}."
                ) from None
            except openai.NotFoundError:
                raise InputError(
                    f"{self._settings.base_url} knows no model {self._settings.model!r}, or is not "
                    "the address of an OpenAI-compatible endpoint (most end in /v1)."
                ) from None
            except openai.APIConnectionError as error:
                raise InputError(
                    f"{self._settings.base_url} cannot be reached ({type(error).__name__}, after "
                    f"{self._settings.retries + 1} tries). Is the server running?"
                ) from None
            except openai.APIStatusError as error:
                # A server that does not know the mode may call that its own failure, as
                # llama.cpp's does.
                if self._proven or not self._loosen(mode):
                    raise ValueError(f"failed ({error.status_code})") from None
            else:
                self._proven = True
                return self._read(reply)

    def _read(self, reply: Any) -> tuple[str, Usage]:
        used = reply.usage
        usage = Usage(used.prompt_tokens, used.completion_tokens, 1) if used else Usage(requests=1)
        content = reply.choices[0].message.content if reply.choices else None
        return content or "", usage

    def _shape(self, mode: str) -> dict[str, Any]:
        wanted = schema(self._task)
        if mode == "json_schema":
            form = {"name": "label", "strict": True, "schema": wanted}
            return {"response_format": {"type": mode, "json_schema": form}}
        if mode == "json_object":  # llama.cpp's Python server takes the schema here
            return {"response_format": {"type": mode, "schema": wanted}}
        return {}

    def _loosen(self, refused: str) -> bool:
        """Fall back to the next looser mode, if settings leave the choice; False at the end."""
        with self._lock:
            if self._settings.structured != "auto" or refused == _MODES[-1]:
                return False
            if self._mode == refused:  # another thread may have been here already
                self._mode = _MODES[_MODES.index(refused) + 1]
            return True

    def _wait(self) -> None:
        """Keep to the number of requests a minute."""
        if not self._settings.requests_per_minute:
            return
        with self._lock:
            start = max(self._next, time.monotonic())
            self._next = start + 60 / self._settings.requests_per_minute
        time.sleep(max(0.0, start - time.monotonic()))
