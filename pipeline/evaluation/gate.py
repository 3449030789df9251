"""Does a measured model reach what the settings demand? For continuous integration."""

from __future__ import annotations

import difflib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import InputError
from pipeline.settings import Evaluation

_FLIPS = "fairness.max_flip_rate"
_AT_LEAST = ("model.all.primary.macro_f1", "model.all.ask.macro_f1", "behaviour.rate")
_AT_MOST = ("model.all.calibration.ece",)
_ROOM = 0.05
"""Left to a figure that has no interval."""


@dataclass(frozen=True)
class Demand:
    """One figure, what is demanded of it, and what was found."""

    figure: str
    found: float
    limit: float
    at_least: bool

    @property
    def met(self) -> bool:
        """Whether the figure is good enough."""
        return self.found >= self.limit if self.at_least else self.found <= self.limit


def gate(report: Path, settings: Evaluation) -> list[Demand]:
    """Every demand of `settings.gate` and `settings.max_flip_rate`, with what the report says.

    Args:
        report: the folder of a report.
        settings: the demands.

    Raises:
        InputError: the report has no figures, or not one that is demanded, or nothing is demanded.
    """
    metrics = _metrics(report)
    highest = dict(settings.gate.maximum)
    if settings.max_flip_rate is not None:
        highest[_FLIPS] = settings.max_flip_rate
    demands = [_demand(metrics, k, v, at_least=True) for k, v in settings.gate.minimum.items()]
    demands += [_demand(metrics, k, v, at_least=False) for k, v in highest.items()]
    if not demands:
        raise InputError(
            "the settings demand nothing; say what a model must reach, for example "
            "--set evaluation.gate.minimum={model.all.primary.macro_f1: 0.8}, or see what this one "
            "would meet with --suggest"
        )
    return demands


def suggest(report: Path, settings: Evaluation) -> str:
    """Demands that the model of a report meets, as lines for a settings file.

    Each is the end of the figure's interval: a model as good as this one meets it however the draw
    of messages falls out, one that is clearly worse does not.

    Args:
        report: the folder of a report.
        settings: the figures they demand are kept; without any, a few usual ones are taken.
    """
    metrics = _metrics(report)
    gate = settings.gate
    lines = ["evaluation:"]
    flips = [
        value
        for name, value in metrics.items()
        if name.startswith("fairness.") and name.endswith(".primary_flips.high")
    ]
    if _FLIPS in metrics:
        lines.append(f"  max_flip_rate: {_up(max([metrics[_FLIPS], *flips])):g}")
    lines.append("  gate:")
    for word, names, sign in (
        ("minimum", gate.minimum or _AT_LEAST, -1),
        ("maximum", gate.maximum or _AT_MOST, 1),
    ):
        lines.append(f"    {word}:")
        for name in names:
            if name in metrics:
                end = metrics.get(
                    f"{name}.{'low' if sign < 0 else 'high'}", metrics[name] + sign * _ROOM
                )
                lines.append(f"      {name}: {sign * _up(sign * end):g}")
    return "\n".join(lines)


def _up(value: float) -> float:
    return math.ceil(round(100 * value, 6)) / 100


def _metrics(report: Path) -> dict[str, float]:
    path = report / "metrics.json"
    try:
        found: dict[str, float] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise InputError(f"{path}: no figures there; make them with `outreach evaluate`.") from None
    return found


def _demand(metrics: Mapping[str, float], name: str, limit: float, *, at_least: bool) -> Demand:
    if name not in metrics:
        near = difflib.get_close_matches(name, list(metrics), n=1, cutoff=0.5)
        hint = f"; did you mean '{near[0]}'?" if near else "."
        raise InputError(f"evaluation.gate: the report has no figure '{name}'{hint}")
    return Demand(name, metrics[name], limit, at_least)
