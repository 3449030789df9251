"""Does the sentence that `explain` shows make the ask? Beside the corpus's own evidence passages.

Hit: a sentence holds the passage that its author marked for that ask. `first` is the strongest
sentence alone; `shown` is what `explain` shows, which is sometimes two sentences (`each` says how
many on average; `first two` is what always showing two would give). A passage of several sentences
cannot be held by one, so `or part` also counts a first sentence that is part of it. Faithful:
leaving the first sentence out lowers the score (`lowers`; `2nd lowers` of the second sentences
shown), and by more than leaving out a random other sentence does (`beats random`;
comprehensiveness, DeYoung et al., ERASER, ACL 2020). All count (message, ask) pairs that the model
found and the corpus marks.
"""

import argparse
import json
import random
from pathlib import Path
from typing import Any

import numpy as np

from pipeline import load
from pipeline.inference.classifier import Classifier
from pipeline.inference.explain import Effects, sentence_effects, strongest
from pipeline.inference.sentences import sentence_places
from pipeline.ingestion.prepare import prepare
from pipeline.records import LabelledMessage, render
from pipeline.store import read_records

RULES = {
    "left out": lambda e: e.lost,
    "kept alone": lambda e: e.alone,
    "both (what is shown)": lambda e: e.weight,
}
COLUMNS = ("first", "shown", "each", "first two", "or part", "lowers", "beats random", "2nd lowers")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, default=Path("models/default"))
    parser.add_argument("--backend", default="auto", help="auto, onnx, onnx-int8 or torch")
    parser.add_argument("--splits", type=Path, default=Path("data/processed/default/label"))
    parser.add_argument("--split", default="test")
    parser.add_argument("--messages", type=int, default=0, help="only so many; 0: all")
    given = parser.parse_args()
    classifier = load(given.model, backend=given.backend)
    cases = _cases(classifier, given)
    texts = [text for text, _ in cases]
    predictions = classifier.predict(texts)
    places = [
        sentence_places(text[:end])
        for text, end in zip(texts, classifier.encode.read_until(texts), strict=True)
    ]
    effects = sentence_effects(classifier.predict_proba, texts, places)
    pairs = [
        (row, classifier.labels.index(label), passage)
        for row, (_, marked) in enumerate(cases)
        for label, passage in marked.items()
        if label in predictions[row].asks
    ]
    asked = sum(len(marked) for _, marked in cases)
    print(f"{len(cases)} messages, {asked} marked asks, {len(pairs)} of them found by the model")
    possible = [any(_holds(texts[r][a:b], p) for a, b in places[r]) for r, _, p in pairs]
    print(f"some sentence holds the passage: {np.mean(possible):.1%}")
    print(f"{'':22}" + "".join(f"{name:>13}" for name in COLUMNS))
    for name, rule in RULES.items():
        print(f"{name:22}" + _row(pairs, texts, places, effects, rule))


def _cases(classifier: Classifier, given: argparse.Namespace) -> list[tuple[str, dict[str, str]]]:
    lines = Path("data/raw/evidence.jsonl").read_text(encoding="utf-8").splitlines()
    evidence = {row["message"]: row["evidence"] for row in map(json.loads, lines)}
    messages = read_records(given.splits / f"{given.split}.parquet", LabelledMessage)
    marked = [m for m in messages if evidence.get(m.id)]
    marked = marked[: given.messages or None]
    prepared = [prepare(m, classifier.cleaning) for m in marked]
    return [(render(m.subject, m.text), evidence[m.id]) for m in prepared]


def _row(
    pairs: list[tuple[int, int, str]],
    texts: list[str],
    places: list[list[tuple[int, int]]],
    effects: list[Effects],
    rule: Any,
) -> str:
    draw = random.Random(7)
    hits, shown, counts, two, parts, lower, more, second = ([] for _ in COLUMNS)
    for row, column, passage in pairs:
        weights = rule(effects[row])[:, column]
        best, *_ = chosen = strongest(weights)
        held = [_holds(texts[row][start:end], passage) for start, end in places[row]]
        start, end = places[row][best]
        hits.append(held[best])
        both = " ".join(texts[row][slice(*places[row][i])] for i in sorted(chosen))
        shown.append(_holds(both, passage))
        counts.append(len(chosen))
        two.append(any(held[i] for i in np.argsort(-weights, kind="stable")[:2]))
        parts.append(held[best] or _holds(passage, texts[row][start:end]))
        fall = effects[row].without[best, column]
        lower.append(fall > 0)
        second += [effects[row].without[i, column] > 0 for i in chosen[1:]]
        others = [i for i in range(len(places[row])) if i != best]
        if others:
            more.append(fall > effects[row].without[draw.choice(others), column])
    cells = (hits, shown, counts, two, parts, lower, more, second)
    forms = ("13.1%", "13.1%", "13.2f", *["13.1%"] * 5)
    return "".join(f"{np.mean(cell):{form}}" for cell, form in zip(cells, forms, strict=True))


def _holds(sentence: str, passage: str) -> bool:
    return _bare(passage) in _bare(sentence)


def _bare(text: str) -> str:
    return "".join(c for c in text.lower() if c.isalnum())


if __name__ == "__main__":
    main()
