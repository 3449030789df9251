"""The index of trained models: what there is, which one is in use, and the way back.

A model is known by its digest, the hash of the files that decide what it says. Promoting one keeps
a copy under ``models/.kept/DIGEST``, which no later training touches, and points the link
``models/production`` at it; rolling back points the link at the one before. What happened when
stands in ``models/promotions.jsonl``.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipeline.errors import InputError, ModelFolderError
from pipeline.inference.folder import CONTRACT
from pipeline.store import MANIFEST, read_manifest, sha256_file

PRODUCTION = "production"
KEPT = ".kept"
HISTORY = "promotions.jsonl"
_SHOWN = 12
"""Digits of a digest that are shown, and that name a kept folder."""
_COMPARED = (".f1", ".macro_f1", ".accuracy", "exact_match", ".ece", ".brier")
_NOT_DECIDING = ("README.md", "runs/", "report/", "reference/")


@dataclass(frozen=True)
class Entry:
    """One model of the index."""

    name: str
    """Its folder's; of a model that is only kept, the one it had when it was promoted."""
    folder: Path
    digest: str
    made: str
    """ISO 8601."""
    base: str
    trained_on: int
    """Messages."""
    validation: float | None
    """Macro-F1 over labels on validation."""
    test: float | None
    """Primary macro-F1 of the report, if there is one."""
    bytes: int
    """Of the files that decide what it says."""
    in_use: bool = False
    """Whether `production` points at this very model."""


def entries(models: Path) -> list[Entry]:
    """All models under a folder, newest first: those in training's own folders and those kept."""
    current = production(models)
    found: dict[str, Entry] = {}
    names = {event["digest"]: event["name"] for event in history(models)}
    for folder in [*sorted(models.glob("*")), *sorted(models.glob(f"{KEPT}/*"))]:
        if folder.is_symlink() or not (folder / CONTRACT).is_file() or not read_manifest(folder):
            continue  # the last two: not a model, or not yet a whole one
        entry = _entry(folder, current, names)
        found.setdefault(entry.digest, entry)
    return sorted(found.values(), key=lambda entry: entry.made, reverse=True)


def find(models: Path, wanted: str) -> Entry:
    """The model with a name, or with a digest that begins so; `production` names the one in use.

    Raises:
        InputError: there is none, or more than one.
    """
    there = entries(models)
    if wanted == PRODUCTION:
        hits = [entry for entry in there if entry.in_use]
    else:
        hits = [entry for entry in there if entry.name == wanted and entry.folder.name == wanted]
        hits = hits or [e for e in there if len(wanted) >= 4 and e.digest.startswith(wanted)]
    if len(hits) == 1:
        return hits[0]
    listed = ", ".join(f"{e.name} ({e.digest[:_SHOWN]})" for e in there) or "none"
    problem = "more than one model" if hits else "no model"
    raise InputError(f"{models}: {problem} {wanted!r}; there are: {listed}.")


def figures(entry: Entry) -> dict[str, str]:
    """A model's figures in words, for a table of several: of its training and of its report."""
    manifest = read_manifest(entry.folder)
    settings = manifest["settings"]["training"]
    shown = {
        "made": entry.made[:16].replace("T", " "),
        "base": Path(entry.base).name,
        "messages": f"{entry.trained_on:,}",
        "training seconds": f"{manifest['seconds']:,.0f}",
        "epochs": str(settings["epochs"]),
        "learning rate": f"{settings['learning_rate']:g}",
        "MB": f"{entry.bytes / 1e6:.0f}",
        "validation macro-F1": "" if entry.validation is None else f"{entry.validation:.3f}",
    }
    if entry.test is None:
        return shown
    metrics = json.loads((entry.folder / "report" / "metrics.json").read_text(encoding="utf-8"))
    wanted = [k for k in metrics if k.startswith("model.all.") and k.endswith(_COMPARED)]
    return shown | {k.removeprefix("model.all."): f"{metrics[k]:.3f}" for k in wanted}


def promote(models: Path, wanted: str) -> Entry:
    """Keep a copy of a model and make it the one that `production` names.

    Raises:
        InputError: there is no such model.
        ModelFolderError: its files are not those that training wrote.
    """
    entry = find(models, wanted)
    kept = models / KEPT / entry.digest[:_SHOWN]
    if not kept.is_dir():
        _check_files(entry.folder)
        partial = kept.with_name(f"{kept.name}.{os.getpid()}.partial")
        shutil.copytree(entry.folder, partial)
        _check_files(partial)
        partial.replace(kept)
    _point(models, kept)
    _remember(models, "promote", entry.digest, entry.name)
    return find(models, PRODUCTION)


def rollback(models: Path) -> Entry:
    """Make the model that was in use before this one `production` again.

    Raises:
        InputError: there was none.
    """
    stack = _stack(models)
    if len(stack) < 2:
        raise InputError(f"{models}: there is no model to go back to; {len(stack)} in use so far.")
    before = stack[-2]
    kept = models / KEPT / before["digest"][:_SHOWN]
    if not kept.is_dir():
        raise InputError(f"{kept}: gone, so it cannot be gone back to; promote another model.")
    _check_files(kept)
    _point(models, kept)
    _remember(models, "rollback", before["digest"], before["name"])
    return find(models, PRODUCTION)


def production(models: Path) -> str:
    """The digest of the model in use; empty where there is none."""
    link = models / PRODUCTION
    return digest_of(link) if (link / CONTRACT).is_file() else ""


def digest_of(folder: Path) -> str:
    """The hash of the hashes of the files that decide what a model says, from its manifest."""
    deciding = _deciding(read_manifest(folder))
    if not deciding:
        raise ModelFolderError(f"{folder / MANIFEST}: missing or damaged; train the model again.")
    lines = "".join(f"{name} {entry['sha256']}\n" for name, entry in sorted(deciding.items()))
    return hashlib.sha256(lines.encode()).hexdigest()


def history(models: Path) -> list[dict[str, Any]]:
    """What was promoted and rolled back to, oldest first."""
    path = models / HISTORY
    if not path.is_file():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _entry(folder: Path, current: str, names: Mapping[str, str]) -> Entry:
    manifest = read_manifest(folder)
    digest = digest_of(folder)
    kept = folder.parent.name == KEPT
    return Entry(
        name=names.get(digest, folder.name) if kept else folder.name,
        folder=folder,
        digest=digest,
        made=manifest["made"],
        base=manifest["settings"]["training"]["base"],
        trained_on=manifest["counts"]["train"],
        validation=manifest["counts"].get("validation_macro_f1"),
        test=_measured(folder),
        bytes=sum(entry["bytes"] for entry in _deciding(manifest).values()),
        in_use=digest == current,
    )


def _measured(folder: Path) -> float | None:
    """The report's figure; one made before the model, of an older one, does not count."""
    try:
        text = (folder / "report" / "metrics.json").read_text(encoding="utf-8")
        report = read_manifest(folder / "report")
        value = json.loads(text).get("model.all.primary.macro_f1")
    except (OSError, ValueError):
        return None
    return None if report.get("made", "") < read_manifest(folder)["made"] else value


def _deciding(manifest: Mapping[str, Any]) -> dict[str, Any]:
    outputs = manifest.get("outputs", {})
    return {name: e for name, e in outputs.items() if not name.startswith(_NOT_DECIDING)}


def _check_files(folder: Path) -> None:
    for name, entry in _deciding(read_manifest(folder)).items():
        path = folder / name
        if not path.is_file() or sha256_file(path) != entry["sha256"]:
            raise ModelFolderError(
                f"{path}: missing or not the file that training wrote; train or copy it again."
            )


def _point(models: Path, kept: Path) -> None:
    """Move the link in one step, so that no reader ever finds none."""
    temporary = models / f".{PRODUCTION}.{os.getpid()}.tmp"
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(kept.relative_to(models))
    temporary.replace(models / PRODUCTION)


def _remember(models: Path, action: str, digest: str, name: str) -> None:
    event = {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "action": action,
        "digest": digest,
        "name": name,
    }
    with (models / HISTORY).open("a", encoding="utf-8") as log:
        log.write(json.dumps(event) + "\n")


def _stack(models: Path) -> list[dict[str, Any]]:
    """The promotions that still hold, oldest first: a rollback takes the last one back."""
    stack: list[dict[str, Any]] = []
    for event in history(models):
        if event["action"] == "rollback":
            stack.pop()
        elif not stack or stack[-1]["digest"] != event["digest"]:
            stack.append(event)
    return stack
