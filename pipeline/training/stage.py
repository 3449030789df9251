"""The train stage: labelled messages in, a model folder out.

Heavy libraries are imported inside the work, so that a skipped stage costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.errors import InputError
from pipeline.progress import SILENT, Progress
from pipeline.settings import Settings
from pipeline.store import StageResult, run_stage
from pipeline.training import processes

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from pipeline.inference.encoding import Encoder
    from pipeline.records import LabelledMessage
    from pipeline.training.examples import Examples
    from pipeline.training.measure import Calibrated
    from pipeline.training.reference import TfidfReference

REFERENCE_MESSAGES = 50_000
"""The reference model learns from at most so many, since its features stand in memory."""
STUDENT_MESSAGES = 50_000
"""So does the student, for the same reason."""


def train(settings: Settings, *, force: bool = False, progress: Progress = SILENT) -> StageResult:
    """Fine-tune the base on the training split and write the model folder.

    The folder appears only when it is whole. Interrupted training leaves ``NAME.partial`` beside
    it and goes on from the last checkpoint when called again with the same settings and data.

    Called in every process that `torchrun` or `accelerate launch` starts, it trains in all of them
    together; the first one writes the folder.

    Raises:
        InputError: messages have not been labelled, or the base or the device is not usable.
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
        inputs=[*splits, *settings.data.evidence, *settings.data.teacher, *_local_base(settings)],
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


def _local_base(settings: Settings) -> list[Path]:
    """The weights of a base that is a folder, where others may come to lie under the same name."""
    from pipeline.inference.folder import WEIGHTS

    weights = Path(settings.training.base).expanduser() / WEIGHTS
    return [weights] if weights.is_file() else []


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
        from pipeline.training.resources import explained

        with quiet_libraries(), explained(work):
            examples, held_out = (open_examples(work / name) for name in ("train", "validation"))
            finetune(resolve_base(settings.training), examples, held_out, settings, work, SILENT)
    return StageResult("train", settings.model_dir, skipped=work is None)


def _train(settings: Settings, folder: Path, progress: Progress) -> dict[str, Any]:
    import shutil
    import time

    from pipeline.inference.folder import REFERENCE, WEIGHTS
    from pipeline.training.balance import origin
    from pipeline.training.base import resolve_base
    from pipeline.training.callbacks import seconds_spent
    from pipeline.training.card import write_card
    from pipeline.training.checks import check_examples, check_length, check_trackers
    from pipeline.training.cost import cost_of
    from pipeline.training.export import write_folder
    from pipeline.training.finetune import SECONDS, finetune
    from pipeline.training.precision import check_device
    from pipeline.training.resources import check_disk

    started = time.perf_counter()
    check_device(settings.training)
    base = resolve_base(settings.training)
    check_length(base, settings.training.max_length)
    check_trackers(settings.training.report_to)
    check_disk(folder, base / WEIGHTS)
    work = folder / "work"
    started -= seconds_spent(work / SECONDS)
    learn, measure = (split_messages(settings, name) for name in ("train", "validation"))
    examples, held_out = encoded(settings, base, work, learn, measure)
    check_examples(examples, held_out, settings.task, progress)
    processes.told(work)

    progress.note(f"Fine-tuning {settings.training.base} on {len(examples):,} messages.")
    model = finetune(base, examples, held_out, settings, work, progress)
    found = calibrate(settings, model, encoder(settings, base), list(measure()))
    progress.note("Writing the model folder and the ONNX graph.")
    write_folder(folder, model, base, settings, found.thresholds)
    quick = _quick(folder, evenly(learn, STUDENT_MESSAGES), found, progress)
    _reference(settings, learn).save(folder / REFERENCE)
    counts = {
        "train": len(examples),
        "validation": len(held_out),
        "from_public": len({m.id for m in _balanced(settings, learn) if origin(m) == "public"}),
    }
    cost = cost_of(time.perf_counter() - started, settings.training.device)
    write_card(folder, settings, found.thresholds.tolist(), found.f1, counts, cost)
    if (work / "runs").exists():
        shutil.move(work / "runs", folder / "runs")
    shutil.rmtree(work)
    return {
        **counts,
        **quick,
        "validation_macro_f1": round(sum(found.f1) / len(found.f1), 4),
        "cost": cost.as_counts(),
    }


Messages = Callable[[], "Iterable[LabelledMessage]"]
"""Gives a stream of messages anew with every call, so that they need not stand in memory."""


def split_messages(settings: Settings, name: str) -> Messages:
    """The messages of the training or the validation split, as the label stage wrote them."""
    from pipeline.records import LabelledMessage
    from pipeline.store import iter_records

    return lambda: iter_records(settings.label_dir / f"{name}.parquet", LabelledMessage)


def evenly(messages: Messages, most: int) -> list[LabelledMessage]:
    """At most so many of the messages, at even distances: a sorted file begins with one label.

    They are streamed twice; only those that are taken stand in memory.
    """
    count = sum(1 for _ in messages())
    # `place * most` passes a multiple of `count` exactly `most` times.
    return [m for place, m in enumerate(messages()) if place * most % count < most]


def to_learn_from(settings: Settings, messages: Messages) -> Iterator[LabelledMessage]:
    """What is learned from: the messages, balanced by origin, taught and varied as settings say."""
    from pipeline.training.augment import augmented, read_evidence
    from pipeline.training.teacher import read_teacher, taught

    training = settings.training
    evidence = read_evidence(settings.data.evidence, settings.task)
    teacher = read_teacher(settings.data.teacher, settings.task)
    return augmented(
        lambda: taught(_balanced(settings, messages), teacher, training.teacher_share),
        evidence,
        training.augment,
        settings.seed,
        settings.task.multi_label,
    )


def _balanced(settings: Settings, messages: Messages) -> Iterator[LabelledMessage]:
    from pipeline.training.balance import balanced

    training, most = settings.training, settings.training.messages
    share = training.none_share if settings.task.multi_label else 1.0
    some = (lambda: evenly(messages, most)) if most else messages
    return balanced(some, share, training.repeat, settings.seed)


def calibrate(
    settings: Settings, model: PreTrainedModel, encode: Encoder, held_out: list[LabelledMessage]
) -> Calibrated:
    """Calibrated as if in each origin of the held-out messages as many asked as in training."""
    import numpy as np

    from pipeline.training.balance import weights
    from pipeline.training.measure import calibrated

    multi = settings.task.multi_label
    count = weights(held_out, settings.training.none_share) if multi else np.ones(len(held_out))
    return calibrated(model, encode, held_out, count, multi)


def encoder(settings: Settings, base: Path) -> Encoder:
    """How messages become what the model reads, in training and in use."""
    from pipeline.inference.encoding import Encoder
    from pipeline.inference.folder import TOKENIZER

    training = settings.training
    return Encoder(base / TOKENIZER, training.max_length, training.long_messages)


def encoded(
    settings: Settings, base: Path, work: Path, train: Messages, validation: Messages
) -> tuple[Examples, Examples]:
    """Training and validation messages as the model reads them, in files under `work`."""
    from pipeline.training.examples import are_written, open_examples, write_examples

    encode = encoder(settings, base)
    for name, messages in (
        ("train", to_learn_from(settings, train)),
        ("validation", validation()),
    ):
        if not are_written(work / name):  # else an interrupted run wrote them
            write_examples(messages, encode, work / name)
    return open_examples(work / "train"), open_examples(work / "validation")


def _quick(
    folder: Path, learned: list[LabelledMessage], found: Calibrated, progress: Progress
) -> dict[str, Any]:
    """The 8-bit graph and the student beside the model that was just written."""
    from pipeline.training.compress import write_int8, write_student

    return {
        **write_int8(folder, learned, found, progress),
        **write_student(folder, learned, found),
    }


def _reference(settings: Settings, messages: Messages) -> TfidfReference:
    """Learns from the messages as they are: what helps the network could only hold it back."""
    import numpy as np

    from pipeline.records import render
    from pipeline.training.reference import TfidfReference

    some = evenly(messages, REFERENCE_MESSAGES)
    texts = [render(message.subject, message.text) for message in some]
    targets = np.array([message.targets for message in some])
    return TfidfReference.fit(texts, targets, settings.task.multi_label)
