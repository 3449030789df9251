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

if TYPE_CHECKING:
    from pipeline.records import LabelledMessage


def train(settings: Settings, *, force: bool = False, progress: Progress = SILENT) -> StageResult:
    """Fine-tune the base on the training split and write the model folder.

    The folder appears only when it is whole. Interrupted training leaves ``NAME.partial`` beside
    it and goes on from the last checkpoint when called again with the same settings and data.

    Raises:
        InputError: messages have not been labelled, or the base is not usable.
        DataError: training does not converge to numbers.
    """
    splits = [settings.label_dir / f"{name}.parquet" for name in ("train", "validation")]
    missing = [path for path in splits if not path.exists()]
    if missing:
        raise InputError(f"{missing[0]}: not there yet; run `outreach label resolve` first.")
    return run_stage(
        "train",
        lambda folder: _quietly(settings, splits[0], splits[1], folder, progress),
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


def _quietly(
    settings: Settings, train_file: Path, validation_file: Path, folder: Path, progress: Progress
) -> dict[str, Any]:
    from pipeline.training.quiet import quiet_libraries

    with quiet_libraries():
        return _train(settings, train_file, validation_file, folder, progress)


def _train(
    settings: Settings, train_file: Path, validation_file: Path, folder: Path, progress: Progress
) -> dict[str, Any]:
    import shutil

    from pipeline.inference.encoding import Encoder
    from pipeline.inference.folder import REFERENCE, TOKENIZER
    from pipeline.records import LabelledMessage
    from pipeline.store import read_records
    from pipeline.training.balance import thin_none
    from pipeline.training.base import resolve_base
    from pipeline.training.card import write_card
    from pipeline.training.compress import write_int8, write_student
    from pipeline.training.export import write_folder
    from pipeline.training.finetune import finetune
    from pipeline.training.measure import calibrated
    from pipeline.training.reference import TfidfReference

    base = resolve_base(settings.training)
    everything = messages = read_records(train_file, LabelledMessage)
    if settings.task.multi_label:
        messages = thin_none(messages, settings.training.none_share, settings.seed)
    held_out = read_records(validation_file, LabelledMessage)
    encode = Encoder(base / TOKENIZER, settings.training.max_length)
    examples, held_out_examples = (_examples(rows, encode) for rows in (messages, held_out))

    progress.note(f"Fine-tuning {settings.training.base} on {len(messages):,} messages.")
    work = folder / "work"
    model = finetune(base, examples, held_out_examples, settings, work, progress)
    model, thresholds, scores = calibrated(model, held_out_examples, settings.task.multi_label)
    progress.note("Writing the model folder and the ONNX graph.")
    write_folder(folder, model, base, settings, thresholds)
    quick = {
        **write_int8(folder, everything, held_out, progress),
        **write_student(folder, everything, held_out, progress),
    }

    reference = TfidfReference.fit(_texts(messages), examples.targets, settings.task.multi_label)
    reference.save(folder / REFERENCE)
    counts = {
        "train": len(messages),
        "validation": len(held_out),
        "from_public": sum(m.extra.get("origin") == "public" for m in messages),
    }
    write_card(folder, settings, thresholds.tolist(), scores, counts)
    if (work / "runs").exists():
        shutil.move(work / "runs", folder / "runs")
    shutil.rmtree(work)
    return {**counts, **quick, "validation_macro_f1": round(sum(scores) / len(scores), 4)}


def _texts(messages: list[LabelledMessage]) -> list[str]:
    from pipeline.records import render

    return [render(message.subject, message.text) for message in messages]


def _examples(messages: list[LabelledMessage], encode: Any) -> Any:
    import numpy as np

    from pipeline.training.finetune import Examples

    return Examples(encode(_texts(messages)), np.array([m.targets for m in messages]))
