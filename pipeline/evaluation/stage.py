"""The evaluate stage: from a model folder and labelled messages to a report."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.errors import InputError, ModelFolderError
from pipeline.progress import SILENT, Progress
from pipeline.settings import Settings
from pipeline.store import StageResult, run_stage

if TYPE_CHECKING:  # nothing slow is imported where the stage is skipped
    from pipeline.evaluation.gold import GoldSet, Scores

METRICS = "metrics.json"
PAGE = "index.html"
PREDICTIONS = "predictions.parquet"
_CHUNK = 256


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
        output: the folder for `index.html`, `metrics.json` and `predictions.parquet`; by default
            `report` in the model folder.
        force: measure even if nothing has changed.
        progress: where to report.

    Raises:
        ModelFolderError: the model folder is missing or cannot be used.
        InputError: the labelled messages are missing or unreadable.
        DataError: they cannot be measured on.
    """
    model_dir = model or settings.model_dir
    rows = data or settings.label_dir / "test.parquet"
    if not model_dir.is_dir():
        raise ModelFolderError(f"{model_dir}: no such model folder; run `outreach train` first.")
    if not rows.is_file():
        raise InputError(f"{rows}: no such file; run `outreach label resolve` first.")

    def work(folder: Path) -> dict[str, Any]:
        return _measure(settings, model_dir, rows, folder, progress)

    return run_stage(
        "evaluate",
        work,
        settings={
            "evaluation": settings.evaluation.model_dump(mode="json"),
            "columns": settings.data.columns.model_dump(mode="json"),
            "seed": settings.seed,
            "model": str(model_dir),
        },
        inputs=[*_model_files(model_dir), rows],
        output_dir=output or model_dir / "report",
        force=force,
    )


def _model_files(model_dir: Path) -> Iterator[Path]:
    """The files that decide what the model says: not its card, and not its reports."""
    for path in sorted(model_dir.iterdir()):
        plain = path.is_file() and not path.name.startswith(".") and path.suffix != ".md"
        if plain or path.name in ("onnx", "reference"):
            yield path


def _measure(
    settings: Settings, model_dir: Path, rows: Path, folder: Path, progress: Progress
) -> dict[str, Any]:
    from pipeline.evaluation.gold import GoldSet, Scores
    from pipeline.evaluation.intervals import Bootstrap
    from pipeline.evaluation.reading import read_labelled
    from pipeline.evaluation.report import Measured, write_page
    from pipeline.inference.classifier import load
    from pipeline.store import write_json, write_records

    classifier = load(model_dir)
    messages = read_labelled(rows, settings.data.columns)
    gold = GoldSet(tuple(messages), tuple(classifier.labels), classifier.multi_label)
    probabilities = _score(classifier, gold.texts, progress)
    scores = Scores.decide(probabilities, classifier.thresholds, multi_label=classifier.multi_label)
    bootstrap = Bootstrap(
        gold.groups,
        resamples=settings.evaluation.bootstrap,
        confidence=settings.evaluation.confidence,
        seed=settings.seed,
    )
    said = {"model": scores, **_reference(model_dir, gold)}
    figures = {who: _everywhere(gold, what, bootstrap) for who, what in said.items()}
    measured = Measured(gold, scores, bootstrap, figures)
    write_json(folder / METRICS, measured.flat())
    write_records(folder / PREDICTIONS, predictions(gold, scores), _prediction_kind())
    write_page(folder / PAGE, measured, model_dir.name)
    whole = figures["model"]["all"]
    return {
        "messages": len(gold),
        "primary_macro_f1": round(whole["primary.macro_f1"].value, 4),
    }


def _score(classifier: Any, texts: list[str], progress: Progress) -> Any:
    """Probabilities of all texts, in chunks, so that the bar moves."""
    import numpy as np

    with progress.task("score test messages", len(texts)) as task:
        chunks = []
        for start in range(0, len(texts), _CHUNK):
            chunks.append(classifier.predict_proba(texts[start : start + _CHUNK]))
            task.advance(len(chunks[-1]))
    return np.concatenate(chunks)


def _reference(model_dir: Path, gold: GoldSet) -> dict[str, Scores]:
    """What the reference model beside the classifier says; empty where there is none."""
    import numpy as np

    from pipeline.evaluation.gold import Scores

    folder = model_dir / "reference"
    if not folder.is_dir():
        return {}
    from pipeline.training.reference import TfidfReference

    probabilities = np.asarray(TfidfReference.load(folder).predict_proba(gold.texts))
    decided = Scores.decide(probabilities, 0.5, multi_label=gold.multi_label)
    return {"reference": decided}


def _everywhere(gold: GoldSet, scores: Scores, bootstrap: Any) -> dict[str, Any]:
    """Figures of the whole set and, where it is known, of written messages and real mail apart."""
    import numpy as np

    from pipeline.evaluation.metrics import measure

    origins = np.array(gold.origins)
    places = {"all": None} | {name: origins == name for name in sorted(set(gold.origins)) if name}
    return {name: measure(gold, scores, bootstrap, where) for name, where in places.items()}


def predictions(gold: GoldSet, scores: Scores) -> Iterator[Any]:
    """One prediction a message, with what it should have been; never the message's text."""
    from pipeline.records import Prediction

    for i, message in enumerate(gold.messages):
        row = scores.probabilities[i]
        yield Prediction(
            id=message.id,
            primary=gold.classes[scores.primary[i]],
            asks=tuple(
                label for label, found in zip(gold.labels, scores.asks[i], strict=True) if found
            ),
            scores={label: round(float(p), 6) for label, p in zip(gold.labels, row, strict=True)},
            extra={
                "gold_primary": message.primary,
                "gold_asks": list(message.asks),
                "group": int(gold.groups[i]),
                "source": message.source,
                "origin": gold.origins[i],
            },
        )


def _prediction_kind() -> Any:
    from pipeline.records import Prediction

    return Prediction
