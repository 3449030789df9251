"""What each piece of the training recipe is worth on mail from places the model has never seen.

Each variant is trained on the training split less some public archives (--without), calibrated on
the validation split less the same, and measured on what was left out, on the public and the written
messages of the test split, and on labelled files given with --external. Messages that ask nothing
are weighted to 30 % of a set, as they are rare in the external sets and most of an archive.

Results are kept one file a variant and seed, so a run that was stopped goes on with what is missing.
The table has the mean over the seeds, and how far the mean average precision is from the first
variant's: 95 % intervals of the paired difference, messages drawn anew.

    python -m bench ablations --variants default "no teacher" --seeds 1 2 --external mail.jsonl
    python -m bench ablations --variants default --leave-one-out
    python -m bench ablations --set training.messages=2000 training.epochs=1 --most 500 --seeds 1 2
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score
from transformers import PreTrainedModel

from pipeline.evaluation.reading import read_labelled
from pipeline.inference.classifier import decide
from pipeline.inference.encoding import Encoder
from pipeline.labeling.split import SPLITS
from pipeline.progress import SILENT
from pipeline.records import NONE, LabelledMessage
from pipeline.settings import Settings, load_settings
from pipeline.store import files_in, read_records, sha256_file
from pipeline.training.balance import origin
from pipeline.training.base import resolve_base
from pipeline.training.finetune import finetune
from pipeline.training.measure import logits_of_texts, texts_of
from pipeline.training.quiet import quiet_libraries
from pipeline.training.stage import calibrate, encoded, encoder, evenly

Floats = NDArray[np.float64]

RESULTS = Path("bench/results/ablations")
CODE = Path("pipeline/training")
NONE_SHARE = 0.3
RESAMPLES = 2000
GAP_RESAMPLES = 400
_NO_CROPS = ("training.augment.crops=0", "training.augment.silent_crops=0")
_LABELS_ONLY = ("data.teacher=[]", *_NO_CROPS)
_TWO_EPOCHS = (
    "training.epochs=2",
    "training.batch_size=16",
    "training.learning_rate=1e-4",
    "training.dropout=null",
)


@dataclass(frozen=True)
class Variant:
    """How training differs from the configuration."""

    settings: tuple[str, ...] = ()
    origins: tuple[tuple[str, ...], ...] = (("own", "public"),)
    """Of which origins it learns; of several, of one after the other."""
    hard: bool = False
    """Whether targets are what most annotators said, not their shares."""
    pairs: bool = True
    """Whether both messages of a contrast pair are learned from, or one."""


_DATA = {
    "written alone": Variant(origins=(("own",),)),
    "real alone": Variant(origins=(("public",),)),
    "written first, real last": Variant(origins=(("own",), ("public",))),
    "written first, all last": Variant(origins=(("own",), ("own", "public"))),
    "hard targets": Variant(hard=True),
    "half of each pair": Variant(pairs=False),
}
_SETTINGS: dict[str, tuple[str, ...]] = {
    "default": (),
    "no teacher": ("data.teacher=[]",),
    "no crops": _NO_CROPS,
    "labels only": _LABELS_ONLY,
    "labels only, two epochs": (*_LABELS_ONLY, *_TWO_EPOCHS),
    "as they come": (
        *_LABELS_ONLY,
        *_TWO_EPOCHS,
        "training.augment.people=0",
        "training.none_share=1.0",
        "training.repeat={}",
    ),
    "teacher half": ("training.teacher_share=0.5",),
    "teacher alone": ("training.teacher_share=1.0",),
    "dropout": ("training.dropout=null",),
    "two epochs": ("training.epochs=2",),
    "noise": ("training.augment.noise=0.12", "training.augment.no_subject=0.1"),
    "none carried over": ("training.augment.carried_over=0",),
    "no other people": ("training.augment.people=0",),
    "real asks once": ("training.repeat={}",),
    "label smoothing": ("training.label_smoothing=0.1",),
    "averaged weights": ("training.averaging=0.99",),
    "cut out": ("training.augment.cut_out=0.08",),
    "all tokens": ("training.token_share=[]",),
    "nothing frozen": ("training.frozen_layers=-1",),
    "four layers frozen": ("training.frozen_layers=4",),
    "head and tail": ("training.long_messages=head_tail",),
}
VARIANTS = {name: Variant(settings) for name, settings in _SETTINGS.items()} | _DATA


def main() -> None:
    """Train what is missing and print the table."""
    given = _arguments()
    one_by_one = [[name] for name in _archives(given)] if given.leave_one_out else []
    if given.leave_one_out and not one_by_one:
        raise SystemExit("There are no public messages; `outreach ingest --public` fetches them.")
    for without in one_by_one or [given.without]:
        if one_by_one:
            print(f"\nwithout {without[0]}:")
        results: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for seed in given.seeds:
            for name in given.variants:
                results[name].append(_result(name, seed, without, given))
                _show(name, seed, results[name][-1])
        if len(results) > 1:
            _compare(results)


def _result(name: str, seed: int, without: Sequence[str], given: argparse.Namespace) -> Any:
    """What a variant said, from its file if it was trained before."""
    variant = VARIANTS[name]
    settings = load_settings(given.config, [*given.set, *variant.settings, f"seed={seed}"])
    mark = _mark(settings, variant, without, given)
    file = RESULTS / f"{settings.name}-{_slug(name)}-{seed}-{mark}.json"
    if not file.exists():
        result = _measured(settings, variant, without, given)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(result))
    return json.loads(file.read_text())


def _archives(given: argparse.Namespace) -> list[str]:
    """The sources of the public messages."""
    settings = load_settings(given.config, given.set)
    rows = read_records(settings.label_dir / f"{SPLITS[0]}.parquet", LabelledMessage)
    return sorted({m.source for m in rows if origin(m) == "public"})


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--config", default="configs/default.yaml")
    parser.add_argument("--variants", nargs="+", default=list(VARIANTS), choices=list(VARIANTS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[13])
    parser.add_argument(
        "--without",
        nargs="*",
        default=["duoergun0729/2book", "NeuroTechX/ntx_slack_archive"],
        help="sources that training does not see",
    )
    parser.add_argument(
        "--leave-one-out", action="store_true", help="leave out each public archive in turn"
    )
    parser.add_argument(
        "--set", nargs="*", default=[], metavar="KEY=VALUE", help="settings of all variants"
    )
    parser.add_argument(
        "--written", default="", help="only messages whose id begins so, such as mno"
    )
    parser.add_argument(
        "--most", type=int, default=0, help="calibrate and measure on so many of a set; 0: on all"
    )
    parser.add_argument("--external", nargs="*", type=Path, default=[])
    return parser.parse_args()


def _slug(name: str) -> str:
    return name.replace(",", "").replace(" ", "-")


def _mark(
    settings: Settings, variant: Variant, without: Sequence[str], given: argparse.Namespace
) -> str:
    """What must stay the same for a result to be kept, what the files hold included."""
    splits = [settings.label_dir / f"{name}.parquet" for name in SPLITS]
    files = [*splits, *settings.data.evidence, *settings.data.teacher, *given.external]
    files += sorted(CODE.glob("*.py"))
    asked = [settings.training.model_dump_json(), repr(variant), *without, given.written]
    asked += [str(given.most)]
    asked += [*map(str, files), *(sha256_file(path) for path in files_in(files))]
    return hashlib.sha256("\n".join(asked).encode()).hexdigest()[:8]


def _measured(
    settings: Settings, variant: Variant, without: Sequence[str], given: argparse.Namespace
) -> dict[str, Any]:
    """Train on what is not left out and keep the answers on every set."""
    splits = {
        name: read_records(settings.label_dir / f"{name}.parquet", LabelledMessage)
        for name in SPLITS
    }
    left_out = [m for rows in splits.values() for m in rows if m.source in without]
    seen = {
        name: [m for m in rows if m.source not in without and _is_used(m, given.written)]
        for name, rows in splits.items()
    }
    seen["train"] = _as(variant, seen["train"])
    base = resolve_base(settings.training)
    started = time.perf_counter()
    with quiet_libraries(), tempfile.TemporaryDirectory() as temporary:
        encode, count = encoder(settings, base), 0
        for number, origins in enumerate(variant.origins):
            work = Path(temporary) / str(number)
            learn, held_out = (
                [m for m in seen[name] if origin(m) in origins] for name in SPLITS[:2]
            )
            examples, measured = encoded(settings, base, work, lambda: learn, lambda: held_out)  # noqa: B023
            model = finetune(base, examples, measured, settings, work, SILENT)
            count += len(examples)
            if number + 1 < len(variant.origins):
                base = _as_base(model, base, work)
        thresholds = calibrate(settings, model, encode, _some(held_out, given.most)).thresholds
        seconds = time.perf_counter() - started
        public = [m for m in seen["test"] if origin(m) == "public"]
        sets = {
            "left out": left_out,
            "public": public,
            "written": [m for m in seen["test"] if origin(m) != "public"],
            **{path.stem: read_labelled(path, settings) for path in given.external},
        }
        some = {name: _some(rows, given.most) for name, rows in sets.items() if rows}
        answers = {
            name: _answers(_logits(model, encode, rows), rows, thresholds, settings.task.labels)
            for name, rows in some.items()
        }
    return {"seconds": round(seconds), "train": count, "sets": answers}


def _some(messages: list[LabelledMessage], most: int) -> list[LabelledMessage]:
    """At most so many of them, at even distances."""
    return evenly(lambda: messages, most) if most else messages


def _as(variant: Variant, messages: list[LabelledMessage]) -> list[LabelledMessage]:
    """What a variant takes of the training messages."""
    if variant.hard:
        messages = [
            replace(m, targets=tuple(float(share >= 0.5) for share in m.targets)) for m in messages
        ]
    if not variant.pairs:
        first = {m.pair: m.id for m in reversed(messages)}
        messages = [m for m in messages if not m.pair or first[m.pair] == m.id]
    return messages


def _as_base(model: PreTrainedModel, base: Path, work: Path) -> Path:
    """The model as a folder from which another training can go on."""
    folder = work / "base"
    model.save_pretrained(folder)
    for file in base.glob("*token*.json"):
        shutil.copy(file, folder)
    return folder


def _logits(model: PreTrainedModel, encode: Encoder, rows: Sequence[LabelledMessage]) -> Floats:
    return logits_of_texts(model, encode, texts_of(rows))


def _is_used(message: LabelledMessage, written: str) -> bool:
    return bool(message.extra.get("origin")) or not written or message.id[0] in written


def _answers(
    logits: Floats, rows: Sequence[LabelledMessage], thresholds: Floats, labels: Sequence[str]
) -> dict[str, list[Any]]:
    """What the table needs: never a text."""
    probabilities = 1 / (1 + np.exp(-logits))
    return {
        "true": [m.primary for m in rows],
        "found": [primary for primary, _ in decide(probabilities, labels, thresholds, True)],
        "true_asks": [[int(label in m.asks) for label in labels] for m in rows],
        "probabilities": np.round(probabilities, 4).tolist(),
    }


def _compare(results: dict[str, list[dict[str, Any]]]) -> None:
    """A Markdown table: per set the variants' mean average precision and log loss over the seeds."""
    first = next(iter(results.values()))
    sets = list(first[0]["sets"])
    print("\n| | " + " | ".join(f"{name}: AP | less the first | log loss" for name in sets) + " |")
    print("| --- " * (1 + 3 * len(sets)) + "|")
    for variant, of_seeds in results.items():
        cells = []
        for name in sets:
            mine = [result["sets"][name] for result in of_seeds]
            theirs = [result["sets"][name] for result in first]
            weight = _weights(np.array(mine[0]["true"]))
            ap = np.mean([_average_precision(a, weight) for a in mine])
            loss = np.mean([_log_loss(a, weight) for a in mine])
            gap = "" if of_seeds is first else _gap(mine, theirs, weight)
            cells += [f"{ap:.3f}", gap, f"{loss:.3f}"]
        print(f"| {variant} | " + " | ".join(cells) + " |")


def _gap(mine: list[Any], theirs: list[Any], weight: Floats) -> str:
    """How far the average precision is from another's, the mean over seeds, with its interval."""
    asks = np.array(mine[0]["true_asks"])
    said = [[np.array(a["probabilities"]) for a in answers] for answers in (mine, theirs)]

    def gap(rows: NDArray[np.int64]) -> float:
        return float(
            np.subtract(
                *(
                    np.mean([_precision(asks[rows], p[rows], weight[rows]) for p in answers])
                    for answers in said
                )
            )
        )

    rng = np.random.default_rng(0)
    drawn = [gap(rng.integers(len(asks), size=len(asks))) for _ in range(GAP_RESAMPLES)]
    low, high = np.nanquantile(drawn, [0.025, 0.975])
    return f"{gap(np.arange(len(asks))):+.3f} ({low:+.3f} to {high:+.3f})"


def _show(variant: str, seed: int, result: dict[str, Any]) -> None:
    for name, answers in result["sets"].items():
        true, found = np.array(answers["true"]), np.array(answers["found"])
        weight = _weights(true)
        value = _macro_f1(true, found, weight[None])[0]
        rng = np.random.default_rng(0)
        draws = rng.multinomial(len(true), np.full(len(true), 1 / len(true)), RESAMPLES)
        low, high = np.quantile(_macro_f1(true, found, draws * weight), [0.025, 0.975])
        errors = _calibration_errors(answers, weight)
        print(
            f"{variant:28s} seed {seed:<3d} {name:10s} n={len(true):4d}  "
            f"macro-F1 {value:.3f} ({low:.3f} to {high:.3f})  "
            f"AP {_average_precision(answers, weight):.3f}  log loss {_log_loss(answers, weight):.3f}  "
            f"ECE {' '.join(f'{e:.3f}' for e in errors)}  {result['seconds']} s"
        )


def _weights(true: NDArray[np.str_]) -> Floats:
    """Messages that ask nothing count so much that they are `NONE_SHARE` of the set, at most 1."""
    silent = true == NONE
    wanted = NONE_SHARE / (1 - NONE_SHARE) * (~silent).sum() / max(silent.sum(), 1)
    return np.where(silent, min(1.0, wanted), 1.0)


def _macro_f1(true: NDArray[np.str_], found: NDArray[np.str_], weight: Floats) -> Floats:
    """Macro-F1 of the primary for each row of weights, shape (resamples,)."""
    scores = []
    for label in sorted(set(true)):
        hits = weight @ ((true == label) & (found == label))
        scores.append(
            2 * hits / np.maximum(weight @ (true == label) + weight @ (found == label), 1e-9)
        )
    return np.mean(scores, axis=0)


def _average_precision(answers: dict[str, list[Any]], weight: Floats) -> float:
    """The mean over the asks that occur."""
    return _precision(np.array(answers["true_asks"]), np.array(answers["probabilities"]), weight)


def _precision(asks: NDArray[np.int64], probabilities: Floats, weight: Floats) -> float:
    """The same of asks and their probabilities, both of shape (messages, labels)."""
    return float(
        np.mean(
            [
                average_precision_score(true, said, sample_weight=weight)
                for true, said in zip(asks.T, probabilities.T, strict=True)
                if true.any()
            ]
        )
    )


def _log_loss(answers: dict[str, list[Any]], weight: Floats) -> float:
    """The mean over messages and asks."""
    asks = np.array(answers["true_asks"], bool)
    said = np.clip(np.array(answers["probabilities"]), 1e-4, 1 - 1e-4)
    losses = -np.log(np.where(asks, said, 1 - said)).mean(axis=1)
    return float(weight @ losses / weight.sum())


def _calibration_errors(answers: dict[str, list[Any]], weight: Floats) -> list[float]:
    """Expected calibration error of each ask, in ten bins."""
    errors = []
    asks, probabilities = np.array(answers["true_asks"]), np.array(answers["probabilities"])
    for true, said in zip(asks.T, probabilities.T, strict=True):
        bins = np.minimum((said * 10).astype(int), 9)
        gaps = [abs(weight[bins == b] @ (said - true)[bins == b]) for b in range(10)]
        errors.append(float(sum(gaps) / weight.sum()))
    return errors


if __name__ == "__main__":
    main()
