"""The model card: what the model is, what it was trained on, and how well it did."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined

from pipeline.settings import Settings

_TEMPLATE = """\
---
license: apache-2.0
library_name: transformers
pipeline_tag: text-classification
language: en
tags: [outreach-intent]
---

# {{ name }}

Labels: {{ labels | join(", ") }}{{ " (several at once, or none)" if multi_label else "" }}.
Fine-tuned from `{{ base }}` with outreach-intent on {{ counts.train }} messages
({{ counts.from_public }} of them real public mail), calibrated on {{ counts.validation }}.

```python
import pipeline

clf = pipeline.load("models/{{ name }}")
clf.predict(["Could you introduce me to your editor?"])
```

It also loads with `transformers.pipeline("text-classification", model="models/{{ name }}",
top_k=None)` and with ONNX Runtime (`onnx/model.onnx`); calibration is part of the weights.
Messages are read as subject, empty line, body, up to {{ max_length }} tokens.

| label | threshold | best validation F1 |
| --- | --- | --- |
{% for row in rows -%}
| {{ row.label }} | {{ "%.2f" | format(row.threshold) }} | {{ "%.3f" | format(row.f1) }} |
{% endfor %}
The figures on messages it has not seen are in `report/index.html`.

Meant for sorting one's own mail and for research on outreach. Not meant for deciding about a
person: the labels say what a message asks for, never what its sender deserves.
"""


def write_card(
    folder: Path,
    settings: Settings,
    thresholds: Sequence[float],
    f1: Sequence[float],
    counts: Mapping[str, Any],
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
        rows=rows,
        counts=counts,
    )
    (folder / "README.md").write_text(text, encoding="utf-8")
