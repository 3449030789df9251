"""Swap what should not matter in a message: names, schools, cues, forms of address, slips.

The kinds stand with their sources in ``data/swaps.yaml``. A message becomes one variant per group
of a kind, and the variants differ in nothing else, so that they can be compared with one another.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import Any

import yaml

from pipeline.training.augment import GREETING, SIGN_OFF


@dataclass(frozen=True)
class Swap:
    """One kind of swap."""

    kind: str
    how: str
    """sign_off, greeting, sentence or wording."""
    source: str
    groups: Mapping[str, list[str]] = field(default_factory=dict)
    sentence: str = "{}"
    words: Mapping[str, str] = field(default_factory=dict)

    def variants(self, name: str, text: str) -> dict[str, str]:
        """The message's text once per group; empty where this kind does not touch the message.

        Args:
            name: the message's id; it alone decides which value of a group is taken.
            text: its body.
        """
        if self.how == "wording":
            return _slips(text, self.words)
        place = int(hashlib.sha256(f"{self.kind} {name}".encode()).hexdigest(), 16)
        make = {"sign_off": _signed, "greeting": _greeted, "sentence": self._told}[self.how]
        return {
            group: make(text, values[place % len(values)]) for group, values in self.groups.items()
        }

    def _told(self, text: str, value: str) -> str:
        said = self.sentence.format(value)
        greeting = GREETING.match(text)
        end = greeting.end() if greeting else 0
        start = text[:end] + (" " if end and not text[:end].endswith(("\n", " ")) else "")
        return f"{start}{said} {text[end:].lstrip()}"


def _signed(text: str, name: str) -> str:
    end = SIGN_OFF.search(text)
    return f"{text[: end.start()] if end else text.rstrip()}\n{name}"


def _greeted(text: str, words: str) -> str:
    greeting = GREETING.match(text)
    return f"{words},\n{text[greeting.end() :].lstrip() if greeting else text.lstrip()}"


def _slips(text: str, words: Mapping[str, str]) -> dict[str, str]:
    """The text with slips made, against the text with slips mended."""
    made = mended = text
    for right, wrong in words.items():
        made = re.sub(rf"\b{re.escape(right)}\b", wrong, made)
        if len(right.split()) == 1:  # "at" for "at the" cannot be told from a right "at"
            mended = re.sub(rf"\b{re.escape(wrong)}\b", right, mended)
    return {"mended": mended, "with slips": made} if made != mended else {}


@cache
def load_swaps() -> tuple[Swap, ...]:
    """The kinds of swaps that the package ships."""
    return tuple(Swap(**entry) for entry in read_data("swaps.yaml"))


def read_data(name: str) -> Any:
    """The content of one of the package's data files."""
    text = resources.files("pipeline.evaluation").joinpath("data", name).read_text("utf-8")
    return yaml.safe_load(text)
