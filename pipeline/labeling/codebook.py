"""The codebook: what people and language models label by, and which version of it that was."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import InputError
from pipeline.labeling.log import latest
from pipeline.records import Annotation


@dataclass(frozen=True)
class Codebook:
    """A codebook's Markdown text and its version, such as ``1.2-3f9a2b1c``."""

    text: str
    version: str


def read_codebook(path: Path) -> Codebook:
    """Read a codebook.

    Its version is the number after the word "Version" near its top, if there is one, and the start
    of its text's SHA-256: so an edit shows even where nobody changed the number.

    Raises:
        InputError: the file is missing or is not UTF-8 text.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"{path}: no codebook can be read there ({type(error).__name__}). "
            "Write down what each label means and set label.codebook to that file."
        ) from None
    number = re.search(r"(?im)^\W*version\s+(\d[\w.]*\w|\d)", text)
    digest = hashlib.sha256(text.encode()).hexdigest()[:8]
    return Codebook(text, f"{number[1]}-{digest}" if number else digest)


def outdated(annotations: Iterable[Annotation], codebook: Codebook) -> list[Annotation]:
    """The standing answers made under another version of the codebook.

    Those that do not say under which they were made are not counted.
    """
    return [
        annotation
        for annotation in latest(annotations)
        if annotation.asks is not None and annotation.codebook not in ("", codebook.version)
    ]


def outdated_in_words(annotations: Iterable[Annotation], codebook: Codebook) -> str:
    """A line that says how many answers are older than the codebook; empty where none is."""
    versions = Counter(annotation.codebook for annotation in outdated(annotations, codebook))
    if not versions:
        return ""
    listed = ", ".join(f"{count} under {version}" for version, count in sorted(versions.items()))
    return (
        f"The codebook is now {codebook.version}, but annotations were made under others: "
        f"{listed}. They still count; `outreach label review --outdated` shows them again."
    )


def gist(codebook: Codebook, label: str) -> str:
    """What the codebook's table of labels says beside a label, or nothing.

    >>> gist(Codebook("| `lead` | a **path** to work | forms |", "1"), "lead")
    'a path to work'
    """
    row = re.search(rf"(?m)^\|\s*`{re.escape(label)}`\s*\|([^|\n]+)\|", codebook.text)
    return row[1].replace("**", "").strip() if row else ""
