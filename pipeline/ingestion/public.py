"""Real public mail: labels that the project ships, texts that it may not.

``labels.jsonl`` in `settings.data.public_dir` names 2,948 messages by archive, commit, file, place
and the hash of their text; each line is also an annotation of that message. `obtain` brings the
texts: from their archives over HTTP, or from a copy that the user has. They land under
`settings.data.processed` / "public" and are never committed:

    texts.jsonl    the texts whose hash is right, in the order of labels.jsonl
    state.json     which labels they belong to, and what was left out and why
    archives/      the fetched files, laid out as in their archives; what is there is not fetched
                   again, so an interrupted fetch goes on where it stood
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote

import yaml

from pipeline.errors import InputError
from pipeline.ingestion.cuts import RULES, CutError, cut
from pipeline.progress import SILENT, Progress
from pipeline.records import Message
from pipeline.settings import Settings
from pipeline.store import atomic_path, sha256_file, write_json

WORTH = "a model trained without them reads real mail less well (about 0.05 of macro-F1)"
AUTO_PATIENCE = 5.0
"""Seconds that an unasked-for try waits for a busy archive; an asked-for one waits a minute."""

Texts = dict[str, str]


@dataclass(frozen=True, slots=True)
class Archive:
    """One public archive, as sources.yaml describes it."""

    url: str
    commit: str
    cut: str
    channel: str


@dataclass(frozen=True, slots=True)
class Wanted:
    """One message that labels.jsonl names."""

    id: str
    source: str
    path: str
    loc: str
    sha256: str


def obtain(
    settings: Settings,
    *,
    now: bool = False,
    local: Path | None = None,
    progress: Progress = SILENT,
) -> Path | None:
    """The file of public texts, fetched if need be; None if there is none to use.

    Args:
        settings: `data.public` says whether to try: "auto" tries once and goes on without.
        now: fetch what is missing even if an earlier try failed, and fail if nothing comes.
        local: take the texts from this JSONL file (id, text) or folder laid out like the archives.
        progress: where to report; one line says what there is.

    Raises:
        InputError: the texts were asked for (`now`, `local`, or `data.public: yes`) and none came,
            or labels.jsonl or sources.yaml is not usable.
    """
    asked = now or local is not None or settings.data.public == "yes"
    if settings.data.public == "no" and not asked:
        return None
    folder = settings.data.processed / "public"
    labels = settings.data.public_dir / "labels.jsonl"
    state = _state(folder, labels)
    if state is None or now or local is not None or (asked and not state["texts"]):
        state = _bring(settings, folder, labels, local, asked=asked, progress=progress)
        progress.note(_in_words(state))
    elif state["texts"] < state["wanted"]:
        progress.note(_in_words(state))
    if asked and not state["texts"]:
        raise InputError(
            f"{_in_words(state)} Give a copy with --from, or set data.public to auto or no."
        )
    return folder / "texts.jsonl" if state["texts"] else None


def messages(texts: Path) -> Iterator[Message]:
    """The public messages of a file that `obtain` gave."""
    with texts.open(encoding="utf-8") as lines:
        for line in lines:
            yield Message(**json.loads(line), extra={"origin": "public"})


def _bring(
    settings: Settings,
    folder: Path,
    labels: Path,
    local: Path | None,
    *,
    asked: bool,
    progress: Progress,
) -> dict[str, Any]:
    archives = _archives(settings.data.public_dir / "sources.yaml")
    wanted = _wanted(labels, archives)
    left_out: Counter[str] = Counter()
    if local is not None and not local.is_dir():
        texts = _from_jsonl(local, wanted, left_out)
    elif local is not None:
        texts = _from_folder(local, wanted, archives, left_out)
    else:
        patience = 60.0 if asked else AUTO_PATIENCE
        failed = _fetch(folder / "archives", wanted, archives, patience, progress)
        texts = _from_folder(folder / "archives", wanted, archives, left_out, forget=True)
        if failed and not texts:  # say why, not only that there are none
            why = next(reason for reason in (*failed, "") if reason != "not_tried")
            left_out = Counter({why: len(wanted)})
    _write_texts(folder / "texts.jsonl", wanted, archives, texts)
    state = {
        "labels": sha256_file(labels),
        "wanted": len(wanted),
        "texts": len(texts),
        "left_out": dict(sorted(left_out.items())),
    }
    write_json(folder / "state.json", state)
    return state


def _state(folder: Path, labels: Path) -> dict[str, Any] | None:
    """What an earlier call left for these very labels."""
    try:
        state: dict[str, Any] = json.loads((folder / "state.json").read_text(encoding="utf-8"))
        fits = state["labels"] == sha256_file(labels) and (folder / "texts.jsonl").is_file()
    except (OSError, ValueError, KeyError):
        return None
    return state if fits else None


def _in_words(state: dict[str, Any]) -> str:
    share = f"{state['texts']:,} of {state['wanted']:,}"
    if state["texts"] == state["wanted"]:
        return f"Public mail: all {state['wanted']:,} texts are there."
    reasons = ", ".join(f"{n:,} {r.replace('_', ' ')}" for r, n in state["left_out"].items())
    again = "`outreach ingest --public` tries again"
    return f"Public mail: {share} texts are there ({reasons}); {WORTH}; {again}."


def _archives(path: Path) -> dict[str, Archive]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        url = content["url"]
        archives = {
            source: Archive(url, a["commit"], a["cut"], a["channel"])
            for source, a in content["sources"].items()
        }
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}).") from None
    except (yaml.YAMLError, KeyError, TypeError, AttributeError):
        raise InputError(
            f"{path}: expected 'url' and 'sources', each source with commit, cut and channel."
        ) from None
    unknown = sorted({a.cut for a in archives.values()} - set(RULES))
    if unknown:
        raise InputError(f"{path}: no such cut: {unknown[0]}; there are {', '.join(RULES)}.")
    return archives


def _wanted(labels: Path, archives: dict[str, Archive]) -> list[Wanted]:
    wanted = []
    try:
        with labels.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                row = json.loads(line)
                if row["commit"] != archives[row["source"]].commit:
                    raise InputError(f"{labels}:{number}: not the commit that sources.yaml names.")
                fields = (row[name] for name in ("id", "source", "path", "loc", "sha256"))
                wanted.append(Wanted(*fields))
    except OSError as error:
        raise InputError(f"{labels}: cannot be read ({error.strerror}).") from None
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{labels}: expected lines with id, source (one of sources.yaml), commit, path, loc "
            f"and sha256; found otherwise ({type(error).__name__})."
        ) from None
    return wanted


def _fetch(
    folder: Path,
    wanted: list[Wanted],
    archives: dict[str, Archive],
    patience: float,
    progress: Progress,
) -> Counter[str]:
    from pipeline.ingestion.fetch import File, fetch

    files = {}
    for item in wanted:
        archive = archives[item.source]
        url = archive.url.format(source=item.source, commit=archive.commit, path=quote(item.path))
        files[item.source, item.path] = File(url, _place(folder, item))
    return fetch(files.values(), patience=patience, progress=progress)


def _place(folder: Path, item: Wanted) -> Path:
    """Where the file stands under a folder laid out like the archives, and never outside it."""
    relative = PurePosixPath(item.source) / item.path
    if relative.is_absolute() or ".." in relative.parts:
        raise InputError(f"labels.jsonl: {item.id}: the path leads out of its archive.")
    return folder / relative


def _from_folder(
    folder: Path,
    wanted: list[Wanted],
    archives: dict[str, Archive],
    left_out: Counter[str],
    *,
    forget: bool = False,
) -> Texts:
    """The texts that can be cut from the files in a folder.

    With `forget`, a file that holds other content than the labels' is deleted: a fetched page of
    some gateway must not stand in the way of the next try.
    """
    by_file: dict[Path, list[Wanted]] = defaultdict(list)
    for item in wanted:
        by_file[_place(folder, item)].append(item)
    texts: Texts = {}
    for path, items in by_file.items():
        try:
            data = path.read_bytes()
        except OSError:
            left_out["not_there"] += len(items)
            continue
        before = len(texts)
        for item in items:
            _accept(item, _cut(archives[item.source].cut, data, item.loc), texts, left_out)
        if forget and len(texts) == before:
            path.unlink()
    return texts


def _from_jsonl(path: Path, wanted: list[Wanted], left_out: Counter[str]) -> Texts:
    try:
        with path.open(encoding="utf-8") as lines:
            rows = [json.loads(line) for line in lines if line.strip()]
        found = {row["id"]: row["text"] for row in rows}
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}).") from None
    except (ValueError, KeyError, TypeError):
        raise InputError(f"{path}: expected JSON Lines with id and text on every line.") from None
    texts: Texts = {}
    for item in wanted:
        _accept(item, found.get(item.id), texts, left_out)
    return texts


def _cut(rule: str, data: bytes, loc: str) -> str | None:
    try:
        return cut(rule, data, loc)
    except CutError:
        return None


def _accept(item: Wanted, text: object, texts: Texts, left_out: Counter[str]) -> None:
    """Take a text if it is the one that was labelled."""
    if not isinstance(text, str):
        left_out["not_there"] += 1
    elif hashlib.sha256(text.encode("utf-8", "replace")).hexdigest() != item.sha256:
        left_out["other_content"] += 1
    else:
        texts[item.id] = text


def _write_texts(
    path: Path, wanted: list[Wanted], archives: dict[str, Archive], texts: Texts
) -> None:
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8") as out:
        for item in wanted:
            if item.id in texts:
                row = {
                    "id": item.id,
                    "text": texts[item.id],
                    "channel": archives[item.source].channel,
                    "source": item.source,
                    "position": f"{item.path}#{item.loc}" if item.loc else item.path,
                }
                out.write(json.dumps(row, ensure_ascii=False) + "\n")
