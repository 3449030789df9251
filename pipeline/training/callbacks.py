"""What happens beside training: the best weights are kept, progress is shown, NaN stops it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from pipeline.errors import DataError
from pipeline.progress import Progress
from pipeline.progress import Task as ProgressTask
from pipeline.store import write_json
from pipeline.training.averaging import Average

Watch = Callable[[int, float], None]
"""Is told the epoch and the validation score; what it raises ends training."""


class KeepBest(TrainerCallback):
    """Keeps the best weights on disk and stops when they have not changed for a while.

    The Trainer's own `load_best_model_at_end` ties checkpoints to evaluations; checkpoints here
    come more often, so that an interruption loses little. That of an epoch's end is written when
    the epoch has been measured: whoever goes on from it does not measure it again.
    """

    def __init__(
        self,
        folder: Path,
        patience: int,
        save: Callable[[Any, Path], None],
        progress: Progress,
        watch: Watch | None = None,
    ) -> None:
        """`save` writes a model's weights into a folder."""
        self._folder, self._patience, self._save = folder, patience, save
        self._progress, self._watch = progress, watch
        self._mark = folder / "score.json"

    @property
    def stopped(self) -> bool:
        """Whether training has ended early, perhaps in an earlier call."""
        return bool(self._best_so_far().get("stopped"))

    def _best_so_far(self) -> dict[str, Any]:
        if not self._mark.exists():
            return {}
        found: dict[str, Any] = json.loads(self._mark.read_text(encoding="utf-8"))
        return found

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Leave the checkpoint of an epoch's last step to its end."""
        if state.global_step % (state.max_steps // int(state.num_train_epochs)) == 0:
            control.should_save = False

    def on_epoch_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Write a checkpoint; the Trainer evaluates first."""
        control.should_save = True

    def on_evaluate(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Compare with the best so far."""
        f1, loss = (kwargs["metrics"][f"eval_{name}"] for name in ("macro_f1", "loss"))
        score, epoch = [f1, -loss], round(state.epoch or 0)
        best = self._best_so_far() or {"epoch": epoch}
        # An epoch measured again, after an interruption, counts as new.
        better = epoch == best["epoch"] or score > best["score"]
        words = f"epoch {epoch}: validation macro-F1 {f1:.3f}, loss {loss:.3f}"
        self._progress.note(words + (" (best)" if better else ""))
        if better and state.is_world_process_zero:
            self._replace(kwargs["model"])
            write_json(self._mark, {"score": score, "epoch": epoch})
        elif not better and epoch - best["epoch"] >= self._patience:
            control.should_training_stop = True
            if state.is_world_process_zero:
                write_json(self._mark, best | {"stopped": True})
        if self._watch is not None:
            self._watch(epoch, f1)

    def _replace(self, model: Any) -> None:
        """Put the model's files in place of the best so far, none of them half written."""
        fresh = self._folder.with_suffix(".new")
        self._save(model, fresh)
        self._folder.mkdir(exist_ok=True)
        for file in fresh.iterdir():
            file.replace(self._folder / file.name)


class KeepAverage(TrainerCallback):
    """Feeds the running average of the weights."""

    def __init__(self, average: Average) -> None:
        """Of these weights."""
        self._average = average

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Take in the step's weights."""
        self._average.update(state.global_step)


class KeepTime(TrainerCallback):
    """Keeps how long training took up to the last checkpoint, for a run that goes on from it."""

    def __init__(self, file: Path) -> None:
        """`file` may have the time of earlier runs."""
        self._file, self._before = file, seconds_spent(file)
        self._started = time.perf_counter()

    def on_save(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Write it down."""
        if state.is_world_process_zero:
            write_json(self._file, self._before + time.perf_counter() - self._started)


def seconds_spent(file: Path) -> float:
    """What `KeepTime` has written; 0 where there is nothing."""
    return float(json.loads(file.read_text(encoding="utf-8"))) if file.exists() else 0.0


class StopOnNan(TrainerCallback):
    """Ends training that has come to nothing."""

    def on_log(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Look at the loss."""
        logs = kwargs.get("logs") or {}
        for name in ("loss", "eval_loss"):
            loss = logs.get(name)
            if loss is not None and not np.isfinite(loss):
                raise DataError(
                    f"the loss is {loss} after step {state.global_step}. Lower "
                    "training.learning_rate and training.head_learning_rate, or train in 32-bit "
                    "floats (training.precision=float32)."
                )


class Bar(TrainerCallback):
    """Moves the bar, with the loss and the best score beside it."""

    def __init__(self, bar: ProgressTask) -> None:
        """The bar to move."""
        self._bar, self._done = bar, 0
        self._loss, self._score = "", ""

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Say how long it is."""
        self._bar.total(state.max_steps)

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Advance."""
        self._bar.advance(state.global_step - self._done)
        self._done = state.global_step

    def on_log(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Show the loss, and the score where there is a new one."""
        logs = kwargs.get("logs") or {}
        if "loss" in logs:
            self._loss = f"loss {logs['loss']:.3f}"
        if "eval_macro_f1" in logs:
            self._score = f"macro-F1 {logs['eval_macro_f1']:.3f}"
        shown = ", ".join(words for words in (self._loss, self._score) if words)
        if shown:
            self._bar.describe(f"train ({shown})")
