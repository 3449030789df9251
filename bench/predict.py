"""How fast prediction is, beside `transformers.pipeline` and a hand-sorted torch loop.

One model, the same texts, the same cores. All answer in turn, round after round, so that a change
of the machine's mood falls on all; what to quote are the medians of the rounds' ratios. Processor
seconds stand beside wall seconds: on a busy machine they are the steadier of the two.

Parts: throughput, cold (one line from a cold start), curve (quality at each speed, on the test
split), archive (a long JSON Lines file through the command).
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from pipeline import load
from pipeline.inference.backends import cores
from pipeline.inference.encoding import Encoder, batches, pad
from pipeline.records import render

ONE = "Could you introduce me to your editor?"
OUTREACH = [sys.executable, "-m", "pipeline", "predict"]
PEER = (
    "import sys; from transformers import pipeline; "
    "print(pipeline('text-classification', model=sys.argv[1], top_k=None, device='cpu')"
    "([sys.argv[2]]))"
)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", default=["throughput", "cold", "curve", "archive"])
    parser.add_argument("--model", type=Path, default=Path("models/default"))
    parser.add_argument("--messages", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--lines", type=int, default=1_000_000, help="of the archive")
    parser.add_argument("--splits", type=Path, default=Path("data/processed/default/label"))
    given = parser.parse_args()
    for part in given.parts:
        PARTS[part](given)


def throughput(given: argparse.Namespace) -> None:
    """Messages a second of everything that can answer, in one run."""
    import torch

    torch.set_num_threads(cores())
    texts = _texts(given.messages)
    answerers = _answerers(given.model, texts)
    for work, _ in answerers.values():
        work()  # warm
    rounds: dict[str, list[tuple[float, float]]] = {name: [] for name in answerers}
    for _ in range(given.rounds):
        for name, (work, repeats) in answerers.items():
            # transformers.pipeline turns the tokenizers' threads off for the whole process.
            os.environ.pop("TOKENIZERS_PARALLELISM", None)
            wall, busy = _timed(lambda work=work, n=repeats: [work() for _ in range(n)])
            rounds[name].append((wall / repeats, busy / repeats))
    print(f"messages a second ({len(texts)} messages, {cores()} cores, {given.rounds} rounds)")
    print(f"  {'':34}wall  a cpu second  vs pipeline  vs sorted loop  (cpu: vs each)")
    for name, times in rounds.items():
        wall, busy = (statistics.median(column) for column in zip(*times, strict=True))
        ratios = [
            statistics.median(
                theirs[kind] / mine[kind] for mine, theirs in zip(times, rounds[peer], strict=True)
            )
            for kind in (0, 1)
            for peer in ("transformers.pipeline", "torch, sorted by length")
        ]
        print(
            f"  {name:28}{len(texts) / wall:10,.0f}{len(texts) / busy:14,.0f}"
            f"{ratios[0]:13.2f}{ratios[1]:16.2f}   ({ratios[2]:.2f}, {ratios[3]:.2f})"
        )


def _answerers(model: Path, texts: list[str]) -> dict[str, tuple[Callable[[], object], int]]:
    from transformers import pipeline as transformers_pipeline
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    classify = transformers_pipeline(
        "text-classification", model=str(model), top_k=None, device="cpu", batch_size=32
    )
    ours = {
        "best (auto)": load(model),
        "best, 32 bits": load(model, backend="onnx"),
        "balanced": load(model, speed="balanced"),
        "fast": load(model, speed="fast"),
    }
    made: dict[str, tuple[Callable[[], object], int]] = {
        "transformers.pipeline": (lambda: classify(texts, truncation=True), 1),
        "torch, sorted by length": (_sorted_loop(model, texts), 1),
    }
    for name, classifier in ours.items():
        label = f"outreach {name}"
        made[label] = (lambda c=classifier: c.predict(texts), 10 if name == "fast" else 1)
    return made


def _sorted_loop(model: Path, texts: list[str]) -> Callable[[], object]:
    """What a careful person writes by hand: fast tokenizer, batches of one length, sdpa."""
    import torch
    from transformers import AutoModelForSequenceClassification

    contract = json.loads((model / "outreach.json").read_text(encoding="utf-8"))
    encode = Encoder(model / "tokenizer.json", contract["max_length"])
    network = AutoModelForSequenceClassification.from_pretrained(
        model, attn_implementation="sdpa"
    ).eval()

    def answer() -> object:
        encoded = encode(texts)
        with torch.inference_mode():
            for batch in batches([len(ids) for ids in encoded], 4096):
                ids, mask = pad([encoded[i] for i in batch])
                network(torch.from_numpy(ids), torch.from_numpy(mask)).logits.sigmoid().numpy()
        return None

    return answer


def cold(given: argparse.Namespace) -> None:
    """One line, from a process that does not exist yet."""
    commands = {
        "outreach predict": [*OUTREACH, ONE, "--model", str(given.model)],
        "outreach predict --speed fast": [
            *OUTREACH, ONE, "--model", str(given.model), "--speed", "fast",
        ],
        "transformers.pipeline": [sys.executable, "-c", PEER, str(given.model), ONE],
    }  # fmt: skip
    runs: dict[str, list[tuple[float, float, float]]] = {name: [] for name in commands}
    for number in range(given.rounds + 1):
        for name, command in commands.items():
            measured = _process(command)
            if number:  # the first fills the file cache
                runs[name].append(measured)
    print(f"one line from a cold start ({given.rounds} rounds)")
    print(f"  {'':32}seconds  cpu seconds  peak MB  vs pipeline (wall, cpu)")
    for name, rows in runs.items():
        wall, busy, peak = (statistics.median(column) for column in zip(*rows, strict=True))
        peer = runs["transformers.pipeline"]
        ratios = [
            statistics.median(theirs[i] / mine[i] for mine, theirs in zip(rows, peer, strict=True))
            for i in (0, 1)
        ]
        print(f"  {name:32}{wall:7.2f}{busy:13.2f}{peak:9.0f}{ratios[0]:9.1f}{ratios[1]:7.1f}")


def curve(given: argparse.Namespace) -> None:
    """Macro-F1 of the primary on the test split, and what goes to the transformer, by speed."""
    from pipeline.records import LabelledMessage
    from pipeline.store import read_records
    from pipeline.training.measure import primary_macro_f1

    messages = read_records(given.splits / "test.parquet", LabelledMessage)
    texts = [render(m.subject, m.text) for m in messages]
    true = [m.primary for m in messages]
    print(f"quality by speed ({len(texts)} test messages)")
    print(f"  {'':20}macro-F1 of the primary   messages a cpu second")
    for name, options in {
        "best, 32 bits": {"backend": "onnx"},
        "best": {},
        "balanced": {"speed": "balanced"},
        "fast": {"speed": "fast"},
    }.items():
        classifier = load(given.model, **options)
        found: list[str] = []
        _, busy = _timed(
            lambda c=classifier, f=found: f.extend(p.primary for p in c.predict(texts))
        )
        f1 = primary_macro_f1(found, true, classifier.labels)
        print(f"  {name:20}{f1:10.4f}{len(texts) / busy:24,.0f}")
    stored = json.loads((given.model / "student" / "curve.json").read_text(encoding="utf-8"))
    print("  on validation, as training measured it: share to the transformer, macro-F1")
    print("  " + "  ".join(f"{p['share']:.0%} {p['macro_f1']:.3f}" for p in stored))


def archive(given: argparse.Namespace) -> None:
    """A long file through the command, and a tenth of it: memory must not grow with it."""
    texts = _texts(512, bodies=True)
    print("a long JSON Lines file through `outreach predict --speed fast --output`")
    with tempfile.TemporaryDirectory() as work:
        for lines in (given.lines // 10, given.lines):
            source, target = Path(work) / "in.jsonl", Path(work) / "out.jsonl"
            with source.open("w", encoding="utf-8") as stream:
                for number in range(lines):
                    row = {"id": str(number), "text": texts[number % len(texts)], "crm": number}
                    stream.write(json.dumps(row) + "\n")
            command = [*OUTREACH, str(source), "--speed", "fast", "--model", str(given.model)]
            wall, busy, peak = _process([*command, "--output", str(target)])
            with target.open("rb") as stream:
                count = sum(1 for _ in stream)
            print(
                f"  {lines:>9,} lines ({source.stat().st_size / 1e6:,.0f} MB): {count:,} answered, "
                f"{wall:,.0f} s, {busy:,.0f} cpu s, {lines / busy:,.0f} a cpu second, "
                f"peak {peak:.0f} MB"
            )


def _texts(count: int, bodies: bool = False) -> list[str]:
    lines = Path("data/raw/messages.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines[:: max(len(lines) // count, 1)]][:count]
    return [row["text"] if bodies else render(row["subject"], row["text"]) for row in rows]


def _timed(work: Callable[[], object]) -> tuple[float, float]:
    """Wall and processor seconds (of all threads) of some work in this process."""
    wall, busy = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - busy


def _process(command: list[str]) -> tuple[float, float, float]:
    """Wall seconds, processor seconds and peak memory (MB) of a process."""
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    started = time.perf_counter()
    child = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment
    )
    _, status, used = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(f"{' '.join(command[:5])} … ended with {child.returncode}")
    return time.perf_counter() - started, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


PARTS = {"throughput": throughput, "cold": cold, "curve": curve, "archive": archive}

if __name__ == "__main__":
    main()
