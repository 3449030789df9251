"""The search for better settings, by Optuna: pruned, resumable, within a budget of time.

It scores on the validation split, or by cross-validation over training and validation split. The
test split is never opened.
"""

from __future__ import annotations

import csv
import hashlib
import json
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import FrozenTrial, Trial, TrialState

from pipeline.errors import DataError, PipelineError
from pipeline.inference.folder import WEIGHTS
from pipeline.labeling.split import split
from pipeline.labeling.stage import split_item
from pipeline.progress import SILENT, Progress
from pipeline.records import LabelledMessage
from pipeline.settings import Range, Settings, parse_settings, to_yaml
from pipeline.store import atomic_path, files_in, sha256_file
from pipeline.training.base import resolve_base
from pipeline.training.checks import check_examples, check_length, check_trackers
from pipeline.training.finetune import finetune
from pipeline.training.precision import check_device
from pipeline.training.quiet import quiet_libraries
from pipeline.training.resources import check_disk, explained
from pipeline.training.stage import Messages, encoded, split_messages

_ALL_FAILED = 3
"""Trials after which a search ends if none of them worked."""
STUDY, TABLE, BEST = "study.db", "trials.csv", "best.yaml"


@dataclass(frozen=True)
class Tried:
    """One trial of the table."""

    number: int
    state: str
    """complete, pruned or failed."""
    score: float | None
    """Validation macro-F1 of its best epoch, the mean over folds; None where it has none."""
    minutes: float
    settings: Mapping[str, Any]
    reason: str = ""
    """Why it failed, if it did."""


@dataclass(frozen=True)
class Search:
    """What a search has found so far, best first; trial 0 is the settings as they were."""

    trials: list[Tried]
    folder: Path
    seconds_left: float


def tune(settings: Settings, *, progress: Progress = SILENT) -> Search:
    """Search for better settings until the time of `settings.tune` is used up.

    Called again, it goes on with the same study as long as data, base, task and space are the same;
    time that earlier calls used counts. A trial that was killed is tried again, from its start.

    Raises:
        InputError: messages have not been labelled, or the base or the device is not usable.
        DataError: no trial could be finished.
    """
    folder = settings.data.processed / settings.name / "tune"
    folder.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(folder / "work", ignore_errors=True)
    check_device(settings.training)
    check_trackers(settings.training.report_to)
    base = resolve_base(settings.training)
    folds = _folds(settings)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with quiet_libraries():
        study = _study(settings, base, folder)
        left = _seconds_left(study, settings)
        if left > 0:
            _go_on(study, _Objective(settings, base, folds, folder, left, progress))
        else:
            progress.note("The search has used up its time; give it more with tune.minutes.")
    trials = _tried(study)
    if not any(trial.state == "complete" for trial in trials):
        failed = [trial for trial in trials if trial.reason]
        raise DataError(
            f"none of {len(trials)} trials could be finished; "
            + (f"one failed: {failed[0].reason}" if failed else "give the search more time")
            + f" (tune.minutes is {settings.tune.minutes:g}; {folder / TABLE} has them all)."
        )
    return Search(trials, folder, _seconds_left(study, settings))


def _go_on(study: optuna.Study, objective: _Objective) -> None:
    """Try until time or trials are used up; what there is by then is kept, whatever ended it."""
    try:
        study.optimize(
            objective,
            timeout=objective.seconds,
            n_trials=_trials_left(study, objective.settings),
            catch=(PipelineError,),
            callbacks=[_give_up],
        )
    finally:
        _write(study, objective.settings, objective.folder)


def _give_up(study: optuna.Study, trial: FrozenTrial) -> None:
    """End a search in which nothing works: what failed three times will fail for hours."""
    failed = ["reason" in t.user_attrs for t in study.trials]
    worked = [t.state in (TrialState.COMPLETE, TrialState.PRUNED) for t in study.trials]
    if sum(failed) >= _ALL_FAILED and not any(worked):
        study.stop()


class _Objective:
    """Trains with a trial's settings and gives the validation score."""

    def __init__(
        self,
        settings: Settings,
        base: Path,
        folds: list[tuple[Messages, Messages]],
        folder: Path,
        seconds: float,
        progress: Progress,
    ) -> None:
        self.settings, self.folder, self.seconds = settings, folder, seconds
        self._base, self._folds, self._progress = base, folds, progress
        self._deadline = time.monotonic() + seconds

    def __call__(self, trial: Trial) -> float:
        self._started = time.monotonic()
        try:
            return self._tried(trial)
        except PipelineError as error:
            trial.set_user_attr("reason", str(error))
            raise
        except KeyboardInterrupt:  # not the settings' fault: they are tried again
            trial.study.enqueue_trial(trial.params)
            raise
        finally:
            self._count(trial)

    def _count(self, trial: Trial) -> None:
        trial.set_user_attr("seconds", time.monotonic() - self._started)

    def _tried(self, trial: Trial) -> float:
        chosen = {key: _suggest(trial, key, what) for key, what in self.settings.tune.space.items()}
        trial.set_user_attr("settings", chosen)
        settings = applied(self.settings, chosen)
        scores = []
        for number, (learn, measure) in enumerate(self._folds):
            with _emptied(self.folder / "work") as work:
                scores.append(self._score(settings, learn, measure, work, trial))
            if len(self._folds) > 1:
                trial.report(sum(scores) / len(scores), number)
                if trial.should_prune() and number + 1 < len(self._folds):
                    raise optuna.TrialPruned
        score = sum(scores) / len(scores)
        best = max([score, *(t.value for t in trial.study.trials if t.value is not None)])
        self._progress.note(f"trial {trial.number}: macro-F1 {score:.4f} (best so far {best:.4f})")
        return score

    def _score(
        self, settings: Settings, learn: Messages, measure: Messages, work: Path, trial: Trial
    ) -> float:
        check_length(self._base, settings.training.max_length)
        check_disk(self.folder, self._base / WEIGHTS)
        train, held_out = encoded(settings, self._base, work, learn, measure)
        check_examples(train, held_out, settings.task, SILENT)
        seen = []

        def watch(epoch: int, score: float) -> None:
            seen.append(score)
            self._count(trial)
            if len(self._folds) == 1:
                trial.report(score, epoch)
            last = epoch >= settings.training.epochs
            late = time.monotonic() > self._deadline
            if not last and (late or (len(self._folds) == 1 and trial.should_prune())):
                raise optuna.TrialPruned

        bars = _Bars(trial.number, self._progress)
        with explained(self.folder):
            finetune(self._base, train, held_out, settings, work, bars, watch)
        return max(seen)


@contextmanager
def _emptied(folder: Path) -> Iterator[Path]:
    """The folder without what another trial left, which training would go on from.

    Removed afterwards, whatever happened. What cannot be removed ends the search only before
    training: afterwards it would hide how the trial ended.
    """
    if folder.exists():
        shutil.rmtree(folder)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class _Bars:
    """Only the bars of a trial's training, named after it; its notes would drown the table."""

    def __init__(self, number: int, progress: Progress) -> None:
        self._number, self._progress = number, progress

    def note(self, line: str) -> None:
        """Say nothing."""

    def task(self, name: str, total: float | None = None) -> Any:
        """A bar."""
        return self._progress.task(f"trial {self._number}: {name}", total)


def applied(settings: Settings, chosen: Mapping[str, Any]) -> Settings:
    """The settings with some of them changed, named like ``training.learning_rate``.

    Raises:
        SettingsError: there is no such setting, or the value does not fit it.
    """
    values = json.loads(settings.model_dump_json())
    for key, value in chosen.items():
        *sections, last = key.split(".")
        inner = values
        for section in sections:
            inner = inner[section]
        inner[last] = value
    return parse_settings(values)


def _suggest(trial: Trial, key: str, what: Any) -> Any:
    if not isinstance(what, Range):
        return trial.suggest_categorical(key, list(what))
    if what.whole:
        return trial.suggest_int(key, round(what.low), round(what.high), log=what.log)
    return float(f"{trial.suggest_float(key, what.low, what.high, log=what.log):.3g}")


def _study(settings: Settings, base: Path, folder: Path) -> optuna.Study:
    """This search's study, with what killed trials had tried waiting to be tried again."""
    storage = f"sqlite:///{folder / STUDY}"
    study = optuna.create_study(
        study_name=_fingerprint(settings, base),
        storage=storage,
        load_if_exists=True,
        direction="maximize",
        pruner=optuna.pruners.MedianPruner(n_startup_trials=4),
    )
    study.sampler = optuna.samplers.TPESampler(
        seed=settings.seed + len(study.trials), multivariate=True, n_startup_trials=8
    )
    for trial in study.get_trials(states=(TrialState.RUNNING,)):
        study.tell(trial.number, state=TrialState.FAIL)
        study.enqueue_trial(trial.params)
    if not study.trials:
        study.enqueue_trial(_present(settings))
    return study


def _present(settings: Settings) -> dict[str, Any]:
    """The settings as they are, where the space allows them: the trial that others must beat."""
    found = {}
    for key, what in settings.tune.space.items():
        value: Any = settings
        for part in key.split("."):
            value = getattr(value, part)
        if isinstance(what, Range):
            fits = isinstance(value, int | float) and what.low <= value <= what.high
        else:
            fits = value in what
        if fits:
            found[key] = value
    return found


def _fingerprint(settings: Settings, base: Path) -> str:
    """What makes two searches the same: all but how long they go on, what files hold included."""
    splits = [settings.label_dir / f"{name}.parquet" for name in ("train", "validation")]
    data = files_in([*splits, *settings.data.evidence, *settings.data.teacher])
    content = {
        "settings": json.loads(
            settings.model_dump_json(exclude={"tune": {"minutes", "trials"}, "evaluation": True})
        ),
        "base": sha256_file(base / WEIGHTS),
        "data": [sha256_file(path) for path in data],
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def _folds(settings: Settings) -> list[tuple[Messages, Messages]]:
    """Pairs of what to learn from and what to measure on."""
    learn, measure = (split_messages(settings, name) for name in ("train", "validation"))
    count = settings.tune.folds
    if count < 2:
        return [(learn, measure)]
    messages = [*learn(), *measure()]
    shares = {str(number): 1 / count for number in range(count)}
    fold_of = split([split_item(m, settings) for m in messages], shares, settings.seed)
    return [
        (
            _where(messages, fold_of, name.__ne__),
            _where(messages, fold_of, name.__eq__),
        )
        for name in shares
    ]


def _where(
    messages: list[LabelledMessage], fold_of: Mapping[str, str], wanted: Callable[[str], bool]
) -> Messages:
    def stream() -> Iterator[LabelledMessage]:
        return (message for message in messages if wanted(fold_of[message.id]))

    return stream


def _seconds_left(study: optuna.Study, settings: Settings) -> float:
    return 60 * settings.tune.minutes - sum(map(_seconds, study.trials))


def _seconds(trial: FrozenTrial) -> float:
    """What a trial has taken; of one that was killed, up to the last epoch it measured."""
    return float(trial.user_attrs.get("seconds", 0.0))


def _trials_left(study: optuna.Study, settings: Settings) -> int | None:
    if not settings.tune.trials:
        return None
    done = sum(t.state in (TrialState.COMPLETE, TrialState.PRUNED) for t in study.trials)
    return max(0, settings.tune.trials - done)


def _tried(study: optuna.Study) -> list[Tried]:
    trials = [_row(t) for t in study.trials if t.state.is_finished()]
    return sorted(trials, key=lambda t: (t.state != "complete", -(t.score or 0)))


def _row(trial: FrozenTrial) -> Tried:
    state = {TrialState.COMPLETE: "complete", TrialState.PRUNED: "pruned"}.get(
        trial.state, "failed"
    )
    seen = (
        trial.value
        if trial.value is not None
        else max(trial.intermediate_values.values(), default=None)
    )
    facts = trial.user_attrs
    chosen, reason = facts.get("settings", {}), facts.get("reason", "")
    return Tried(trial.number, state, seen, _seconds(trial) / 60, chosen, reason)


def _write(study: optuna.Study, settings: Settings, folder: Path) -> None:
    """The table of all trials, and the best one's settings as a file that `train` takes."""
    trials = _tried(study)
    names = list(settings.tune.space)
    with atomic_path(folder / TABLE) as path, path.open("w", newline="", encoding="utf-8") as out:
        table = csv.writer(out)
        table.writerow(["trial", "state", "macro_f1", "minutes", *names, "reason"])
        for t in trials:
            score = "" if t.score is None else f"{t.score:.4f}"
            values = [t.settings.get(name, "") for name in names]
            table.writerow([t.number, t.state, score, f"{t.minutes:.2f}", *values, t.reason])
    if trials and trials[0].state == "complete":
        best = to_yaml(applied(settings, trials[0].settings))
        with atomic_path(folder / BEST) as path:
            path.write_text(best, encoding="utf-8")
