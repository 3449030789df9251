"""The shipped corpus as the labeling benchmarks need it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

from pipeline.labeling.log import read_log
from pipeline.labeling.resolve import Resolved, resolve
from pipeline.records import Annotation, render
from pipeline.settings import load_settings


class Corpus(NamedTuple):
    """Messages as rows of the file, the text a model reads of each, and what they resolve to."""

    messages: list[dict[str, Any]]
    texts: list[str]
    answers: list[Resolved]


def shipped() -> Corpus:
    """Read ``data/raw`` and resolve its annotations by majority."""
    lines = Path("data/raw/messages.jsonl").read_text(encoding="utf-8").splitlines()
    messages = [json.loads(line) for line in lines]
    found = resolve(log(), load_settings().task)
    texts = [render(m["subject"], m["text"]) for m in messages]
    return Corpus(messages, texts, [found[m["id"]] for m in messages])


def log() -> list[Annotation]:
    """The annotations of ``data/raw``."""
    entries = read_log(Path("data/raw/annotations.jsonl"), load_settings().task)
    return [entry for entry in entries if isinstance(entry, Annotation)]
