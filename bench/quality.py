"""Our model and its peers, trained on the same messages and measured on the same others.

Peers: TF-IDF and a frozen embedding with logistic regression, the plain Trainer as
run_classification.py sets it, SetFit, spaCy's text classifier, fastText by a kept fork, model2vec.
All but the first three live in environments of their own under ``.venv-bench`` that borrow this
one's torch; each runs in a process of its own. What a peer said is kept under ``bench/results``, so
a run that was stopped goes on with what is missing; nothing there is ever committed.

Tasks: `outreach` (the settings' own splits, and any labelled files given with --external),
`banking77` (its published split) and `banking77-10` (ten messages a label). Where a message may
have several labels, every peer learns from the training messages, and its thresholds come from the
validation messages: those with the best F1. Where it has one, peers learn from both, and
ours calibrates on the second. Ours also has what the settings name: a larger model's answers,
evidence, repeats.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import shutil
import subprocess
import sys
import sysconfig
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.evaluation.gold import GoldSet, Scores
from pipeline.evaluation.intervals import Bootstrap
from pipeline.evaluation.metrics import resampled
from pipeline.evaluation.reading import read_labelled
from pipeline.records import LabelledMessage, render
from pipeline.settings import Settings, load_settings
from pipeline.store import read_records, sha256_file, write_json, write_records
from pipeline.training.balance import weights
from pipeline.training.base import resolve_base
from pipeline.training.calibrate import DEFAULT_THRESHOLD, THRESHOLDS, f1_of_thresholds

RESULTS = Path("bench/results/quality")
ENVIRONMENTS = Path(".venv-bench")
PEERS_FILE = Path("bench/_peers.py")
CODE = Path("pipeline/training")
INSTALLED: dict[str, tuple[str, ...]] = {
    "tfidf": (),
    "embedding": (),
    "trainer": (),
    "setfit": ("setfit==1.2.0",),
    "spacy": ("spacy==3.8.18",),
    "fasttext": ("fasttext-community==0.11.9",),
    "model2vec": ("model2vec[distill,train]==0.10.0",),
}
OURS = "ours"
SHOTS = 10
FIGURES = ("primary.macro_f1", "primary.accuracy", "ask.macro_f1", "calibration.ece")


@dataclass(frozen=True)
class Task:
    """Messages to learn from, and sets of messages to be measured on."""

    name: str
    settings: Settings
    train: list[LabelledMessage]
    validation: list[LabelledMessage]
    measured: dict[str, list[LabelledMessage]]


def main() -> None:
    """Train what is missing, then print the tables."""
    given = _arguments()
    for name in given.tasks:
        task = _task(name, given)
        folder = _written(task)
        for peer in given.peers:
            _train(peer, task, folder)
        _show(task, folder, given.peers)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--tasks", nargs="+", default=["outreach", "banking77", "banking77-10"])
    parser.add_argument(
        "--peers", nargs="+", default=[OURS, *INSTALLED], choices=[OURS, *INSTALLED]
    )
    parser.add_argument("--config", default="configs/default.yaml", help="settings of `outreach`")
    parser.add_argument(
        "--banking77", default="configs/banking77.yaml", help="settings of banking77"
    )
    parser.add_argument(
        "--external", nargs="*", type=Path, default=[], help="labelled files to measure on too"
    )
    parser.add_argument("--messages", type=int, default=0, help="learn from so many only; 0: all")
    parser.add_argument("--seed", type=int, default=13)
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="settings of ours"
    )
    return parser.parse_args()


def _task(name: str, given: argparse.Namespace) -> Task:
    settings = load_settings(
        given.config if name == "outreach" else given.banking77, [*given.set, f"seed={given.seed}"]
    )
    parts = {
        part: read_records(settings.label_dir / f"{part}.parquet", LabelledMessage)
        for part in ("train", "validation", "test")
    }
    train, validation = parts["train"], parts["validation"]
    if name == f"banking77-{SHOTS}":
        train, validation = _few([*train, *validation], given.seed)
    if given.messages:
        rng = random.Random(given.seed)
        train = rng.sample(train, min(given.messages, len(train)))
    measured = {"test": parts["test"]}
    if name == "outreach":
        measured |= {path.stem: read_labelled(path, settings) for path in given.external}
    return Task(name, settings, train, validation, measured)


def _few(
    messages: Iterable[LabelledMessage], seed: int
) -> tuple[list[LabelledMessage], list[LabelledMessage]]:
    """Ten messages a label: eight to learn from and two to calibrate on."""
    of_label: dict[str, list[LabelledMessage]] = defaultdict(list)
    for message in messages:
        of_label[message.primary].append(message)
    rng = random.Random(seed)
    train, validation = [], []
    for found in of_label.values():
        drawn = rng.sample(found, min(SHOTS, len(found)))
        train += drawn[2:]
        validation += drawn[:2]
    return train, validation


def _written(task: Task) -> Path:
    """The task as peers read it, in a folder named after its content."""
    parts: dict[str, list[LabelledMessage]] = {"train": [*task.train, *task.validation]}
    if task.settings.task.multi_label:
        parts = {"train": task.train, "validation": task.validation}
    facts = {
        "labels": task.settings.task.labels,
        "multi_label": task.settings.task.multi_label,
        "base": str(resolve_base(task.settings.training).resolve()),
        "max_length": task.settings.training.max_length,
    }
    files = {f"{name}.jsonl": _lines(part, task) for name, part in (parts | task.measured).items()}
    files["task.json"] = json.dumps(facts)
    digest = hashlib.sha256(json.dumps(files).encode()).hexdigest()
    folder = RESULTS / f"{task.name}-{digest[:8]}"
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_text(content, encoding="utf-8")
    return folder


def _lines(messages: Iterable[LabelledMessage], task: Task) -> str:
    return "".join(
        json.dumps({"text": render(m.subject, m.text), "targets": m.targets or _hits(m, task)})
        + "\n"
        for m in messages
    )


def _hits(message: LabelledMessage, task: Task) -> list[float]:
    return [float(label in message.asks) for label in task.settings.task.labels]


def _train(peer: str, task: Task, folder: Path) -> None:
    """Train a peer, unless what it said is there already."""
    out = folder / peer
    mark = _mark(peer, task)
    facts = out / "facts.json"
    if facts.is_file() and (out / "mark").read_text(encoding="utf-8") == mark:
        return
    shutil.rmtree(out, ignore_errors=True)  # going on from a stopped run would hide its time
    out.mkdir()
    (out / "mark").write_text(mark, encoding="utf-8")
    print(f"{task.name}: {peer} …", flush=True)
    started = time.perf_counter()
    if peer == OURS:
        _ours(task, out)
    else:
        python = _environment(peer)
        command = [str(python), str(PEERS_FILE), peer, str(folder), str(out)]
        with (out / "log.txt").open("w", encoding="utf-8") as log:
            done = subprocess.run(command, stdout=log, stderr=subprocess.STDOUT)
        if done.returncode:
            print(f"{task.name}: {peer} failed; see {out / 'log.txt'}")
            return
    print(f"{task.name}: {peer} done in {time.perf_counter() - started:.0f} s", flush=True)


def _mark(peer: str, task: Task) -> str:
    """What must stay the same for an answer to be kept; the messages name the folder."""
    if peer == OURS:
        settings = task.settings
        read = [*settings.data.evidence, *settings.data.teacher, *sorted(CODE.glob("*.py"))]
        learned = [sha256_file(path) for path in read]
        return f"{settings.training.model_dump_json()} {settings.seed} {learned}"
    return f"{INSTALLED[peer]} {sha256_file(PEERS_FILE)}"


def _ours(task: Task, out: Path) -> None:
    """Our model, through the very stage that `outreach train` runs."""
    from pipeline.inference.classifier import load
    from pipeline.training.stage import train

    settings = task.settings.model_copy(
        update={
            "models": out,
            "data": task.settings.data.model_copy(update={"processed": out / "data"}),
        }
    )
    for name, messages in (("train", task.train), ("validation", task.validation)):
        write_records(settings.label_dir / f"{name}.parquet", messages, LabelledMessage)
    started, busy = time.perf_counter(), time.process_time()
    train(settings)
    facts: dict[str, Any] = {
        "train_seconds": time.perf_counter() - started,
        "train_cpu_seconds": time.process_time() - busy,
    }
    model = load(settings.model_dir)
    facts["bytes"] = (settings.model_dir / "onnx" / "model.onnx").stat().st_size
    for name, messages in task.measured.items():
        texts = [render(m.subject, m.text) for m in messages]
        model.predict_proba(texts[:8])
        started = time.perf_counter()
        np.save(out / f"{name}.npy", model.predict_proba(texts))
        facts[f"{name}_per_second"] = len(texts) / (time.perf_counter() - started)
    facts["thresholds"] = model.thresholds.tolist()
    write_json(out / "facts.json", facts)


def _environment(peer: str) -> Path:
    """The Python of a peer's own environment, made if need be."""
    if not INSTALLED[peer]:
        return Path(sys.executable)
    folder = ENVIRONMENTS / peer
    python = folder / "bin" / "python"
    mark, wanted = folder / "installed", " ".join(INSTALLED[peer])
    if not mark.is_file() or mark.read_text(encoding="utf-8") != wanted:
        print(f"installing {' '.join(INSTALLED[peer])} into {folder} …", flush=True)
        # It borrows what this environment has (torch and pip among it) and adds the peer's own.
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
        (own,) = folder.glob("lib/python*/site-packages")
        (own / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
        install = [str(python), "-m", "pip", "install", "--quiet", *INSTALLED[peer]]
        subprocess.run(install, check=True)
        mark.write_text(wanted, encoding="utf-8")
    return python


def _show(task: Task, folder: Path, peers: Sequence[str]) -> None:
    """One table a measured set, and its figures as JSON."""
    for name, messages in task.measured.items():
        gold = GoldSet(tuple(messages), task.settings.task.labels, task.settings.task.multi_label)
        bootstrap = Bootstrap(gold.groups.tolist(), resamples=1000, confidence=0.95, seed=1)
        figures, facts = {}, {}
        for peer in peers:
            if not (folder / peer / "facts.json").is_file():
                continue
            facts[peer] = json.loads((folder / peer / "facts.json").read_text(encoding="utf-8"))
            said = np.load(folder / peer / f"{name}.npy")
            at = facts[peer].get("thresholds") or _thresholds(task, folder / peer)
            scores = Scores.decide(said, np.array(at), multi_label=gold.multi_label)
            figures[peer] = resampled(gold, scores, bootstrap, np.ones(len(gold), bool))
        _print(task, name, gold, figures, facts, bootstrap, folder)


def _thresholds(task: Task, peer: Path) -> Sequence[float]:
    """A peer's thresholds: per label that of the best F1 on validation, weighted as for ours."""
    if not task.settings.task.multi_label:
        return [DEFAULT_THRESHOLD] * len(task.settings.task.labels)
    said = np.load(peer / "validation.npy")
    true = np.array([m.targets for m in task.validation]) >= 0.5
    counts = weights(task.validation, task.settings.training.none_share)
    return [
        THRESHOLDS[f1_of_thresholds(found, positive, counts).argmax()]
        for found, positive in zip(said.T, true.T, strict=True)
    ]


def _print(
    task: Task,
    name: str,
    gold: GoldSet,
    figures: dict[str, dict[str, Any]],
    facts: dict[str, dict[str, Any]],
    bootstrap: Bootstrap,
    folder: Path,
) -> None:
    few = len(gold.labels) <= 6
    wanted = [*FIGURES, *(f"ask.{label}.f1" for label in gold.labels if few)]
    titles = ["macro-F1", "accuracy", "ask F1", "ECE", *(gold.labels if few else ())]
    print(
        f"\n{task.name}: {name}, {len(gold):,} messages; training split of {len(task.train):,}, "
        f"validation split of {len(task.validation):,}"
    )
    last = ["ours less it, macro-F1", "train s", "processor s", "messages/s", "MB"]
    print("| | " + " | ".join([*titles, *last]) + " |")
    print("| --- " * (1 + len(titles) + len(last)) + "|")
    kept: dict[str, Any] = {}
    for peer, values in figures.items():
        cells = [f"{values[key][0]:.3f}" for key in wanted]
        less = ""
        if peer != OURS and OURS in figures:
            gap = bootstrap.figure(figures[OURS][FIGURES[0]] - values[FIGURES[0]])
            less = f"{gap.value:+.3f} ({gap.low:+.3f} to {gap.high:+.3f})"
        fact = facts[peer]
        last = [
            less,
            f"{fact['train_seconds']:,.0f}",
            f"{fact['train_cpu_seconds']:,.0f}",
            f"{fact[f'{name}_per_second']:,.0f}",
            f"{fact['bytes'] / 1e6:.1f}",
        ]
        print(f"| {peer} | " + " | ".join([*cells, *last]) + " |")
        kept[peer] = {key: round(float(values[key][0]), 4) for key in wanted} | fact
    write_json(folder / f"figures-{name}.json", kept)


if __name__ == "__main__":
    main()
