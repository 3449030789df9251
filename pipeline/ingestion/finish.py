"""What is done to each record after it was cut out of its file, in this process or in another.

Parse, keep only what was sent to the owner, clean and redact, hash the sender, note length and
language. Each record has a time limit, and whatever goes wrong with one is said of that one.
"""

from __future__ import annotations

import hmac
import signal
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from pipeline.errors import PipelineError
from pipeline.ingestion.finished import Finished, as_finished
from pipeline.ingestion.incoming import Incoming, Parsed, Record, Unparsed
from pipeline.ingestion.language import language_of
from pipeline.ingestion.prepare import prepare
from pipeline.records import Message, Rejection
from pipeline.settings import Cleaning

TIME_LIMIT = 10.0
"""Seconds that one record may take."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done, the same for every record of a run."""

    cleaning: Cleaning
    owners: frozenset[str] = frozenset()
    salt: bytes = b""
    similarity: float = 0.8
    """From which on messages are near-duplicates."""


class _TooSlowError(Exception):
    """A record took longer than its limit."""


def finish_all(records: Iterable[Record | Message], plan: Plan) -> Finished:
    """`finish` for a batch of records, and the tables of what came of them."""
    return as_finished((finish(record, plan) for record in records), plan.similarity)


def finish(record: Record | Message, plan: Plan) -> Message | Rejection:
    """The message of a record, as it is written; or why there is none.

    Raises:
        PipelineError: something that is wrong for every record, such as a missing extra.
    """
    if isinstance(record, Rejection | Message):
        return record
    place = record.message if isinstance(record, Incoming) else record
    try:
        with _time_limit(TIME_LIMIT):
            parsed = record.parsed() if isinstance(record, Unparsed) else record
            return _finished(parsed, plan)
    except PipelineError:
        raise
    except _TooSlowError:
        detail = f"took more than {TIME_LIMIT:.0f} seconds"
        return Rejection(place.source, place.position, "too_slow", detail)
    except Exception as error:  # noqa: BLE001 (one bad record must not end the run)
        detail = f"a defect of outreach-intent: {type(error).__name__}"
        return Rejection(place.source, place.position, "not_parsed", detail)


def _finished(parsed: Parsed, plan: Plan) -> Message | Rejection:
    if isinstance(parsed, Rejection):
        return parsed
    message = parsed.message
    if plan.owners:
        reason = _not_for(plan.owners, parsed)
        if reason:
            return Rejection(message.source, message.position, reason, "ingest.owner")
    prepared = prepare(message, plan.cleaning)
    extra = {"words": len(prepared.text.split()), **prepared.extra}
    language = language_of(prepared.text)
    if language:
        extra.setdefault("language", language)
    if parsed.outgoing is not None:
        extra.setdefault("outgoing", parsed.outgoing)
    return replace(prepared, sender=_hashed(message.sender, plan.salt), extra=extra)


def _not_for(owners: frozenset[str], parsed: Incoming) -> str:
    """Why a message is not one sent to an owner; empty if it is, or if nothing tells."""
    if parsed.outgoing or parsed.message.sender.lower() in owners:
        return "from_owner"
    if parsed.recipients and parsed.outgoing is None and not owners & set(parsed.recipients):
        return "not_to_owner"
    return ""


@lru_cache(maxsize=4096)
def _hashed(sender: str, salt: bytes) -> str:
    """Who sent it, so that their messages can be grouped but not their name be read."""
    if not sender:
        return ""
    return hmac.digest(salt, sender.lower().encode("utf-8", "replace"), "sha256").hex()[:16]


@contextmanager
def _time_limit(seconds: float) -> Iterator[None]:
    """Raise `_TooSlowError` in the block after this time, where the system can do that."""
    main = threading.current_thread() is threading.main_thread()
    if not main or not hasattr(signal, "setitimer"):
        yield
        return

    def stop(*_: Any) -> None:
        raise _TooSlowError

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
