"""Fine-tuning on the Hugging Face Trainer: soft targets, best weights kept, resumable."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import torch
from sklearn.metrics import f1_score
from transformers import (
    AutoConfig,
    AutoModelForSequenceClassification,
    PreTrainedModel,
    PrinterCallback,
    Trainer,
    TrainingArguments,
)

from pipeline.inference.first_token import read_first_token_only
from pipeline.progress import Progress
from pipeline.settings import Settings, Training
from pipeline.training import processes
from pipeline.training.averaging import Average
from pipeline.training.batches import Buckets, Loader, Rows, SomeTokens, by_epoch, collate, loader
from pipeline.training.callbacks import Bar, KeepAverage, KeepBest, KeepTime, StopOnNan, Watch
from pipeline.training.examples import Examples
from pipeline.training.frozen import LowerPart, cached, longest_stack, order_is_free
from pipeline.training.lora import add_lora, merge_lora
from pipeline.training.loss import loss_of
from pipeline.training.optimizer import optimizer_of
from pipeline.training.pooling import pool_mean
from pipeline.training.precision import half, on_cpu
from pipeline.training.probe import start_head

CHECKPOINTS_PER_EPOCH = 5
SECONDS = "seconds.json"
"""Under the work folder: how long earlier, interrupted runs have trained."""
_BEST = "best"
_CHECKPOINTS = "checkpoints"
_EVALUATION_TOKENS = 16_384


def finetune(
    base: Path,
    train: Examples,
    validation: Examples,
    settings: Settings,
    work: Path,
    progress: Progress,
    watch: Watch | None = None,
) -> PreTrainedModel:
    """Fine-tune a base model and return the weights that did best on validation.

    Training writes checkpoints under `work`; called again with the same `work` after an
    interruption it goes on from the last whole one.

    Args:
        base: the base model's folder.
        train: what to learn from.
        validation: what decides which weights are best.
        settings: all of the run's.
        work: a folder for what is only needed meanwhile.
        progress: where to report.
        watch: is told each epoch's score, and may end training by raising.

    Raises:
        DataError: the loss is no longer a number.
    """
    training = settings.training
    checkpoint = processes.told(_last_whole(work / _CHECKPOINTS) if processes.is_first() else None)
    model = load_for_training(base, settings)
    lower = None
    if training.lora_rank:
        model = add_lora(model, training.lora_rank)
    elif training.frozen_layers >= 0:
        lower = LowerPart(model, training.frozen_layers)
    trainer = _Tuner(model, train, validation, settings, work)
    if lower is not None:
        trainer.feed_from_cache(lower, work, progress, going_on=checkpoint is not None)
    if training.probe and not checkpoint:
        start_head(model, trainer.rows, training.probe, settings.task.multi_label, settings.seed)

    def save(model: Any, folder: Path) -> None:
        if lower is None:
            model.save_pretrained(folder)
            return
        with lower.whole():
            model.save_pretrained(folder)

    best = KeepBest(work / _BEST, training.patience, save, progress, watch)
    if processes.told(best.stopped):  # and was interrupted after that
        return _best(base, settings, work / _BEST)
    trainer.add_callback(best)
    trainer.add_callback(KeepTime(work / SECONDS))
    if checkpoint:
        progress.note(f"Going on from {checkpoint.name}.")
    with progress.task("train", total=None) as bar:
        trainer.add_callback(Bar(bar))
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    return _best(base, settings, work / _BEST)


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
    for name, dropout in _dropouts(training):
        if hasattr(config, name):
            setattr(config, name, dropout)
    torch.manual_seed(settings.seed)  # the head's first weights are drawn
    model: PreTrainedModel = AutoModelForSequenceClassification.from_pretrained(
        base,
        config=config,
        local_files_only=True,
        dtype=torch.float32,
    )
    if training.pooling == "mean":
        pool_mean(model)
    if training.frozen_layers < len(longest_stack(model.base_model)[2]):  # else its last is cached
        read_first_token_only(model)
    return model


def _dropouts(training: Training) -> Iterator[tuple[str, float]]:
    """What architectures call their dropout, and how much of it the settings want."""
    for name in ("attention_probs_dropout_prob", "attention_dropout"):
        yield name, training.attention_dropout
    if training.dropout is not None:
        for name in ("hidden_dropout_prob", "dropout", "embedding_dropout", "mlp_dropout"):
            yield name, training.dropout


def load_weights(folder: Path) -> PreTrainedModel:
    """A saved model, on the CPU and ready to be measured."""
    model: PreTrainedModel = AutoModelForSequenceClassification.from_pretrained(
        folder, local_files_only=True
    )
    read_first_token_only(model)
    model.eval()  # type: ignore[no-untyped-call]
    return model


def _best(base: Path, settings: Settings, folder: Path) -> PreTrainedModel:
    if not settings.training.lora_rank:
        return load_weights(folder)
    model = merge_lora(load_for_training(base, settings), folder)
    model.eval()  # type: ignore[no-untyped-call]
    return model


def _problem_type(settings: Settings) -> str:
    multi = settings.task.multi_label
    return "multi_label_classification" if multi else "single_label_classification"


class _Tuner(Trainer):
    """The Trainer with our batches, our loss, and a running average of the weights."""

    def __init__(
        self,
        model: Any,
        train: Examples,
        validation: Examples,
        settings: Settings,
        work: Path,
    ) -> None:
        training, multi = settings.training, settings.task.multi_label
        self._settings, self.rows, self._held_out = settings, Rows(train), Rows(validation)
        self._token_share: tuple[float, ...] = ()
        super().__init__(
            model=model,
            args=_arguments(settings, _batches(train, settings), work),
            data_collator=collate,
            train_dataset=self.rows,
            eval_dataset=self._held_out,
            compute_loss_func=loss_of(training, train.targets, multi),
            compute_metrics=_metrics(multi),
            callbacks=[StopOnNan()],
            optimizers=(optimizer_of(model, training), None),
        )
        self._average = Average(model, training.averaging)  # only now on its device
        self.add_callback(KeepAverage(self._average))
        self.remove_callback(PrinterCallback)  # it prints every log; ours is a bar

    def feed_from_cache(
        self, lower: LowerPart, work: Path, progress: Progress, *, going_on: bool
    ) -> None:
        """From here on, read what the frozen part says from files, if that is possible."""
        parts = {
            work / "frozen" / "train.states": self.rows.examples,
            work / "frozen" / "validation.states": self._held_out.examples,
        }
        training = self._settings.training
        model = cast("PreTrainedModel", self.model)
        states = None
        if processes.is_first():
            states = cached(lower, model, parts, training, progress, going_on=going_on)
        if processes.told(states is not None) and states is None:  # the files are there now
            states = cached(lower, model, parts, training, progress, going_on=going_on)
        if states is None:
            return
        self.rows, self._held_out = map(Rows, parts.values(), states)
        if training.token_share and not order_is_free(model, self.rows):
            progress.note("Reading all tokens in every epoch: this encoder counts their places.")
        else:
            self._token_share = training.token_share

    def get_train_dataloader(self) -> Loader:
        batches = _batches(self.rows.examples, self._settings)
        if not self._token_share:
            return loader(self.rows, batches)
        shares = by_epoch(self._token_share, self._settings.training.epochs)
        return loader(SomeTokens(self.rows, shares, self._settings.seed), batches)

    def get_eval_dataloader(self, eval_dataset: Any = None) -> Loader:
        # Every process measures all of it: the Trainer can only gather batches of one size.
        batches = Buckets(
            self._held_out.examples.ids.lengths,
            size=self.args.per_device_eval_batch_size,
            tokens=max(_EVALUATION_TOKENS, self._settings.training.max_length),
        )
        return loader(self._held_out, batches)

    def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:
        with self._average.in_place():
            return super().evaluate(*args, **kwargs)

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
        super()._save(output_dir, state_dict)
        if output_dir is not None and self.args.should_save:
            self._average.save(Path(output_dir))

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        super()._load_from_checkpoint(resume_from_checkpoint, model)
        self._average.load(Path(resume_from_checkpoint))


def _batches(examples: Examples, settings: Settings) -> Buckets:
    training = settings.training
    return Buckets(
        examples.ids.lengths,
        size=training.batch_size,
        tokens=training.batch_tokens,
        seed=settings.seed,
        rank=processes.number(),
        ranks=processes.count(),
    )


def _arguments(settings: Settings, batches: Buckets, work: Path) -> TrainingArguments:
    training = settings.training
    # TensorBoard's writer takes its folder from the environment since transformers 5.
    os.environ["TENSORBOARD_LOGGING_DIR"] = str(work / "runs")
    steps = -(-len(batches) // training.accumulate)
    numbers = half(training)
    arguments = TrainingArguments(
        output_dir=str(work / _CHECKPOINTS),
        num_train_epochs=training.epochs,
        per_device_train_batch_size=training.batch_size,
        per_device_eval_batch_size=256,
        gradient_accumulation_steps=training.accumulate,
        learning_rate=training.learning_rate,
        weight_decay=training.weight_decay,
        warmup_steps=training.warmup,
        lr_scheduler_type="linear",
        eval_strategy="epoch",
        save_strategy="steps",
        save_steps=max(1, steps // CHECKPOINTS_PER_EPOCH),
        save_total_limit=2,
        logging_steps=max(1, steps // 20),
        logging_nan_inf_filter=False,  # it would hide from us what stops training
        report_to=list(training.report_to) or "none",
        seed=settings.seed,
        bf16=numbers == "bfloat16",
        fp16=numbers == "float16",
        use_cpu=on_cpu(training),
        disable_tqdm=True,
        log_level="error",
        remove_unused_columns=False,
        dataloader_pin_memory=torch.cuda.is_available(),
        label_names=["labels"],
        ddp_find_unused_parameters=False,  # every part of the model takes part in every step
    )
    if arguments.n_gpu > 1:  # the Trainer would use them all in threads and sum up the losses
        arguments._n_gpu = 1
    return arguments


def _metrics(multi_label: bool) -> Any:
    def metrics(evaluated: Any) -> dict[str, float]:
        logits, targets = evaluated.predictions, evaluated.label_ids
        if multi_label:
            found, true = logits > 0, targets >= 0.5
        else:
            found, true = logits.argmax(axis=1), targets.argmax(axis=1)
        return {"macro_f1": float(f1_score(true, found, average="macro", zero_division=0.0))}

    return metrics


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
