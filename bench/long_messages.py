"""Head, head and tail, or the maximum over windows: what to read of a message that is too long.

Asks a trained model about the validation and test messages with more tokens than it reads, in each
way, without training it anew. What counts are the long messages alone; the last column puts them
back among all. Reading only what differs keeps this to a minute.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.evaluation.gold import GoldSet, Scores
from pipeline.evaluation.intervals import Bootstrap
from pipeline.evaluation.metrics import resampled
from pipeline.inference.backends import open_backend
from pipeline.inference.encoding import Encoder, batches, highest, pad
from pipeline.inference.folder import TOKENIZER, read_contract
from pipeline.records import LabelledMessage
from pipeline.settings import load_settings
from pipeline.store import read_records

Floats = NDArray[np.float64]
SHOWN = ("ask.macro_f1", "primary.macro_f1", "primary.accuracy")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=Path("models/default"))
    parser.add_argument("--config", default="configs/default.yaml")
    parser.add_argument("--labelled", type=Path, help="folder of the label stage's splits")
    parser.add_argument("--max-length", type=int, help="tokens read; default: the model's own")
    given = parser.parse_args()
    folder = given.labelled or load_settings(given.config).label_dir
    messages = [
        message
        for name in ("validation", "test")
        for message in read_records(folder / f"{name}.parquet", LabelledMessage)
    ]
    contract = read_contract(given.model)
    most = given.max_length or contract.max_length
    gold = GoldSet(tuple(messages), contract.task.labels, contract.task.multi_label)
    whole = Encoder(given.model / TOKENIZER, 100_000)(gold.texts)
    long = np.array([len(ids) > most for ids in whole])
    print(f"{long.sum()} of {len(messages)} messages have more than {most} tokens")
    lengths = [len(ids) for ids in whole]
    print(f"longest {max(lengths)}, median {np.median(lengths):.0f} tokens\n")

    logits = _asker(given.model)
    ways = {
        "head": logits(Encoder(given.model / TOKENIZER, most, "head")(gold.texts)),
    }
    some = [text for text, is_long in zip(gold.texts, long, strict=True) if is_long]
    ways["head and tail"] = _with(
        ways["head"], long, logits(Encoder(given.model / TOKENIZER, most, "head_tail")(some))
    )
    windows, owners = Encoder(given.model / TOKENIZER, most).windows(some)
    ways["maximum over windows"] = _with(
        ways["head"], long, highest(logits(windows), owners, len(some))
    )

    at = np.array(contract.thresholds)
    bootstrap = Bootstrap(gold.groups.tolist(), resamples=1000, confidence=0.95, seed=1)
    print(
        "| | "
        + " | ".join(f"{name}, long" for name in SHOWN)
        + " | less head | primary.macro_f1, all |"
    )
    print("| --- " * (len(SHOWN) + 3) + "|")
    first = None
    for name, found in ways.items():
        scores = Scores.decide(1 / (1 + np.exp(-found)), at, multi_label=contract.task.multi_label)
        of_long = resampled(gold, scores, bootstrap, long)
        of_all = resampled(gold, scores, bootstrap, np.ones(len(gold), bool))
        first = first if first is not None else of_long
        gap = bootstrap.figure(of_long[SHOWN[0]] - first[SHOWN[0]])
        cells = [f"{of_long[key][0]:.3f}" for key in SHOWN]
        cells.append(f"{gap.value:+.3f} ({gap.low or 0:+.3f} to {gap.high or 0:+.3f})")
        cells.append(f"{of_all['primary.macro_f1'][0]:.3f}")
        print(f"| {name} | " + " | ".join(cells) + " |")


def _asker(model: Path) -> Callable[[Sequence[Sequence[int]]], Floats]:
    backend = open_backend(model)
    labels = len(read_contract(model).task.labels)

    def logits(rows: Sequence[Sequence[int]]) -> Floats:
        found = np.empty((len(rows), labels))
        for batch in batches([len(row) for row in rows], 4096):
            found[batch] = backend.logits(*pad([rows[i] for i in batch]))
        return found

    return logits


def _with(all_of_them: Floats, long: NDArray[np.bool_], found: Floats) -> Floats:
    changed = all_of_them.copy()
    changed[long] = found
    return changed


if __name__ == "__main__":
    main()
