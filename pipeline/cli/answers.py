"""Answers for people's eyes: a table, and messages with the sentence that makes each ask.

Written without a library, as the first answer must come at once.
"""

import shutil
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import IO, TYPE_CHECKING

from pipeline.records import NONE, UNSURE, render

if TYPE_CHECKING:
    from pipeline.inference.explain import Explanation, Span
    from pipeline.inference.stream import Answered

_AT_A_TIME = 512
_BOLD, _DIM, _MARK, _PLAIN = "\x1b[1m", "\x1b[2m", "\x1b[30;43m", "\x1b[0m"
_WORD = "\x1b[30;43;1;4m"


def write_table(answered: "Iterable[Answered]", stream: IO[str]) -> None:
    """One line a message; for a long input the table grows as answers come."""
    is_terminal = stream.isatty()
    width = shutil.get_terminal_size((110, 24)).columns if is_terminal else 110
    left: Iterator[Answered] = iter(answered)
    widths: list[int] = []
    while chunk := list(islice(left, _AT_A_TIME)):
        rows = [_cells(entry) for entry in chunk]
        if not widths:
            heads = ("primary", "asks", "scores", "message")
            widths = [max(len(r[i]) for r in [heads, *rows]) for i in range(3)]
            _write_row(stream, heads, widths, width, _BOLD if is_terminal else "")
        for entry, row in zip(chunk, rows, strict=True):
            _write_row(stream, row, widths, width, "")
            if entry.explanation is not None:
                _write_reasons(stream, entry.explanation, is_terminal)
    stream.flush()


def _cells(entry: "Answered") -> tuple[str, str, str, str]:
    found = entry.prediction
    best = sorted(found.scores.items(), key=lambda pair: -pair[1])[:3]
    asks = ", ".join(found.asks) or (UNSURE if found.primary == UNSURE else NONE)
    scores = "  ".join(f"{label} {score:.2f}" for label, score in best)
    text = printable(" ".join(render(entry.message.subject, entry.message.text[:400]).split()))
    return found.primary, asks, scores, text


def _write_row(
    stream: IO[str], cells: Iterable[str], widths: list[int], width: int, style: str
) -> None:
    *first, text = cells
    start = "  ".join(cell.ljust(n) for cell, n in zip(first, widths, strict=True))
    room = max(width - len(start) - 2, 20)
    shown = text if len(text) <= room else text[: room - 1] + "…"
    line = f"{start}  {shown}".rstrip()
    stream.write(f"{style}{line}{_PLAIN}\n" if style else f"{line}\n")


def _write_reasons(stream: IO[str], explanation: "Explanation", colour: bool) -> None:
    for reason in explanation.reasons:
        sentence = marked(explanation.text, reason.sentence, reason.words, colour)
        stream.write(f"    {reason.label}: {sentence}\n")
        for span in reason.also:
            also = marked(explanation.text, span, (), colour)
            stream.write(f"    {reason.label}, also: {also}\n")


def write_explanations(explanations: "Iterable[Explanation]", stream: IO[str]) -> None:
    """Each message whole, with its answer above and the sentence of each ask marked."""
    colour = stream.isatty()
    for number, found in enumerate(explanations):
        if number:
            stream.write("\n")
        prediction = found.prediction
        head = f"{prediction.id}: {', '.join(prediction.asks) or prediction.primary}"
        stream.write(f"{_BOLD}{head}{_PLAIN}\n" if colour else f"{head}\n")
        for reason in found.reasons:
            words = ", ".join(printable(word.text) for word in reason.words)
            stream.write(
                f"  {reason.label} {reason.score:.2f}, {reason.score - reason.sentence.moved:.2f} "
                f"without: {marked(found.text, reason.sentence, reason.words, colour)}"
                + (f"  [{words}]" if words and not colour else "")
                + "\n"
            )
            for span in reason.also:
                left = reason.score - span.moved
                also = marked(found.text, span, (), colour)
                stream.write(f"  {reason.label}, also: {left:.2f} without: {also}\n")
        if not found.reasons:
            scores = ", ".join(f"{name} {score:.2f}" for name, score in prediction.scores.items())
            stream.write(f"  no ask found ({scores})\n")
        if colour:
            stream.write(f"{_DIM}{printable(found.text[:2000])}{_PLAIN}\n")


def marked(text: str, sentence: "Span", words: "Iterable[Span]", colour: bool) -> str:
    """The sentence on one line; with colour, on a bright ground and its words underlined."""
    if not colour:
        return printable(sentence.text)
    pieces, at = [_MARK], sentence.start
    for word in words:
        pieces += [printable(text[at : word.start]), _WORD, printable(word.text), _PLAIN, _MARK]
        at = word.end
    pieces += [printable(text[at : sentence.end]), _PLAIN]
    return "".join(pieces)


def printable(text: str) -> str:
    """The text without what would steer a terminal: control characters become spaces."""
    return "".join(c if c.isprintable() or c == "\n" else " " for c in text).replace("\n", " ")
