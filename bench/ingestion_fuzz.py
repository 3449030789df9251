"""Mutated files of every format through the readers: no crash, no hang, nothing lost.

    python bench/ingestion_fuzz.py                  # 100,000 inputs over all formats
    python bench/ingestion_fuzz.py --inputs 5000

Every record must come out as a message or a rejection; `not_parsed` (a defect caught at the last
moment), `too_slow`, and another number of records than a plain count of the file gives (for mbox and
JSON Lines) count as failures here. The inputs depend on the seed only.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "ingestion"))

from conftest import formats
from test_safety import mutated_file, records_in

from pipeline.errors import InputError
from pipeline.ingestion.finish import Plan, finish
from pipeline.ingestion.sources import scan
from pipeline.records import Message
from pipeline.settings import Cleaning, Columns


def one(path: Path) -> Counter[str]:
    """What came of one file."""
    counts: Counter[str] = Counter()
    plan = Plan(Cleaning())
    try:
        for record in scan(path, Columns()):
            done = finish(record, plan)
            counts["message" if isinstance(done, Message) else done.reason] += 1
    except InputError:
        counts["refused file"] += 1
    return counts


def main() -> int:
    """Print what came of all inputs; 1 if any failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    rng = random.Random(arguments.seed)
    samples = sorted(formats().items())
    total: Counter[str] = Counter()
    failures: list[str] = []
    slowest = 0.0
    with tempfile.TemporaryDirectory() as folder:
        for number in range(arguments.inputs):
            name, data = samples[number % len(samples)]
            path = Path(folder) / name
            content = mutated_file(name, data, rng)
            path.write_bytes(content)
            started = time.process_time()
            try:
                counts = one(path)
            except Exception as error:  # noqa: BLE001 (that is what is looked for)
                failures.append(f"{name}, input {number}: {type(error).__name__}")
                continue
            slowest = max(slowest, time.process_time() - started)
            records = sum(counts.values())
            lost = not counts["refused file"] and records != (records_in(name, content) or records)
            if counts["not_parsed"] or counts["too_slow"] or lost:
                failures.append(f"{name}, input {number}: {dict(counts)}")
            total += counts
    print(f"{arguments.inputs:,} inputs over {len(samples)} formats, {len(failures)} failures")
    print(f"slowest input: {slowest:.2f} s of processor time")
    print(", ".join(f"{reason} {count:,}" for reason, count in total.most_common()))
    print("\n".join(failures[:20]))
    return bool(failures)


if __name__ == "__main__":
    sys.exit(main())
