"""What happens to a message between its file and the model: the same in training and prediction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from pipeline.ingestion.clean import clean_text
from pipeline.ingestion.redact import names_out, redact
from pipeline.records import Message


class Cleaning(Protocol):
    """`pipeline.settings.Cleaning`, or what a model folder remembers of it."""

    @property
    def own_words(self) -> bool:
        """Whether quoted mail, signatures and footers go."""

    @property
    def redact(self) -> Sequence[str]:
        """The kinds of private data that become placeholders."""

    @property
    def names(self) -> bool:
        """Whether people's names do too."""


def prepare(message: Message, cleaning: Cleaning) -> Message:
    """The message as the model may see it: the sender's own words, private data replaced.

    Where that changes the text, `extra` keeps it as it was under "original", and what was taken out
    of it under "removed" (see `pipeline.ingestion.clean.Cleaned`). Preparing twice is as preparing
    once.

    Args:
        message: as a reader gave it.
        cleaning: `settings.ingest.cleaning` in training; in prediction, what the model folder says.

    Raises:
        InputError: names are to be replaced and the extra for it is not installed.
    """
    text = message.text
    removed: tuple[str, ...] = ()
    if cleaning.own_words:
        cleaned = clean_text(text)
        text, removed = cleaned.text, cleaned.removed
    text = _redacted(text, cleaning)
    subject = _redacted(message.subject, cleaning)
    if text == message.text and subject == message.subject:
        return message
    extra = dict(message.extra)
    if text.strip() != message.text.strip():
        extra["original"] = message.text
        extra["removed"] = list(removed)
    return replace(message, text=text, subject=subject, extra=extra)


def _redacted(text: str, cleaning: Cleaning) -> str:
    text = redact(text, cleaning.redact)
    return names_out(text) if cleaning.names and text else text
