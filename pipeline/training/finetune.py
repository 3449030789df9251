"""Fine-tuning on the Hugging Face Trainer: soft targets, best weights kept, resumable."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import f1_score
from torch.nn import functional
from torch.utils.data import Dataset
from transformers import (
    AutoConfig,
    AutoModelForSequenceClassification,
    PreTrainedModel,
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)

from pipeline.errors import DataError
from pipeline.inference.encoding import pad
from pipeline.progress import Progress
from pipeline.progress import Task as ProgressTask
from pipeline.settings import Settings

CHECKPOINTS_PER_EPOCH = 5
_BEST = "best"
_CHECKPOINTS = "checkpoints"


@dataclass(frozen=True)
class Examples:
    """Encoded messages with their targets."""

    ids: Sequence[Sequence[int]]
    targets: NDArray[np.float64]
    """Shape (messages, labels): per label the share of annotators who found it."""


class _Rows(Dataset[dict[str, Any]]):
    def __init__(self, examples: Examples) -> None:
        self._examples = examples

    def __len__(self) -> int:
        return len(self._examples.ids)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return {"input_ids": self._examples.ids[index], "labels": self._examples.targets[index]}


def _collate(rows: Sequence[Mapping[str, Any]]) -> dict[str, torch.Tensor]:
    ids, mask = pad([row["input_ids"] for row in rows])
    targets = np.stack([row["labels"] for row in rows])
    return {
        "input_ids": torch.from_numpy(ids),
        "attention_mask": torch.from_numpy(mask),
        "labels": torch.tensor(targets, dtype=torch.float32),
    }


def finetune(
    base: Path,
    train: Examples,
    validation: Examples,
    settings: Settings,
    work: Path,
    progress: Progress,
) -> PreTrainedModel:
    """Fine-tune a base model and return the weights that did best on validation.

    Training writes checkpoints under `work`; called again with the same `work` after an
    interruption it goes on from the last whole one.

    Raises:
        DataError: the loss is no longer a number.
    """
    model = load_for_training(base, settings)
    trainer = _trainer(model, train, validation, settings, work, progress)
    checkpoint = _last_whole(work / _CHECKPOINTS)
    if checkpoint:
        progress.note(f"Going on from {checkpoint.name}.")
    with progress.task("train", total=None) as bar:
        trainer.add_callback(_Bar(bar))
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    return load_weights(work / _BEST)


def load_for_training(base: Path, settings: Settings) -> PreTrainedModel:
    """The base with a fresh classification head that knows our labels by name."""
    labels, training = settings.task.labels, settings.training
    config = AutoConfig.from_pretrained(
        base,
        num_labels=len(labels),
        id2label=dict(enumerate(labels)),
        label2id={label: i for i, label in enumerate(labels)},
        problem_type=_problem_type(settings),
        local_files_only=True,
    )
    for name in ("attention_probs_dropout_prob", "attention_dropout"):  # architectures differ
        if hasattr(config, name):
            setattr(config, name, training.attention_dropout)
    torch.manual_seed(settings.seed)  # the head's first weights are drawn
    model: PreTrainedModel = AutoModelForSequenceClassification.from_pretrained(
        base,
        config=config,
        local_files_only=True,
        attn_implementation="sdpa",
        dtype=torch.float32,
    )
    _freeze(model, training.frozen_layers)
    return model


def _freeze(model: PreTrainedModel, count: int) -> None:
    """Keep the embeddings and the lowest `count` layers as they are; -1 freezes nothing."""
    if count < 0:
        return
    body = model.base_model
    for name, parameter in body.named_parameters():
        if "embeddings" in name:
            parameter.requires_grad_(False)
    stacks = (module for module in body.modules() if isinstance(module, torch.nn.ModuleList))
    for layer in max(stacks, key=len)[:count]:
        layer.requires_grad_(False)


def load_weights(folder: Path) -> PreTrainedModel:
    """A saved model, on the CPU and ready to be measured."""
    model: PreTrainedModel = AutoModelForSequenceClassification.from_pretrained(
        folder, local_files_only=True, attn_implementation="sdpa"
    )
    model.eval()  # type: ignore[no-untyped-call]
    return model


def _problem_type(settings: Settings) -> str:
    multi = settings.task.multi_label
    return "multi_label_classification" if multi else "single_label_classification"


def _trainer(
    model: PreTrainedModel,
    train: Examples,
    validation: Examples,
    settings: Settings,
    work: Path,
    progress: Progress,
) -> Trainer:
    training = settings.training
    # TensorBoard's writer takes its folder from the environment since transformers 5.
    os.environ["TENSORBOARD_LOGGING_DIR"] = str(work / "runs")
    steps = -(-len(train.ids) // training.batch_size)
    bf16 = training.device in ("auto", "cuda") and _cuda_bf16()
    arguments = TrainingArguments(
        output_dir=str(work / _CHECKPOINTS),
        num_train_epochs=training.epochs,
        per_device_train_batch_size=training.batch_size,
        per_device_eval_batch_size=64,
        learning_rate=training.learning_rate,
        weight_decay=training.weight_decay,
        warmup_steps=training.warmup,
        lr_scheduler_type="linear",
        train_sampling_strategy="group_by_length",
        eval_strategy="epoch",
        save_strategy="steps",
        save_steps=max(1, steps // CHECKPOINTS_PER_EPOCH),
        save_total_limit=2,
        logging_steps=max(1, steps // 20),
        report_to=list(training.report_to) or "none",
        seed=settings.seed,
        bf16=bf16,
        use_cpu=training.device == "cpu",
        disable_tqdm=True,
        log_level="error",
        remove_unused_columns=False,
        dataloader_pin_memory=torch.cuda.is_available(),
        label_names=["labels"],
    )
    keep = _KeepBest(work / _BEST, training.patience, progress)
    trainer = Trainer(
        model=model,
        args=arguments,
        data_collator=_collate,
        train_dataset=_Rows(train),
        eval_dataset=_Rows(validation),
        compute_loss_func=_loss(settings.task.multi_label),
        compute_metrics=_metrics(settings.task.multi_label),
        callbacks=[keep, _StopOnNan()],
        optimizers=(_optimizer(model, settings), None),
    )
    trainer.remove_callback(PrinterCallback)  # it prints every log; ours is a bar
    return trainer


def _cuda_bf16() -> bool:
    return torch.cuda.is_available() and torch.cuda.is_bf16_supported()


def _optimizer(model: PreTrainedModel, settings: Settings) -> torch.optim.Optimizer:
    """AdamW with a faster head than body, and no decay on biases and norms."""
    training = settings.training
    groups: dict[tuple[float, float], list[torch.nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        body = name.startswith(model.base_model_prefix + ".") and ".pooler." not in name
        rate = training.learning_rate if body else training.head_learning_rate
        decay = training.weight_decay if parameter.ndim > 1 else 0.0
        if not parameter.requires_grad:
            continue
        groups.setdefault((rate, decay), []).append(parameter)
    return torch.optim.AdamW(
        [{"params": p, "lr": rate, "weight_decay": decay} for (rate, decay), p in groups.items()]
    )


def _loss(multi_label: bool) -> Any:
    """Cross-entropy against soft targets: per label, or over the labels of a single-label task."""

    def loss(outputs: Any, labels: torch.Tensor, num_items_in_batch: Any = None) -> torch.Tensor:
        logits = outputs.logits.float()
        if multi_label:
            return functional.binary_cross_entropy_with_logits(logits, labels)
        return functional.cross_entropy(logits, labels)

    return loss


def _metrics(multi_label: bool) -> Any:
    def metrics(evaluated: Any) -> dict[str, float]:
        logits, targets = evaluated.predictions, evaluated.label_ids
        if multi_label:
            found, true = logits > 0, targets >= 0.5
        else:
            found, true = logits.argmax(axis=1), targets.argmax(axis=1)
        return {"macro_f1": float(f1_score(true, found, average="macro", zero_division=0.0))}

    return metrics


class _KeepBest(TrainerCallback):
    """Keeps the best weights on disk and stops when they have not changed for a while.

    The Trainer's own `load_best_model_at_end` ties checkpoints to evaluations; checkpoints here
    come more often, so that an interruption loses little.
    """

    def __init__(self, folder: Path, patience: int, progress: Progress) -> None:
        self._folder, self._patience, self._progress = folder, patience, progress
        self._mark = folder / "score.json"

    def on_evaluate(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        f1, loss = (kwargs["metrics"][f"eval_{name}"] for name in ("macro_f1", "loss"))
        score, epoch = [f1, -loss], round(state.epoch or 0)
        best: dict[str, Any] = {"epoch": epoch}
        if self._mark.exists():
            best = json.loads(self._mark.read_text(encoding="utf-8"))
        # An epoch measured again, after an interruption, counts as new.
        better = epoch == best["epoch"] or score > best["score"]
        words = f"epoch {epoch}: validation macro-F1 {f1:.3f}, loss {loss:.3f}"
        self._progress.note(words + (" (best)" if better else ""))
        if better:
            kwargs["model"].save_pretrained(self._folder)
            self._mark.write_text(json.dumps({"score": score, "epoch": epoch}))
        elif epoch - best["epoch"] >= self._patience:
            control.should_training_stop = True


class _StopOnNan(TrainerCallback):
    def on_log(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        loss = (kwargs.get("logs") or {}).get("loss")
        if loss is not None and not np.isfinite(loss):
            raise DataError(
                f"the training loss is {loss} after step {state.global_step}. Lower "
                "training.learning_rate, or train in 32-bit floats (training.device=cpu)."
            )


class _Bar(TrainerCallback):
    def __init__(self, bar: ProgressTask) -> None:
        self._bar, self._done = bar, 0

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self._bar.total(state.max_steps)

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self._bar.advance(state.global_step - self._done)
        self._done = state.global_step

    def on_log(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        loss = (kwargs.get("logs") or {}).get("loss")
        if loss is not None:
            self._bar.describe(f"train (loss {loss:.3f})")


def _last_whole(folder: Path) -> Path | None:
    """The newest checkpoint that was written to its end; broken ones are removed."""
    whole = None
    for checkpoint in sorted(
        folder.glob("checkpoint-*"), key=lambda path: int(path.name.rpartition("-")[2])
    ):
        try:  # the Trainer writes this file last
            json.loads((checkpoint / "trainer_state.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            shutil.rmtree(checkpoint, ignore_errors=True)
        else:
            whole = checkpoint
    return whole
