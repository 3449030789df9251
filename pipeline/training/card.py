"""The model card: what the model is, what it learned from, what it is for, how well it did."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from huggingface_hub import EvalResult, ModelCard, ModelCardData
from jinja2 import Environment, StrictUndefined

from pipeline.settings import Settings
from pipeline.training.cost import Cost

_TEMPLATE = """\
# {{ name }}

Labels: {{ labels | join(", ") }}{{ " (several at once, or none)" if multi_label else "" }}.
Fine-tuned from `{{ base }}` with [outreach-intent](https://pypi.org/project/outreach-intent) on
{{ "{:,}".format(counts.train) }} texts, variations included, made from messages of which
{{ "{:,}".format(counts.from_public) }} are real public mail; calibrated on
{{ "{:,}".format(counts.validation) }} messages.

## How to use it

```python
import pipeline

clf = pipeline.load("models/{{ name }}")
clf.predict(["Could you introduce me to your editor?"])
```

It also loads with `transformers.pipeline("text-classification", model="models/{{ name }}",
top_k=None)` and with ONNX Runtime (`onnx/model.onnx`); calibration is part of the weights.
Messages are read as subject, empty line, body, up to {{ max_length }} tokens
({{ {"windows": "of longer ones all, in windows, here; their head elsewhere", "head": "their head",
"head_tail": "of longer ones their head and their tail"}[long_messages] }}).

## Results

On the {{ "{:,}".format(counts.validation) }} validation messages. They chose the best epoch, the
calibration and the thresholds, so these figures flatter.

The figures on messages it has not seen are in `report/index.html`.

| label | threshold | F1 |
| --- | --- | --- |
{% for row in rows -%}
| {{ row.label }} | {{ "%.2f" | format(row.threshold) }} | {{ "%.3f" | format(row.f1) }} |
{% endfor %}
{% if shipped -%}
## What it is for, and what not

For sorting one's own mail, and for research on outreach. Not for deciding about a person: the
labels say what a message asks for, never what its sender deserves. Not for mail that its reader
has no right to read, and not as the only reader of anything that must not be missed.

{% endif -%}
## Limits

- It knows the kinds of mail that it learned from; on mail from other places, times and trades it
  is less right. `outreach evaluate --data` measures it on yours.
{% if shipped -%}
- English only.
- Most of its errors on real mail are asks that it takes for none.
{% endif -%}
- Of a message of more than {{ max_length }} tokens
  {{ {"windows": "other loaders see only the first; outreach-intent reads it in windows",
  "head": "it sees only the first", "head_tail": "it sees only half as many from each end"}
  [long_messages] }}.

## What training took

{{ "%.1f" | format(cost.seconds / 60) }} minutes on {{ cost.device }}. Estimated at
{{ "%.0f" | format(cost.watts) }} W: {{ "%.3f" | format(cost.kwh) }} kWh,
{{ "%.0f" | format(1000 * cost.kg) }} g of CO2 at the world's mean of 2024.
"""


_CORPUS = Path("data/raw/messages.jsonl")
_HUB_NAMES = {
    "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db": (
        "sentence-transformers/all-MiniLM-L6-v2"
    )
}
"""What weights that come in a package, known by their digest, are called on the Hub."""


def write_card(
    folder: Path,
    settings: Settings,
    thresholds: Sequence[float],
    f1: Sequence[float],
    counts: Mapping[str, Any],
    cost: Cost,
) -> None:
    """Write ``README.md`` of the model folder, in the Hub's card format."""
    rows = [
        {"label": label, "threshold": threshold, "f1": score}
        for label, threshold, score in zip(settings.task.labels, thresholds, f1, strict=True)
    ]
    environment = Environment(undefined=StrictUndefined, autoescape=False)  # noqa: S701 - Markdown
    text = environment.from_string(_TEMPLATE).render(
        name=settings.name,
        labels=settings.task.labels,
        multi_label=settings.task.multi_label,
        base=settings.training.base,
        max_length=settings.training.max_length,
        long_messages=settings.training.long_messages,
        rows=rows,
        counts=counts,
        cost=cost,
        shipped=_is_shipped(settings),
    )
    data = _metadata(settings, f1, cost)
    ModelCard(f"---\n{data.to_yaml()}\n---\n\n{text}").save(folder / "README.md")


def _metadata(settings: Settings, f1: Sequence[float], cost: Cost) -> ModelCardData:
    shipped = _is_shipped(settings)
    named = dict(zip(settings.task.labels, f1, strict=True))
    figures = {"macro F1": sum(f1) / len(f1), **{f"F1 of {k}": v for k, v in named.items()}}
    results = [
        EvalResult(
            task_type="text-classification",
            dataset_type=settings.name,
            dataset_name=f"{settings.name} (validation split)",
            dataset_split="validation",
            metric_type="f1",
            metric_name=name,
            metric_value=round(float(value), 4),
        )
        for name, value in figures.items()
    ]
    return ModelCardData(
        model_name=settings.name,
        base_model=_on_the_hub(settings),
        license="apache-2.0" if shipped else None,
        library_name="transformers",
        pipeline_tag="text-classification",
        language="en" if shipped else None,
        tags=["outreach-intent"],
        eval_results=results,
        co2_eq_emissions={
            "emissions": round(1000 * cost.kg, 3),
            "source": "time × estimated power × world mean carbon intensity",
            "training_type": "fine-tuning",
            "hardware_used": cost.device,
        },
    )


def _is_shipped(settings: Settings) -> bool:
    """Whether it learned from this project's own corpus: of other mail the card cannot know."""
    return _CORPUS in settings.data.messages


def _on_the_hub(settings: Settings) -> str | None:
    if settings.training.revision:
        return settings.training.base
    return _HUB_NAMES.get(settings.training.sha256)
