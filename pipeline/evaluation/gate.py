"""Does a measured model reach what the settings demand? For continuous integration."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import InputError
from pipeline.settings import Evaluation

_FLIPS = "fairness.max_flip_rate"


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
    path = report / "metrics.json"
    try:
        metrics = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise InputError(f"{path}: no figures there; make them with `outreach evaluate`.") from None
    highest = dict(settings.gate.maximum)
    if settings.max_flip_rate is not None:
        highest[_FLIPS] = settings.max_flip_rate
    demands = [_demand(metrics, k, v, at_least=True) for k, v in settings.gate.minimum.items()]
    demands += [_demand(metrics, k, v, at_least=False) for k, v in highest.items()]
    if not demands:
        raise InputError(
            "the settings demand nothing; say what a model must reach, for example "
            "--set evaluation.gate.minimum={model.all.primary.macro_f1: 0.8}"
        )
    return demands


def _demand(metrics: Mapping[str, float], name: str, limit: float, *, at_least: bool) -> Demand:
    if name not in metrics:
        near = difflib.get_close_matches(name, list(metrics), n=1, cutoff=0.5)
        hint = f"; did you mean '{near[0]}'?" if near else "."
        raise InputError(f"evaluation.gate: the report has no figure '{name}'{hint}")
    return Demand(name, metrics[name], limit, at_least)
