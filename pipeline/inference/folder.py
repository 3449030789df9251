"""What a model folder holds: the contract between training and everything that loads a model.

It is a standard Hugging Face folder (``config.json``, ``model.safetensors``, ``tokenizer.json`` …)
that any loader understands, with calibration already folded into the classifier's weights. Beside
it stand ``onnx/``, the same network for ONNX Runtime, ``student/``, its fast student, and
``outreach.json``, the few facts that a Hugging Face config has no place for.

Reading it costs no more than the standard library: a one-line prediction starts here.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, get_args

from pipeline.errors import ModelFolderError
from pipeline.records import LongMessages

FORMAT = 1
"""Raised when a folder of this layout can no longer be read by an older version."""

CONTRACT = "outreach.json"
TOKENIZER = "tokenizer.json"
WEIGHTS = "model.safetensors"
ONNX = Path("onnx") / "model.onnx"
ONNX_INT8 = Path("onnx") / "model_quantized.onnx"
"""These two carry the names that transformers.js looks for (`dtype: "fp32"` and `"q8"`)."""
REFERENCE = "reference"
STUDENT = Path("student") / "student.npz"
MANIFEST = "manifest.json"

_AGAIN = "train or copy it again."


@dataclass(frozen=True, slots=True)
class TaskFacts:
    """What of `pipeline.settings.Task` a prediction needs."""

    labels: tuple[str, ...]
    multi_label: bool


@dataclass(frozen=True, slots=True)
class CleaningFacts:
    """`pipeline.settings.Cleaning` as the folder remembers it."""

    own_words: bool
    redact: tuple[str, ...]
    names: bool


@dataclass(frozen=True, slots=True)
class Contract:
    """The content of ``outreach.json``."""

    format: int
    """The layout's version."""
    version: str
    """The version of outreach-intent that made the folder."""
    task: TaskFacts
    thresholds: tuple[float, ...]
    """Per label, in task order: the probability from which an ask counts (unused where the task
    is single-label)."""
    max_length: int
    """Tokens read of a message, or of a window of it."""
    cleaning: CleaningFacts
    """What happened to the messages it learned from, and so must happen to new ones."""
    long_messages: LongMessages = "head"
    """What is read of a message longer than `max_length`."""

    def to_json(self) -> str:
        """The file's text."""
        return json.dumps(asdict(self), indent=2) + "\n"


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
    path = folder / CONTRACT
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        found = values["format"]
    except OSError as error:
        raise ModelFolderError(f"{path}: cannot be read ({type(error).__name__}).") from None
    except (ValueError, KeyError, TypeError):
        raise ModelFolderError(f"{path}: damaged; {_AGAIN}") from None
    if found != FORMAT:
        raise ModelFolderError(
            f"{folder}: has layout {found}, this version reads layout {FORMAT}. "
            "Use the version of outreach-intent that made it, or train it again."
        )
    contract = _contract(values, path)
    if len(contract.thresholds) != len(contract.task.labels):
        raise ModelFolderError(
            f"{path}: {len(contract.task.labels)} labels but {len(contract.thresholds)} "
            f"thresholds; {_AGAIN}"
        )
    return contract


def check_files(folder: Path, names: Iterable[str | Path]) -> None:
    """Refuse files of the folder that are not what its manifest says they were when it was made.

    Sizes and SHA-256 digests; a folder without a manifest (a download of only the files that some
    loader wanted) is taken as it is.

    Raises:
        ModelFolderError: a file is missing or altered, or the manifest is damaged.
    """
    path = folder / MANIFEST
    if not path.is_file():
        return
    try:
        outputs = json.loads(path.read_text(encoding="utf-8"))["outputs"]
        expected = {str(n): (entry["bytes"], entry["sha256"]) for n, entry in outputs.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise ModelFolderError(f"{path}: damaged; {_AGAIN}") from None
    for name in map(str, (Path(name).as_posix() for name in names)):
        if name in expected:
            _check_file(folder / name, *expected[name])


def recorded_files(folder: Path) -> list[str]:
    """The files that the folder's manifest lists; empty where it has none."""
    try:
        return list(json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["outputs"])
    except (OSError, ValueError, KeyError, TypeError):
        return []


def _check_file(path: Path, size: int, sha256: str) -> None:
    try:
        found = path.stat().st_size
        if found != size:
            raise ModelFolderError(
                f"{path}: altered since the model was made ({found:,} bytes, expected {size:,}); "
                f"{_AGAIN}"
            )
        with path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise ModelFolderError(f"{path}: cannot be read ({error.strerror}); {_AGAIN}") from None
    if digest != sha256:
        raise ModelFolderError(
            f"{path}: altered since the model was made (SHA-256 {digest[:12]}…, expected "
            f"{sha256[:12]}…); {_AGAIN}"
        )


def _contract(values: Mapping[str, Any], path: Path) -> Contract:
    task, cleaning = values.get("task"), values.get("cleaning")
    checks = {
        "version": isinstance(values.get("version"), str),
        "task": isinstance(task, dict)
        and _texts(task.get("labels"))
        and isinstance(task.get("multi_label"), bool),
        "thresholds": isinstance(values.get("thresholds"), list)
        and all(isinstance(t, int | float) and 0 <= t <= 1 for t in values["thresholds"]),
        "max_length": isinstance(values.get("max_length"), int) and values["max_length"] > 0,
        "cleaning": isinstance(cleaning, dict)
        and _texts(cleaning.get("redact"))
        and all(isinstance(cleaning.get(name), bool) for name in ("own_words", "names")),
        "long_messages": values.get("long_messages", "head") in get_args(LongMessages),
    }
    damaged = [name for name, good in checks.items() if not good]
    if damaged or not isinstance(task, dict) or not isinstance(cleaning, dict):
        raise ModelFolderError(f"{path}: damaged ({', '.join(damaged)}); {_AGAIN}")
    return Contract(
        values["format"],
        values["version"],
        TaskFacts(tuple(task["labels"]), task["multi_label"]),
        tuple(float(t) for t in values["thresholds"]),
        values["max_length"],
        CleaningFacts(cleaning["own_words"], tuple(cleaning["redact"]), cleaning["names"]),
        values.get("long_messages", "head"),
    )


def _texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(entry, str) for entry in value)
