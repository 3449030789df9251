"""The four stages in their order, as one generator: what `outreach run` and `make train` do."""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.progress import SILENT, Progress
from pipeline.settings import Settings
from pipeline.store import StageResult


def run(
    settings: Settings, *, force: bool = False, progress: Progress = SILENT
) -> Iterator[StageResult]:
    """Run ingest, label, train and evaluate, yielding each result as it is there.

    Stages are imported only when they are reached, and each imports its heavy libraries only when
    it has work to do, so that a run in which nothing has changed ends at once.
    """
    from pipeline.ingestion.stage import ingest

    yield ingest(settings, force=force, progress=progress)

    from pipeline.labeling.stage import label

    yield label(settings, force=force, progress=progress)

    from pipeline.training.stage import train

    yield train(settings, force=force, progress=progress)

    from pipeline.evaluation.stage import evaluate

    yield evaluate(settings, force=force, progress=progress)
