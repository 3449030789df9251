"""How long a report on a large test set takes, the model's own time aside, and how big it gets.

    python -m bench report [--rows 50000]

Messages and scores are drawn at random. What is timed: bootstrap, slices, search, curves, mistakes,
page. The swaps and the behaviour suite ask the model again; a free stand-in answers here.
"""

import argparse
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from pipeline.evaluation.analysis import Model, analyse
from pipeline.evaluation.gold import GoldSet, Scores
from pipeline.evaluation.report import write_page
from pipeline.records import LabelledMessage
from pipeline.settings import Evaluation
from pipeline.store import write_json

LABELS = ("information", "influence", "job_lead")
MOST_SECONDS, MOST_BYTES = 60, 5_000_000


def _messages(rows: int, asks: np.ndarray) -> tuple[LabelledMessage, ...]:
    generator = np.random.default_rng(1)
    words = ["hello", "could", "you", "tell", "me", "Dana", "about", "the", "harbour.", "Thanks!"]
    made = []
    for i in range(rows):
        found = tuple(label for label, is_so in zip(LABELS, asks[i], strict=True) if is_so)
        made.append(
            LabelledMessage(
                id=f"b{i}",
                text=" ".join(generator.choice(words, generator.integers(5, 120))),
                channel=("email", "linkedin", "dm", "text", "forum")[i % 5],
                template=f"t{i // 3}" if i % 2 else "",
                source=f"source {i % 7}",
                asks=found,
                primary=found[0] if found else "none",
                extra={
                    "origin": ("written", "public")[i % 2],
                    "relation": ("stranger", "weak_tie", "known")[i % 3],
                    "career_stage": ("student", "early", "mid", "senior")[i % 4],
                    "cues": [[], ["family"], ["alma_mater"]][i % 3],
                },
            )
        )
    return tuple(made)


def main() -> int:
    """Make a report and say whether it kept its limits."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=50_000)
    rows = parser.parse_args().rows
    generator = np.random.default_rng(0)
    probabilities = generator.random((rows, 3)) ** 2
    asks = generator.random((rows, 3)) < probabilities
    gold = GoldSet(_messages(rows, asks), LABELS, multi_label=True)

    def score(texts):  # type: ignore[no-untyped-def]
        return generator.random((len(texts), 3))

    thresholds = np.full(3, 0.5)
    model = Model("bench", LABELS, True, thresholds, score)
    said = {
        who: Scores.decide(probabilities, thresholds, multi_label=True)
        for who in ("model", "reference")
    }
    wall, used = time.perf_counter(), time.process_time()
    found = analyse(gold, model, said, Evaluation(), 13)
    with tempfile.TemporaryDirectory() as folder:
        write_page(Path(folder) / "index.html", found, "bench", thresholds)
        write_json(Path(folder) / "metrics.json", found.flat())
        size = (Path(folder) / "index.html").stat().st_size
    wall, used = time.perf_counter() - wall, time.process_time() - used
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{rows:,} rows: {wall:.1f} s wall, {used:.1f} s of processor time, page "
        f"{size / 1e6:.2f} MB, peak memory {memory:.0f} MB"
    )
    kept = wall < MOST_SECONDS and size < MOST_BYTES
    print(f"limits ({MOST_SECONDS} s, {MOST_BYTES / 1e6:g} MB) {'kept' if kept else 'NOT kept'}")
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
