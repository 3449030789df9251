"""The evaluate stage: from a model folder and labelled messages to a report."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.errors import GateError, InputError, ModelFolderError
from pipeline.progress import SILENT, Progress
from pipeline.settings import Settings
from pipeline.store import StageResult, run_stage

if TYPE_CHECKING:  # nothing slow is imported where the stage is skipped
    from pipeline.evaluation.analysis import Analysis, Model
    from pipeline.evaluation.gold import Bools, GoldSet, Scores
    from pipeline.records import Annotation, Prediction

METRICS = "metrics.json"
PAGE = "index.html"
CARD = "card.md"
PREDICTIONS = "predictions.parquet"
_NOT_MEASURED = {"max_flip_rate", "gate"}
"""Settings that judge figures: changing them measures nothing anew."""


def evaluate(
    settings: Settings,
    *,
    model: Path | None = None,
    data: Path | None = None,
    output: Path | None = None,
    force: bool = False,
    progress: Progress = SILENT,
) -> StageResult:
    """Measure a model on labelled messages it has not seen and write a report.

    Args:
        settings: the run's settings; of the task, only the model's own labels count.
        model: a model folder; by default the one the settings name.
        data: labelled messages (see `pipeline.evaluation.reading`); by default the test split.
        output: the folder for `index.html`, `metrics.json`, `predictions.parquet` and `card.md`;
            by default `report` in the model folder.
        force: measure even if nothing has changed.
        progress: where to report.

    Raises:
        ModelFolderError: the model folder is missing or cannot be used.
        InputError: the labelled messages are missing or unreadable.
        DataError: they cannot be measured on.
        GateError: more answers change with what should not matter than `evaluation.max_flip_rate`
            allows; the report is written all the same.
    """
    model_dir = model or settings.model_dir
    rows = data or settings.label_dir / "test.parquet"
    if not rows.is_file():
        raise InputError(f"{rows}: no such file; run `outreach label resolve` first.")
    annotations = [p for p in [rows.with_name("annotations.parquet")] if not data and p.is_file()]

    def work(folder: Path) -> dict[str, Any]:
        return _write(settings, model_dir, rows, annotations, folder, progress)

    result = run_stage(
        "evaluate",
        work,
        settings={
            "evaluation": settings.evaluation.model_dump(mode="json", exclude=_NOT_MEASURED),
            "columns": settings.data.columns.model_dump(mode="json"),
            "seed": settings.seed,
            "model": str(model_dir),
            "data": str(rows),
        },
        inputs=[*model_files(model_dir), rows, *annotations],
        output_dir=output or model_dir / "report",
        force=force,
    )
    _check_flips(result.output_dir, settings.evaluation.max_flip_rate)
    return result


def model_files(model_dir: Path) -> Iterator[Path]:
    """The files that decide what a model says: not its card, and not its reports.

    Raises:
        ModelFolderError: there is no such folder.
    """
    if not model_dir.is_dir():
        raise ModelFolderError(f"{model_dir}: no such model folder; run `outreach train` first.")
    for path in sorted(model_dir.iterdir()):
        plain = path.is_file() and not path.name.startswith(".") and path.suffix != ".md"
        if plain or path.name in ("onnx", "reference"):
            yield path


def _check_flips(report: Path, most: float | None) -> None:
    metrics = json.loads((report / METRICS).read_text(encoding="utf-8"))
    found = metrics.get("fairness.max_flip_rate")
    if most is not None and found is not None and found > most:
        raise GateError(
            f"{100 * found:.1f} % of the messages change their primary when something is swapped "
            f"that should not matter; evaluation.max_flip_rate allows {100 * most:.1f} %. "
            f"See the chapter on fairness in {report / PAGE}."
        )


def _write(
    settings: Settings,
    model_dir: Path,
    rows: Path,
    annotations: list[Path],
    folder: Path,
    progress: Progress,
) -> dict[str, Any]:
    from pipeline.evaluation.reading import read_labelled
    from pipeline.evaluation.report import write_card, write_page
    from pipeline.records import Annotation, Prediction
    from pipeline.store import read_records, write_json, write_records

    messages = read_labelled(rows, settings, progress)
    marks = [mark for path in annotations for mark in read_records(path, Annotation)]
    found, thresholds = _analyse(settings, model_dir, messages, marks, progress)
    flat = found.flat()
    write_json(folder / METRICS, flat)
    write_records(folder / PREDICTIONS, predictions(found.gold, found.scores), Prediction)
    write_page(folder / PAGE, found, model_dir.name, thresholds)
    write_card(folder / CARD, found)
    return {"messages": len(messages), "primary_macro_f1": flat["model.all.primary.macro_f1"]}


def _analyse(
    settings: Settings,
    model_dir: Path,
    messages: list[Any],
    marks: list[Annotation],
    progress: Progress,
) -> tuple[Analysis, Any]:
    from pipeline.evaluation.analysis import analyse
    from pipeline.evaluation.gold import GoldSet, Scores

    with progress.task("score and measure") as task:
        model = open_model(model_dir, task)
        gold = GoldSet(tuple(messages), model.labels, model.multi_label)
        decided = Scores.decide(
            model.score(gold.texts), model.thresholds, multi_label=model.multi_label
        )
        found = analyse(
            gold,
            model,
            {"model": decided, **_reference(model_dir, gold)},
            settings.evaluation,
            settings.seed,
            annotations=marks,
            truncated=cut_short(model_dir, gold.texts),
        )
    return found, model.thresholds


def open_model(model_dir: Path, task: Any = None) -> Model:
    """A model folder, opened for analysis; scoring advances `task`, if there is one."""
    import numpy as np

    from pipeline.evaluation.analysis import Model
    from pipeline.inference.classifier import load

    classifier = load(model_dir)

    def score(texts: Any) -> Any:
        chunks = [np.empty((0, len(classifier.labels)))]
        for start in range(0, len(texts), 256):
            chunks.append(classifier.predict_proba(list(texts[start : start + 256])))
            if task is not None:
                task.advance(len(chunks[-1]))
        return np.concatenate(chunks)

    return Model(
        model_dir.name,
        tuple(classifier.labels),
        classifier.multi_label,
        np.asarray(classifier.thresholds),
        score,
    )


def cut_short(model_dir: Path, texts: list[str]) -> Bools | None:
    """Per text whether it has more tokens than the model reads; None where that is not known."""
    import numpy as np

    from pipeline.inference.encoding import Encoder
    from pipeline.inference.folder import CONTRACT, TOKENIZER, read_contract

    if not (model_dir / CONTRACT).is_file():
        return None
    from tokenizers import Tokenizer

    contract = read_contract(model_dir)
    most = Encoder(model_dir / TOKENIZER, contract.max_length, contract.long_messages).capacity
    tokenizer = Tokenizer.from_file(str(model_dir / TOKENIZER))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return np.array([len(encoded.ids) > most for encoded in tokenizer.encode_batch_fast(texts)])


def _reference(model_dir: Path, gold: GoldSet) -> dict[str, Scores]:
    """What the reference model beside the classifier says; empty where there is none."""
    import numpy as np

    from pipeline.evaluation.gold import Scores

    folder = model_dir / "reference"
    if not folder.is_dir():
        return {}
    from pipeline.training.reference import TfidfReference

    probabilities = np.asarray(TfidfReference.load(folder).predict_proba(gold.texts))
    return {"reference": Scores.decide(probabilities, 0.5, multi_label=gold.multi_label)}


def predictions(gold: GoldSet, scores: Scores) -> Iterator[Prediction]:
    """One prediction a message, with what it should have been; never the message's text."""
    from pipeline.records import Prediction

    for i, message in enumerate(gold.messages):
        found = zip(gold.labels, scores.asks[i], scores.probabilities[i], strict=True)
        rows = [(label, bool(is_so), float(p)) for label, is_so, p in found]
        yield Prediction(
            id=message.id,
            primary=gold.classes[scores.primary[i]],
            asks=tuple(label for label, is_so, _ in rows if is_so),
            scores={label: round(p, 6) for label, _, p in rows},
            extra={
                "gold_primary": message.primary,
                "gold_asks": list(message.asks),
                "group": int(gold.groups[i]),
                "source": message.source,
                "origin": gold.origins[i],
            },
        )
