"""The report's headline: the figures that decide, and what they do not say, as plain lines."""

from __future__ import annotations

from collections.abc import Mapping

Metrics = Mapping[str, float]


def headline(metrics: Metrics) -> list[str]:
    """The headline's lines, composed from the flat figures of ``metrics.json``."""
    return [
        _overall(metrics, "model", "all", "primary"),
        *_asks(metrics),
        *_reference(metrics),
        *_origins(metrics),
    ]


def _overall(metrics: Metrics, who: str, where: str, start: str) -> str:
    rows = round(metrics[f"{who}.{where}.rows"])
    accuracy = _percent(metrics, f"{who}.{where}.primary.accuracy")
    macro = _number(metrics, f"{who}.{where}.primary.macro_f1")
    return f"{start} right in {accuracy} of {rows:,} test messages, macro-F1 {macro}"


def _asks(metrics: Metrics) -> list[str]:
    prefix = "model.all.ask."
    labels = [k[len(prefix) : -len(".f1")] for k in metrics if _is_f1_of_an_ask(k, prefix)]
    if not 0 < len(labels) <= 6:
        return [f"mean F1 of {len(labels)} labels {_number(metrics, prefix + 'macro_f1')}"]
    listed = ", ".join(f"{label} {_number(metrics, f'{prefix}{label}.f1')}" for label in labels)
    return [f"F1 per ask: {listed}"]


def _is_f1_of_an_ask(key: str, prefix: str) -> bool:
    return key.startswith(prefix) and key.endswith(".f1")


def _reference(metrics: Metrics) -> list[str]:
    if "reference.all.primary.macro_f1" not in metrics:
        return []
    macro = _number(metrics, "reference.all.primary.macro_f1")
    return [f"a TF-IDF reference on the same messages: macro-F1 {macro}"]


def _origins(metrics: Metrics) -> list[str]:
    """Written messages and real mail apart: the first say little about the second."""
    has_written = "model.written.rows" in metrics
    has_public = "model.public.rows" in metrics
    lines = []
    if has_public:
        lines.append(_overall(metrics, "model", "public", "on real public mail: primary"))
    if has_written and has_public:
        lines.append(_overall(metrics, "model", "written", "on written messages: primary"))
        lines.append(
            "Only the figures of real mail say something about an inbox; messages written for this "
            "project are easier."
        )
    elif has_written:
        lines.append(
            "All of these were written for this project by language models, and such messages are "
            "easier: these figures say little about real mail."
        )
    return lines


def _percent(metrics: Metrics, key: str) -> str:
    value = f"{100 * metrics[key]:.1f} %"
    if f"{key}.low" not in metrics:
        return value
    return f"{value} ({100 * metrics[f'{key}.low']:.1f} to {100 * metrics[f'{key}.high']:.1f})"


def _number(metrics: Metrics, key: str) -> str:
    value = f"{metrics[key]:.3f}" if key in metrics else "undefined"
    if f"{key}.low" not in metrics:
        return value
    return f"{value} ({metrics[f'{key}.low']:.3f} to {metrics[f'{key}.high']:.3f})"
