"""Messages a second and cold start, beside `transformers.pipeline` on the same model and texts.

Both answer the same messages in turn, round after round, so that a change of the machine's mood
falls on both; what to quote are the ratios' medians.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from pipeline import load
from pipeline.records import render

ONE = "Could you introduce me to your editor?"
OURS = "import sys, pipeline; pipeline.load(sys.argv[1]).predict([sys.argv[2]])"
PEER = (
    "import sys; from transformers import pipeline; "
    "pipeline('text-classification', model=sys.argv[1], top_k=None, device='cpu')([sys.argv[2]])"
)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=Path("models/default"))
    parser.add_argument("--messages", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    lines = Path("data/raw/messages.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines[:: len(lines) // given.messages]]
    texts = [render(row["subject"], row["text"]) for row in rows]

    ours, peer = _predictors(given.model, texts)
    rates = _in_turn(ours, peer, given.rounds, units=len(texts))
    _show("messages a second", rates, "higher is better", "{:.0f}")
    starts = [
        tuple(_seconds(code, given.model) for code in (OURS, PEER)) for _ in range(given.rounds)
    ]
    _show("one message from a cold start, s", starts, "lower is better", "{:.2f}")


def _predictors(model: Path, texts: list[str]) -> tuple[Callable[[], object], ...]:
    from transformers import pipeline as transformers_pipeline
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    classifier = load(model)
    classify = transformers_pipeline(
        "text-classification", model=str(model), top_k=None, device="cpu", batch_size=32
    )
    return lambda: classifier.predict(texts), lambda: classify(texts, truncation=True)


def _in_turn(
    ours: Callable[[], object], peer: Callable[[], object], rounds: int, units: int
) -> list[tuple[float, ...]]:
    ours(), peer()  # warm both up
    return [tuple(units / _timed(work) for work in (ours, peer)) for _ in range(rounds)]


def _timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _seconds(code: str, model: Path) -> float:
    command = [sys.executable, "-c", code, str(model), ONE]
    return _timed(lambda: subprocess.run(command, check=True, capture_output=True))


def _show(what: str, pairs: list[tuple[float, ...]], direction: str, form: str) -> None:
    ours, peer = (statistics.median(column) for column in zip(*pairs, strict=True))
    ratio = statistics.median(a / b for a, b in pairs)
    print(f"{what} ({direction}; medians of {len(pairs)} rounds)")
    print(f"  outreach-intent        {form.format(ours)}")
    print(f"  transformers.pipeline  {form.format(peer)}")
    print(f"  ratio                  {ratio:.2f}")


if __name__ == "__main__":
    main()
