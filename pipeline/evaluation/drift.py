"""Has the mail changed? New messages without labels, against those the model was measured on.

Source of the index: Siddiqi, Credit Risk Scorecards, 2006, chapter 10 (population stability; its
rule of thumb: below 0.1 stable, from 0.25 shifted).
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup

from pipeline.errors import InputError
from pipeline.evaluation.gold import Floats, Scores
from pipeline.evaluation.plots import score_histogram
from pipeline.evaluation.reading import read_labelled, read_unlabelled
from pipeline.evaluation.report import render_template, write_text
from pipeline.evaluation.stage import cut_short, open_model
from pipeline.progress import SILENT, Progress
from pipeline.records import NONE, Message, render
from pipeline.settings import Settings
from pipeline.store import write_json

STABLE, SHIFTED = 0.1, 0.25
_WORD = re.compile(r"\b\w\w+\b")
_BINS = 10


@dataclass(frozen=True)
class Shift:
    """How one quantity differs between the two sets."""

    name: str
    before: float
    after: float
    """Medians."""
    stability: float
    """The population stability index over the first set's deciles."""

    @property
    def verdict(self) -> str:
        """The index in words."""
        if self.stability < STABLE:
            return "stable"
        return "watch" if self.stability < SHIFTED else "shifted"


@dataclass(frozen=True)
class Drift:
    """What changed from the measured messages to the new ones."""

    before: int
    after: int
    """Messages looked at."""
    of: tuple[int, int]
    """Messages that they were drawn from."""
    shifts: list[Shift]
    primaries: list[tuple[str, float, float]]
    """Per class the share of primaries, before and after."""
    unknown_words: tuple[float, float]
    """Share of the words that the first set, or the reference's vocabulary, does not hold."""
    cut_short: tuple[float, float] | None
    pictures: list[Markup]

    def flat(self) -> dict[str, float]:
        """All as flat JSON numbers."""
        flat: dict[str, float] = {
            "before.rows": self.before,
            "after.rows": self.after,
            "before.of": self.of[0],
            "after.of": self.of[1],
        }
        for s in self.shifts:
            flat |= {
                f"{s.name}.median_before": round(s.before, 6),
                f"{s.name}.median_after": round(s.after, 6),
                f"{s.name}.stability": round(s.stability, 6),
            }
        for name, before, after in self.primaries:
            flat |= {
                f"primary.{name}.before": round(before, 6),
                f"primary.{name}.after": round(after, 6),
            }
        pairs = {"unknown_words": self.unknown_words, "cut_short": self.cut_short}
        for name, pair in pairs.items():
            if pair is not None:
                flat |= {f"{name}.before": round(pair[0], 6), f"{name}.after": round(pair[1], 6)}
        return flat


def drift(
    settings: Settings,
    against: Path,
    *,
    model: Path | None = None,
    data: Path | None = None,
    output: Path | None = None,
    progress: Progress = SILENT,
) -> Drift:
    """Compare new mail, whose labels nobody knows, with the messages of the last evaluation.

    Writes `drift.html` and `drift.json` into `output` (by default `drift` in the model folder).

    Args:
        settings: the run's settings.
        against: new messages, in any format the readers know.
        model: a model folder; by default the one the settings name.
        data: what it was measured on; by default the test split.
        output: the folder to write to.
        progress: where to report.

    Raises:
        InputError: a file is missing or unreadable.
        DataError: a file holds no message.
        ModelFolderError: the model cannot be used.
    """
    model_dir = model or settings.model_dir
    rows = data or settings.label_dir / "test.parquet"
    if not rows.is_file():
        raise InputError(f"{rows}: no such file; run `outreach label resolve` first.")
    read: list[Sequence[Message]] = [
        read_labelled(rows, settings, progress),
        read_unlabelled(against, settings, progress),
    ]
    sets = [_drawn(own, settings.evaluation.drift_messages, settings.seed) for own in read]
    with progress.task("score both sets", sum(map(len, sets))) as task:
        opened = open_model(model_dir, task)
        texts = [[render(m.subject, m.text) for m in own] for own in sets]
        scores = [opened.score(own) for own in texts]
    decided = [
        Scores.decide(own, opened.thresholds, multi_label=opened.multi_label) for own in scores
    ]
    classes = [*opened.labels, NONE] if opened.multi_label else list(opened.labels)
    shares = [np.bincount(d.primary, minlength=len(classes)) / len(d.primary) for d in decided]
    cut = [cut_short(model_dir, own) for own in texts]
    found = Drift(
        len(sets[0]),
        len(sets[1]),
        (len(read[0]), len(read[1])),
        _shifts(opened.labels, scores, sets),
        list(zip(classes, map(float, shares[0]), map(float, shares[1]), strict=True)),
        _unknown_words(model_dir, texts),
        None if cut[0] is None or cut[1] is None else (float(cut[0].mean()), float(cut[1].mean())),
        [
            score_histogram([("measured", scores[0][:, i]), ("new", scores[1][:, i])], label)
            for i, label in enumerate(opened.labels[:6])
        ],
    )
    folder = output or model_dir / "drift"
    write_json(folder / "drift.json", found.flat())
    write_text(folder / "drift.html", render_template("drift.html.j2", {"d": found}))
    return found


def _drawn(messages: Sequence[Message], most: int, seed: int) -> list[Message]:
    """At most so many of the messages, drawn at random, in order."""
    if len(messages) <= most:
        return list(messages)
    generator = random.Random(seed)  # noqa: S311 - a draw, not a secret
    return [messages[i] for i in sorted(generator.sample(range(len(messages)), most))]


def _shifts(
    labels: Sequence[str], scores: Sequence[Floats], sets: Sequence[Sequence[Message]]
) -> list[Shift]:
    words = [np.array([float(len(m.text.split())) for m in own]) for own in sets]
    named: list[tuple[str, Any, Any]] = [("words", words[0], words[1])]
    named += [(f"score.{n}", scores[0][:, i], scores[1][:, i]) for i, n in enumerate(labels)]
    return [
        Shift(name, float(np.median(a)), float(np.median(b)), stability(a, b))
        for name, a, b in named
    ]


def stability(before: Floats, after: Floats) -> float:
    """The population stability index of two samples over the first one's deciles.

    >>> import numpy as np
    >>> round(stability(np.arange(100.0), np.arange(100.0)), 6)
    0.0
    """
    edges = np.unique(np.quantile(before, np.arange(1, _BINS) / _BINS))
    shares = []
    for values in (before, after):
        counts = np.bincount(np.searchsorted(edges, values, side="right"), minlength=len(edges) + 1)
        shares.append((counts + 0.5) / (len(values) + 0.5 * len(counts)))  # no bin stays empty
    return float(((shares[1] - shares[0]) * np.log(shares[1] / shares[0])).sum())


def _unknown_words(model_dir: Path, texts: Sequence[Iterable[str]]) -> tuple[float, float]:
    counted = [[w for text in own for w in _WORD.findall(text.lower())] for own in texts]
    vocabulary = model_dir / "reference" / "reference.json"
    if vocabulary.is_file():
        known = set(json.loads(vocabulary.read_text(encoding="utf-8"))["words"])
    else:
        known = set(counted[0])
    before, after = (sum(w not in known for w in own) / max(len(own), 1) for own in counted)
    return before, after
