"""How do time and memory of near-duplicate grouping grow, and does it find what is there?

    python -m bench ingestion_duplicates                     # a quarter, half, all of 1,000,000
    python -m bench ingestion_duplicates --messages 100000   # a quick look

Three of ten messages are written from one of 2,000 templates with other names, companies and
numbers; the others are words drawn at random, so that no two are alike ("wrongly grouped" counts
those that are in a group all the same). Each size is a process of its own, so its peak memory is its
own too, the text generator's included.
"""

from __future__ import annotations

import argparse
import multiprocessing
import random
import resource
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from pipeline.ingestion.dedupe import TemplateFinder, sketch

WORDS = [a + b + c for a in ("ba", "ke", "li", "mo", "ru") for b in ("na", "te", "vo", "sh", "ri")
         for c in ("", "n", "s", "ta", "ldo", "m", "ck", "re")]  # fmt: skip
NAMES = ["Ann", "Priya", "Jean", "Mei", "Omar", "Lena", "Cy", "Bo", "Ines", "Tariq"]
SIMILARITY = 0.8


def words(rng: random.Random, count: int) -> str:
    """So many made-up words."""
    return " ".join(rng.choices(WORDS, k=count))


def texts(count: int) -> Iterator[tuple[int, str]]:
    """Yield (template or -1, text)."""
    rng = random.Random(11)
    templates = [(words(rng, 25), words(rng, 30)) for _ in range(2_000)]
    for _ in range(count):
        if rng.random() < 0.3:
            number = rng.randrange(len(templates))
            first, second = templates[number]
            who = f"{rng.choice(NAMES)} {rng.choice(WORDS).title()}"
            yield (
                number,
                f"Hi {who}, {first} at {rng.choice(WORDS).title()} {rng.randint(1, 99)} {second}",
            )
        else:
            yield -1, f"Hi {rng.choice(NAMES)}, {words(rng, rng.randint(40, 80))}"


def group(count: int) -> dict[str, float]:
    """Group so many messages; seconds, peak megabytes, and how much of what was planted is found."""
    planted: list[int] = []
    spent = 0.0
    with tempfile.TemporaryDirectory() as name, TemplateFinder(SIMILARITY, Path(name)) as finder:
        for batch in batched_texts(count):
            planted += [template for template, _ in batch]
            began = time.process_time()
            found = sketch([text for _, text in batch], SIMILARITY)
            finder.add(found.grams_by_text(), found.bands)
            spent += time.process_time() - began
        began = time.process_time()
        groups = finder.groups()
        spent += time.process_time() - began
    truth = np.array(planted)
    among = np.bincount(truth[truth >= 0])
    # Of each template the group that most of its messages are in; the others were missed.
    grouped = (truth >= 0) & (groups >= 0)
    pairs, counts = np.unique(
        np.stack([truth[grouped], groups[grouped]]), axis=1, return_counts=True
    )
    best = np.zeros(len(among), dtype=int)
    np.maximum.at(best, pairs[0], counts)
    return {
        "seconds": spent,
        "megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000,
        "found": best.sum() / among[among > 1].sum(),
        "wrong": float((groups[truth < 0] >= 0).mean()),
    }


def batched_texts(count: int) -> Iterator[list[tuple[int, str]]]:
    """Yield the texts 256 at a time, as the stage does."""
    waiting: list[tuple[int, str]] = []
    for item in texts(count):
        waiting.append(item)
        if len(waiting) == 256:
            yield waiting
            waiting = []
    if waiting:
        yield waiting


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=1_000_000)
    arguments = parser.parse_args()
    print(
        "| messages | processor seconds | per 100,000 | peak memory | templates found | wrongly grouped |"
    )
    print("| --- | --- | --- | --- | --- | --- |")
    for share in (4, 2, 1):
        count = arguments.messages // share
        context = multiprocessing.get_context("fork")
        results = context.SimpleQueue()
        process = context.Process(target=lambda n, q: q.put(group(n)), args=(count, results))
        process.start()
        result = results.get()
        process.join()
        print(
            f"| {count:,} | {result['seconds']:.1f} | {result['seconds'] / count * 1e5:.1f} "
            f"| {result['megabytes']:.0f} MB | {result['found']:.2%} | {result['wrong']:.3%} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
