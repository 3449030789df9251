"""What a model folder holds: the contract between training and everything that loads a model.

It is a standard Hugging Face folder (``config.json``, ``model.safetensors``, ``tokenizer.json`` …)
that any loader understands, with calibration already folded into the classifier's weights. Beside
it stand ``onnx/model.onnx``, the same graph for ONNX Runtime, and ``outreach.json``, the few facts
that a Hugging Face config has no place for.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationError

from pipeline.errors import ModelFolderError
from pipeline.settings import Cleaning, LongMessages, Section, Share, Task

FORMAT = 1
"""Raised when a folder of this layout can no longer be read by an older version."""

CONTRACT = "outreach.json"
TOKENIZER = "tokenizer.json"
WEIGHTS = "model.safetensors"
ONNX = Path("onnx") / "model.onnx"
REFERENCE = "reference"


class Contract(Section):
    """The content of ``outreach.json``."""

    format: int
    """The layout's version."""
    version: str
    """The version of outreach-intent that made the folder."""
    task: Task
    thresholds: tuple[Share, ...]
    """Per label, in task order: the probability from which an ask counts (unused where the task
    is single-label)."""
    max_length: Annotated[int, Field(gt=0)]
    """Tokens read of a message."""
    long_messages: LongMessages = "head"
    """What is read of a longer one."""
    cleaning: Cleaning
    """What happened to the messages it learned from, and so must happen to new ones."""


def read_contract(folder: Path) -> Contract:
    """Read and check ``outreach.json``.

    Raises:
        ModelFolderError: no such folder, a file of the contract is missing or damaged, or the
            folder was made by a newer version.
    """
    if not folder.is_dir():
        raise ModelFolderError(f"{folder}: no such model folder. Train one with `make train`.")
    missing = [
        name for name in (CONTRACT, TOKENIZER, "config.json") if not (folder / name).exists()
    ]
    if missing:
        present = ", ".join(sorted(p.name for p in folder.iterdir())) or "nothing"
        raise ModelFolderError(
            f"{folder}: not a model folder of outreach-intent: {', '.join(missing)} missing; "
            f"found {present}."
        )
    text = _read(folder / CONTRACT)
    try:
        found = json.loads(text)["format"]
    except (ValueError, KeyError, TypeError):
        raise ModelFolderError(f"{folder / CONTRACT}: damaged; train or copy it again.") from None
    if found != FORMAT:
        raise ModelFolderError(
            f"{folder}: has layout {found}, this version reads layout {FORMAT}. "
            "Use the version of outreach-intent that made it, or train it again."
        )
    try:
        contract = Contract.model_validate_json(text)
    except ValidationError as error:
        fields = ", ".join(sorted({str(p["loc"][0]) for p in error.errors() if p["loc"]}))
        raise ModelFolderError(f"{folder / CONTRACT}: damaged ({fields}).") from None
    if len(contract.thresholds) != len(contract.task.labels):
        raise ModelFolderError(
            f"{folder / CONTRACT}: {len(contract.task.labels)} labels but "
            f"{len(contract.thresholds)} thresholds; train or copy it again."
        )
    return contract


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ModelFolderError(f"{path}: cannot be read ({type(error).__name__}).") from None
