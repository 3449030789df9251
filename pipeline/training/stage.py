"""The train stage: labelled messages in, a model folder out.

Heavy libraries are imported inside the work, so that a skipped stage costs nothing.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.errors import InputError
from pipeline.progress import SILENT, Progress
from pipeline.settings import Settings
from pipeline.store import StageResult, run_stage
from pipeline.training import processes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipeline.records import LabelledMessage
    from pipeline.training.examples import Examples

REFERENCE_MESSAGES = 50_000
"""The reference model learns from at most so many, since its features stand in memory."""


def train(settings: Settings, *, force: bool = False, progress: Progress = SILENT) -> StageResult:
    """Fine-tune the base on the training split and write the model folder.

    The folder appears only when it is whole. Interrupted training leaves ``NAME.partial`` beside
    it and goes on from the last checkpoint when called again with the same settings and data.

    Called in every process that `torchrun` or `accelerate launch` starts, it trains in all of them
    together; the first one writes the folder.

    Raises:
        InputError: messages have not been labelled, or the base is not usable.
        DataError: there is nothing to learn from them, or training does not converge to numbers.
        ResourceError: the disk is full, or memory ran out.
    """
    splits = _splits(settings)
    processes.join(settings.training.device)
    if not processes.is_first():
        return _help(settings)
    result = run_stage(
        "train",
        lambda folder: _quietly(settings, folder, progress),
        settings={
            "name": settings.name,
            "seed": settings.seed,
            "task": settings.task.model_dump(mode="json"),
            "cleaning": settings.ingest.cleaning.model_dump(mode="json"),
            "training": settings.training.model_dump(mode="json"),
        },
        inputs=splits,
        output_dir=settings.model_dir,
        keep_partial=True,
        force=force,
    )
    if result.skipped:
        processes.told(None)
    return result


def _splits(settings: Settings) -> list[Path]:
    splits = [settings.label_dir / f"{name}.parquet" for name in ("train", "validation")]
    missing = [path for path in splits if not path.exists()]
    if missing:
        raise InputError(f"{missing[0]}: not there yet; run `outreach label resolve` first.")
    return splits


def _quietly(settings: Settings, folder: Path, progress: Progress) -> dict[str, Any]:
    from pipeline.training.quiet import quiet_libraries
    from pipeline.training.resources import explained

    with quiet_libraries(), explained(folder):
        return _train(settings, folder, progress)


def _help(settings: Settings) -> StageResult:
    """What the other processes do: train with the first one, if it has something to train."""
    work = processes.told(None)
    if work is not None:
        from pipeline.training.base import resolve_base
        from pipeline.training.examples import open_examples
        from pipeline.training.finetune import finetune
        from pipeline.training.quiet import quiet_libraries

        with quiet_libraries():
            examples, held_out = (open_examples(work / name) for name in ("train", "validation"))
            finetune(resolve_base(settings.training), examples, held_out, settings, work, SILENT)
    return StageResult("train", settings.model_dir, skipped=work is None)


def _train(settings: Settings, folder: Path, progress: Progress) -> dict[str, Any]:
    import shutil
    import time

    from pipeline.inference.folder import REFERENCE, WEIGHTS
    from pipeline.training.base import resolve_base
    from pipeline.training.card import write_card
    from pipeline.training.checks import check_examples, check_length
    from pipeline.training.cost import cost_of
    from pipeline.training.export import write_folder
    from pipeline.training.finetune import finetune
    from pipeline.training.measure import calibrated
    from pipeline.training.resources import check_disk

    started = time.perf_counter()
    base = resolve_base(settings.training)
    check_length(base, settings.training.max_length)
    check_disk(folder, base / WEIGHTS)
    work = folder / "work"
    examples, held_out = encoded(settings, base, work)
    check_examples(examples, held_out, settings.task, progress)
    processes.told(work)

    progress.note(f"Fine-tuning {settings.training.base} on {len(examples):,} messages.")
    model = finetune(base, examples, held_out, settings, work, progress)
    model, thresholds, scores = calibrated(model, held_out, settings.task.multi_label)
    progress.note("Writing the model folder and the ONNX graph.")
    write_folder(folder, model, base, settings, thresholds)
    _reference(settings).save(folder / REFERENCE)
    counts = {
        "train": len(examples),
        "validation": len(held_out),
        "from_public": _from_public(settings),
    }
    cost = cost_of(time.perf_counter() - started, settings.training.device)
    write_card(folder, settings, thresholds.tolist(), scores, counts, cost)
    if (work / "runs").exists():
        shutil.move(work / "runs", folder / "runs")
    shutil.rmtree(work)
    return {
        **counts,
        "validation_macro_f1": round(sum(scores) / len(scores), 4),
        "cost": cost.as_counts(),
    }


def training_messages(settings: Settings) -> Iterator[LabelledMessage]:
    """The messages to learn from, as a stream: the training split, less some that ask nothing."""
    from pipeline.records import LabelledMessage
    from pipeline.store import iter_records
    from pipeline.training.balance import without_some_none

    path, _ = _splits(settings)
    share = settings.training.none_share if settings.task.multi_label else 1.0
    return without_some_none(lambda: iter_records(path, LabelledMessage), share, settings.seed)


def encoded(settings: Settings, base: Path, work: Path) -> tuple[Examples, Examples]:
    """Training and validation messages as the model reads them, in files under `work`."""
    from pipeline.inference.encoding import Encoder
    from pipeline.inference.folder import TOKENIZER
    from pipeline.records import LabelledMessage
    from pipeline.store import iter_records
    from pipeline.training.examples import are_written, open_examples, write_examples

    training = settings.training
    encode = Encoder(base / TOKENIZER, training.max_length, training.long_messages)
    _, validation = _splits(settings)
    streams = {
        "train": training_messages(settings),
        "validation": iter_records(validation, LabelledMessage),
    }
    for name, messages in streams.items():
        if not are_written(work / name):  # else an interrupted run wrote them
            write_examples(messages, encode, work / name)
    return open_examples(work / "train"), open_examples(work / "validation")


def _reference(settings: Settings) -> Any:
    from itertools import islice

    import numpy as np

    from pipeline.records import render
    from pipeline.training.reference import TfidfReference

    messages = list(islice(training_messages(settings), REFERENCE_MESSAGES))
    texts = [render(message.subject, message.text) for message in messages]
    targets = np.array([message.targets for message in messages])
    return TfidfReference.fit(texts, targets, settings.task.multi_label)


def _from_public(settings: Settings) -> int:
    return sum(m.extra.get("origin") == "public" for m in training_messages(settings))
