"""The search tries, prunes, remembers and goes on; it never opens the test split."""

import csv
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState
from pydantic import ValidationError

from pipeline.errors import DataError, SettingsError
from pipeline.labeling.split import SPLITS
from pipeline.settings import Range, Settings, Tune, load_settings
from pipeline.store import read_manifest
from pipeline.training import tune as module
from pipeline.training.stage import encoded
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


def scored(base, train, held_out, settings, work, progress, watch):  # type: ignore[no-untyped-def]
    """Stands for training where only what is around it matters."""
    watch(1, 0.5)


def test_an_interrupted_trial_is_tried_again(
    search: Search, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*args: object, **kwargs: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "finetune", interrupted)
    with pytest.raises(KeyboardInterrupt):
        tune(search(trials=1))
    monkeypatch.setattr(module, "finetune", scored)
    found = tune(search(trials=1))
    assert [trial.state for trial in found.trials] == ["complete", "failed"]
    assert found.trials[0].settings == as_they_are(search())


def test_the_night_after_a_kill_is_not_search_time(
    search: Search, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "finetune", scored)
    settings = search(trials=1)
    folder = settings.data.processed / settings.name / "tune"
    folder.mkdir(parents=True)
    killed = optuna.trial.create_trial(state=TrialState.RUNNING)
    killed.datetime_start = datetime.now() - timedelta(days=1)
    module._study(settings, Path(settings.training.base), folder).add_trial(killed)
    found = tune(settings)
    assert [trial.state for trial in found.trials] == ["complete", "failed"]
    assert found.seconds_left > 3500


@pytest.mark.parametrize(
    ("end", "state"),
    [(optuna.TrialPruned(), "pruned"), (DataError("the loss is nan"), "failed")],
    ids=["pruned", "failed"],
)
def test_the_trial_after_one_that_ended_early_starts_at_step_0(
    search: Search, monkeypatch: pytest.MonkeyPatch, end: Exception, state: str
) -> None:
    found_there: list[list[Path]] = []
    epochs: list[int] = []
    real = module.finetune

    def looks_around(settings, base, work, learn, measure):  # type: ignore[no-untyped-def]
        found_there.append(list(work.rglob("*")))
        return encoded(settings, base, work, learn, measure)

    def first_ends_early(base, train, held_out, settings, work, progress, watch):  # type: ignore[no-untyped-def]
        def watched(epoch: int, score: float) -> None:
            epochs.append(epoch)
            watch(epoch, score)
            if epochs == [1, 2]:
                assert list(work.glob("checkpoints/checkpoint-*")), "nothing to go on from"
                raise end

        return real(base, train, held_out, settings, work, progress, watched)

    monkeypatch.setattr(module, "encoded", looks_around)
    monkeypatch.setattr(module, "finetune", first_ends_early)
    found = tune(search())
    assert [trial.state for trial in found.trials] == ["complete", state]
    assert found_there == [[], []]
    assert epochs == [1, 2, 1, 2]
    assert not (found.folder / "work").exists()


@pytest.mark.parametrize("name", ["evidence", "teacher"])
def test_a_file_that_holds_something_else_starts_a_study_of_its_own(
    search: Search, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    tried = []

    def scored(base, train, held_out, settings, work, progress, watch):  # type: ignore[no-untyped-def]
        tried.append(settings)
        watch(1, 0.5)

    monkeypatch.setattr(module, "finetune", scored)
    file = tmp_path / f"{name}.jsonl"
    file.write_text("")
    settings = search(trials=1)
    data = settings.data.model_copy(update={name: (file,)})
    settings = settings.model_copy(update={"data": data})
    tune(settings)
    tune(settings)
    assert len(tried) == 1
    file.write_text("\n")
    tune(settings)
    assert len(tried) == 2


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
    settings = search(trials=0)
    with pytest.raises(DataError, match=r"none of 3 trials .* failed: the loss is nan"):
        tune(settings)  # and gives up long before the hour is over
    table = settings.data.processed / settings.name / "tune" / "trials.csv"
    with table.open(encoding="utf-8", newline="") as lines:
        assert {row["reason"] for row in csv.DictReader(lines)} == {"the loss is nan"}


def test_used_up_time_is_said(search: Search, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "finetune", scored)
    tune(search(trials=1))
    notes: list[str] = []
    tune(search(minutes=1e-9), progress=Notes(notes))
    assert notes == ["The search has used up its time; give it more with tune.minutes."]


def test_a_setting_that_does_not_exist_is_refused(search: Search) -> None:
    with pytest.raises(SettingsError, match=r"training\.rate: unknown setting"):
        applied(search(), {"training.rate": 1})


@pytest.mark.parametrize(
    "key",
    [
        "training.rate",
        "training.base",
        "label.test",
        "training",
        "training.seed.x",
        "training.augment",
    ],
)
def test_only_settings_of_training_are_searched(key: str) -> None:
    with pytest.raises(ValidationError, match="cannot be searched"):
        Tune(space={key: (1, 2)})
    assert Tune(space={"training.augment.crops": (0.0, 0.5)}).space


@pytest.mark.parametrize("name", ["default", "quick"])
def test_the_first_trial_of_a_shipped_search_is_the_settings_as_they_are(name: str) -> None:
    settings = load_settings(Path(f"configs/{name}.yaml"))
    assert set(module._present(settings)) == set(settings.tune.space)


def test_a_setting_that_is_left_to_the_base_starts_from_nothing(search: Search) -> None:
    settings = search(space={"training.dropout": Range(low=0.0, high=0.3)})
    assert settings.training.dropout is None
    assert module._present(settings) == {}
