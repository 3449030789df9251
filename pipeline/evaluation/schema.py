"""What stands in ``metrics.json``: its JSON Schema, for tools and for tests."""

import json
from importlib import resources
from typing import Any


def schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of a report's ``metrics.json``."""
    file = resources.files("pipeline.evaluation").joinpath("data", "metrics.schema.json")
    content: dict[str, Any] = json.loads(file.read_text("utf-8"))
    return content
