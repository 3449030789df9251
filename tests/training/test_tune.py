"""The search tries, prunes, remembers and goes on; it never opens the test split."""

import csv
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.errors import DataError, SettingsError
from pipeline.labeling.split import SPLITS
from pipeline.settings import Range, Settings, Tune, load_settings
from pipeline.store import read_manifest
from pipeline.training import tune as module
from pipeline.training.tune import applied, tune
from tests.training.test_stage import Notes

SPACE = {
    "training.learning_rate": Range(low=1e-3, high=1e-2, log=True),
    "training.batch_size": (8, 16),
}
Search = Callable[..., Settings]


@pytest.fixture
def search(trained: Settings, tmp_path: Path) -> Search:
    """Settings of a search over the trained messages, in a folder without a test split."""
    labelled = tmp_path / "processed" / "tiny" / "label"
    labelled.mkdir(parents=True)
    for name in SPLITS[:2]:
        content = (trained.label_dir / f"{name}.parquet").read_bytes()
        (labelled / f"{name}.parquet").write_bytes(content)

    def make(**options: object) -> Settings:
        return trained.model_copy(
            update={
                "data": trained.data.model_copy(update={"processed": tmp_path / "processed"}),
                "training": trained.training.model_copy(update={"epochs": 2, "report_to": ()}),
                "tune": Tune(**{"space": SPACE, "trials": 2, **options}),  # type: ignore[arg-type]
            }
        )

    return make


def as_they_are(settings: Settings) -> dict[str, object]:
    """The values that the search may change, before it changes any."""
    training = settings.training
    return {
        "training.learning_rate": training.learning_rate,
        "training.batch_size": training.batch_size,
    }


def test_it_starts_from_the_settings_as_they_are_and_goes_on_where_it_was(search: Search) -> None:
    settings = search()
    first = tune(settings)
    by_number = {trial.number: trial for trial in first.trials}
    assert by_number[0].settings == as_they_are(settings)
    assert len(first.trials) == 2
    more = tune(search(trials=3))
    assert [t for t in more.trials if t.number < 2] == [t for t in first.trials if t.number < 2]
    assert len(more.trials) == 3
    assert more.seconds_left < first.seconds_left < 3600
    with (more.folder / "trials.csv").open(encoding="utf-8", newline="") as table:
        rows = list(csv.DictReader(table))
    assert [float(row["macro_f1"]) for row in rows if row["state"] == "complete"] == sorted(
        (float(row["macro_f1"]) for row in rows if row["state"] == "complete"), reverse=True
    )
    best = load_settings(more.folder / "best.yaml")
    assert best.training == applied(settings, more.trials[0].settings).training
    assert not (more.folder / "work").exists()


def test_a_trial_that_was_killed_is_tried_again(
    search: Search, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*args: object, **kwargs: object) -> None:
        raise SystemExit  # leaves the trial running, as a kill does

    real = module.finetune
    monkeypatch.setattr(module, "finetune", killed)
    with pytest.raises(SystemExit):
        tune(search(trials=1))
    monkeypatch.setattr(module, "finetune", real)
    found = tune(search(trials=1))
    states = [trial.state for trial in found.trials]
    assert states == ["complete", "failed"]
    assert found.trials[0].settings == as_they_are(search())


def test_folds_are_scored_one_after_the_other(
    search: Search, trained: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = []

    def scored(base, train, held_out, settings, work, progress, watch):  # type: ignore[no-untyped-def]
        sizes.append((len(train), len(held_out)))
        watch(1, 0.25 * len(sizes))

    monkeypatch.setattr(module, "finetune", scored)
    found = tune(search(trials=1, folds=3))
    assert len(sizes) == 3
    held_out = sum(count for _, count in sizes)
    assert held_out == sum(read_manifest(trained.label_dir)["counts"][n] for n in SPLITS[:2])
    assert all(learnt + measured <= held_out for learnt, measured in sizes)
    assert found.trials[0].score == pytest.approx(0.5)


def test_what_fails_is_in_the_table_and_the_search_goes_on(
    search: Search, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*args: object, **kwargs: object) -> None:
        raise DataError("the loss is nan")

    monkeypatch.setattr(module, "finetune", fails)
    with pytest.raises(DataError, match=r"none of \d+ trials could be finished"):
        tune(search(trials=0, minutes=0.002))


def test_used_up_time_is_said(search: Search, monkeypatch: pytest.MonkeyPatch) -> None:
    def scored(base, train, held_out, settings, work, progress, watch):  # type: ignore[no-untyped-def]
        watch(1, 0.5)

    monkeypatch.setattr(module, "finetune", scored)
    tune(search(trials=1))
    notes: list[str] = []
    tune(search(minutes=1e-9), progress=Notes(notes))
    assert notes == ["The search has used up its time; give it more with tune.minutes."]


def test_a_setting_that_does_not_exist_is_refused(search: Search) -> None:
    with pytest.raises(SettingsError, match=r"training\.rate: unknown setting"):
        applied(search(), {"training.rate": 1})
