"""The four nouns: message, annotation, labelled message, prediction.

Each is one frozen dataclass with one Arrow schema (`arrow_schema`), and every file between stages
holds exactly one of them. `render` is the only place where a message becomes the text a model
reads, in training and in prediction alike.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

if TYPE_CHECKING:  # pyarrow costs a tenth of a second, and a one-line prediction does not need it
    import pyarrow as pa

NONE = "none"
"""The primary of a message that makes none of the asks of a multi-label task."""

UNSURE = "unsure"
"""The primary of a prediction that is less confident than it had to be."""

LongMessages = Literal["windows", "head", "head_tail"]
"""What a model reads of a message with too many tokens: all of it, in overlapping windows of which
the highest score counts; its start; or half each of both ends."""


class Record:
    """What the four nouns share: a flat row of plain values, for Arrow and for JSON."""

    __slots__ = ()
    json_fields: ClassVar[frozenset[str]] = frozenset()
    """Fields of free shape; they are stored as JSON text."""

    def to_row(self) -> dict[str, Any]:
        """The record as a dict of Arrow-ready values, in schema order."""
        row = {f.name: getattr(self, f.name) for f in fields(self)}  # type: ignore[arg-type]
        for name in self.json_fields:
            row[name] = json.dumps(row[name], ensure_ascii=False, sort_keys=True)
        return row

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Self:
        """The record of a row that `to_row` made; other columns are ignored."""
        values = {f.name: row[f.name] for f in fields(cls) if f.name in row}  # type: ignore[arg-type]
        for name, value in values.items():
            if name in cls.json_fields:
                values[name] = json.loads(value)
            elif isinstance(value, list):
                values[name] = tuple(value)
        return cls(**values)


@dataclass(frozen=True, slots=True)
class Message(Record):
    """What someone sent: the sender's own new words, and what is known around them.

    Empty strings mean "not known". The three grouping fields (`thread`, `pair`, `template`) name
    messages that must never be told apart by a split.
    """

    json_fields: ClassVar[frozenset[str]] = frozenset({"extra"})

    id: str
    text: str
    subject: str = ""
    channel: str = ""
    """email, linkedin, dm, text or forum."""
    sender: str = ""
    """A salted hash of who sent it, never the address itself."""
    sent_at: str = ""
    """ISO 8601, with zone where the source gives one."""
    thread: str = ""
    """The conversation it belongs to."""
    pair: str = ""
    """The contrast pair it belongs to: nearly the same text, another label."""
    template: str = ""
    """The group of near-duplicates it belongs to."""
    source: str = ""
    """The file it was read from, and `position` where in it (line, row, byte offset)."""
    position: str = ""
    extra: dict[str, Any] = field(default_factory=dict)
    """Every other column of the input, kept as it came."""


@dataclass(frozen=True, slots=True)
class Annotation(Record):
    """What one annotator (a person, a rule, a language model, a model) says a message asks for."""

    message: str
    annotator: str
    asks: tuple[str, ...] | None
    """The asks found; empty for "none of them"; None where the annotator abstained."""
    primary: str | None = None
    role: str = ""
    """writer, reader, gold: people; rule, llm, model: machines."""
    sure: bool = True
    confidence: float | None = None
    """0 to 1, where the annotator gives one."""
    time: str = ""
    codebook: str = ""
    """The version of the codebook it was made under."""
    suggested: bool = False
    """Whether the annotator had seen a suggestion first; false means blind."""
    note: str = ""
    """What the annotator wants to say about it."""


@dataclass(frozen=True, slots=True)
class LabelledMessage(Message):
    """A message with what its annotations resolve to.

    A subclass, so that whatever reads messages (rendering, dedup, export) reads these too.
    """

    asks: tuple[str, ...] = ()
    primary: str = NONE
    targets: tuple[float, ...] = ()
    """Per label, in the task's order, the share of annotators who found that ask (0 to 1)."""
    annotators: int = 0
    split: str = ""
    """train, validation or test."""


@dataclass(frozen=True, slots=True)
class Prediction(Record):
    """What a model says a message asks for."""

    json_fields: ClassVar[frozenset[str]] = frozenset({"scores", "extra"})

    id: str
    primary: str
    """The most probable ask, or `none`; `unsure` where the model is less sure than asked for."""
    asks: tuple[str, ...]
    """Every ask above its threshold, in label order."""
    scores: dict[str, float]
    """Label to calibrated probability, in label order."""
    extra: dict[str, Any] = field(default_factory=dict)
    """The input's other columns, as they came."""

    @property
    def confidence(self) -> float:
        """The probability of what `primary` says: that ask, or of `none` that no ask is made.

        Of `unsure`, that of the likelier of the two.
        """
        most = max(self.scores.values())
        if self.primary in self.scores:
            return self.scores[self.primary]
        return 1 - most if self.primary == NONE else max(most, 1 - most)


@dataclass(frozen=True, slots=True)
class Rejection(Record):
    """A record of the input that became no message: nothing is lost, and nothing silently."""

    source: str
    position: str
    reason: str
    """One of a short fixed list, so that it can be counted: `empty_text`, `not_json` …"""
    detail: str = ""
    """What was expected and found. Never the text of the message."""
    record: str = ""
    """The rejected record as it stood, so that it can be mended and read again."""


def arrow_schema(kind: type[Record]) -> pa.Schema:
    """The Arrow schema of one of the nouns, derived from its fields."""
    import pyarrow as pa

    types: dict[str, pa.DataType] = {
        "str": pa.string(),
        "str | None": pa.string(),
        "bool": pa.bool_(),
        "int": pa.int64(),
        "float | None": pa.float64(),
        "tuple[str, ...]": pa.list_(pa.string()),
        "tuple[str, ...] | None": pa.list_(pa.string()),
        "tuple[float, ...]": pa.list_(pa.float64()),
        "dict[str, Any]": pa.string(),
        "dict[str, float]": pa.string(),
    }
    return pa.schema([(f.name, types[str(f.type)]) for f in fields(kind)])  # type: ignore[arg-type]


def to_table(records: Iterable[Record], kind: type[Record]) -> pa.Table:
    """Records of one kind as an Arrow table with that kind's schema."""
    import pyarrow as pa

    schema = arrow_schema(kind)
    rows = [record.to_row() for record in records]
    # By column: from rows, Arrow takes several times as long.
    columns = {name: [row[name] for row in rows] for name in schema.names}
    return pa.Table.from_pydict(columns, schema=schema)


def render(subject: str, text: str) -> str:
    """The one text a model reads of a message: its subject, an empty line, its body.

    >>> render("A question", "What is it like to teach?").splitlines()
    ['A question', '', 'What is it like to teach?']
    >>> render("", " hiring? ")
    'hiring?'
    """
    return f"{subject.strip()}\n\n{text.strip()}".strip()
