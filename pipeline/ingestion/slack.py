"""Slack's export zip: channels, private channels, direct and group messages.

Days are folders of arrays; the time stamp is a message's identity and is kept as text. Joins,
topics and bots are dropped with their reason. Direct messages are in an export only if it was made
with them.
"""

from __future__ import annotations

import html
import json
import re
import zipfile
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from pipeline.ingestion.incoming import Incoming, Record
from pipeline.ingestion.place import Place
from pipeline.records import Message

MAX_DAY = 64_000_000
"""Bytes of one day of one channel."""

_LISTS = {"channels.json": "forum", "groups.json": "forum", "dms.json": "dm", "mpims.json": "dm"}
_DAMAGE = (zipfile.BadZipFile, zlib.error, OSError, EOFError, NotImplementedError, RuntimeError)
_USERS = ("users.json", "org_users.json")
_KEPT = {None, "", "thread_broadcast", "file_share", "me_message"}
_DAY = re.compile(r"\d{4}-\d\d-\d\d\.json")
_MARK = re.compile(r"<([^<>]{1,2000})>")


def is_export(names: list[str]) -> bool:
    """Whether a zip with these members is a Slack export."""
    last = {name.rpartition("/")[2] for name in names}
    return bool(last & set(_USERS)) and bool(last & set(_LISTS))


def read_export(archive: zipfile.ZipFile, place: Place) -> Iterator[Record]:
    """The messages of an export, channel by channel and day by day."""
    names = sorted(archive.namelist())
    people: dict[str, str] = {}
    direct: set[str] = set()
    for name in names:
        last = name.rpartition("/")[2]
        if last in _USERS:
            for user in _array(archive, name):
                people[str(user.get("id"))] = str(user.get("real_name") or user.get("name") or "")
        elif _LISTS.get(last) == "dm":
            direct.update(str(e.get(k)) for e in _array(archive, name) for k in ("id", "name"))
    for name in names:
        if not _DAY.fullmatch(name.rpartition("/")[2]) or "/" not in name:
            continue
        inner = place.inside(name)
        entries = _array(archive, name)
        if not entries and archive.getinfo(name).file_size > 4:
            yield inner.rejection(0, "not_json", "expected a JSON array of messages")
        folder = name.split("/")[-2]
        channel = "dm" if folder in direct else "forum"
        for number, entry in enumerate(entries, 1):
            yield _message(entry, people, folder, channel, inner, number)


def _array(archive: zipfile.ZipFile, name: str) -> list[dict[str, Any]]:
    """The objects of a member that is a JSON array; none if it is not."""
    if archive.getinfo(name).file_size > MAX_DAY:
        return []
    try:
        content = json.loads(archive.read(name).decode("utf-8", "replace"))
    except (ValueError, RecursionError, *_DAMAGE):
        return []
    entries = content if isinstance(content, list) else []
    return [entry if isinstance(entry, dict) else {"type": "unknown"} for entry in entries]


def _message(
    entry: dict[str, Any],
    people: dict[str, str],
    folder: str,
    channel: str,
    place: Place,
    number: int,
) -> Record:
    subtype = entry.get("subtype")
    if entry.get("type") != "message":
        return place.rejection(number, "not_a_message", f"type {str(entry.get('type'))[:40]}")
    if entry.get("bot_id") or subtype == "bot_message":
        return place.rejection(number, "automatic", "a bot")
    if subtype not in _KEPT:
        return place.rejection(number, "not_a_message", f"subtype {str(subtype)[:40]}")
    text = _plain(str(entry.get("text") or ""), people)
    if not text.strip():
        return place.rejection(number, "empty_text", "expected text")
    stamp = str(entry.get("ts") or number)
    message = Message(
        id=f"{folder}/{stamp}",
        text=text,
        channel=channel,
        sender=str(entry.get("user") or ""),
        sent_at=_when(stamp),
        thread=f"{folder}/{entry['thread_ts']}" if entry.get("thread_ts") else "",
        source=place.source,
        position=place.position(number),
    )
    row = {"id": message.id, "sent_at": message.sent_at, "channel": folder, "text": text}
    return Incoming(message, row)


def _plain(text: str, people: dict[str, str]) -> str:
    """Slack's marks as a reader sees them: names, channels, links."""

    def shown(match: re.Match[str]) -> str:
        target, _, label = match[1].partition("|")
        if target.startswith("@"):
            return "@" + (label or people.get(target[1:], "") or "someone")
        if target.startswith(("#", "!")):
            return target[0].replace("!", "@") + (label or target[1:])
        return label or target

    text = html.unescape(_MARK.sub(shown, text))
    return text.encode("utf-8", "replace").decode("utf-8")


def _when(stamp: str) -> str:
    try:
        return datetime.fromtimestamp(float(stamp), UTC).isoformat(timespec="seconds")
    except (ValueError, OverflowError, OSError):
        return ""
