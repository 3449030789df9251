"""After fine-tuning: calibrate the model on held-out messages and choose its thresholds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from sklearn.metrics import f1_score
from transformers import PreTrainedModel

from pipeline.inference.classifier import decide, probabilities
from pipeline.inference.encoding import Encoder, batches, highest, pad
from pipeline.records import NONE, LabelledMessage, render
from pipeline.training.calibrate import DEFAULT_THRESHOLD, Array, best_thresholds, fit
from pipeline.training.examples import Examples, TokenRows
from pipeline.training.export import fold

_CHUNK = 4096
"""Texts that stand in memory as token ids at a time."""


def logits_of(model: PreTrainedModel, examples: Examples) -> Array:
    """Logits of encoded messages, shape (messages, labels)."""
    logits = np.empty((len(examples.ids), int(model.config.num_labels or 0)))
    with torch.inference_mode():
        for batch in batches([len(ids) for ids in examples.ids], tokens=4096):
            ids, mask = pad([examples.ids[i] for i in batch])
            output = model(input_ids=torch.from_numpy(ids), attention_mask=torch.from_numpy(mask))
            logits[batch] = output.logits.float().numpy()
    return logits


def logits_of_texts(model: PreTrainedModel, encode: Encoder, texts: Sequence[str]) -> Array:
    """As the saved model answers: of a long text the highest over its windows, (texts, labels)."""
    logits = np.empty((len(texts), int(model.config.num_labels or 0)))
    for start in range(0, len(texts), _CHUNK):
        part = texts[start : start + _CHUNK]
        windows, owners = encode.windows(part)
        lengths = np.array([len(ids) for ids in windows])
        tokens = TokenRows(np.concatenate(windows).astype(np.int32), lengths)
        no_targets = np.zeros((len(windows), 0), np.float32)
        found = logits_of(model, Examples(tokens, no_targets))
        logits[start : start + _CHUNK] = highest(found, owners, len(part))
    return logits


def texts_of(messages: Sequence[LabelledMessage]) -> list[str]:
    """The messages as a model reads them."""
    return [render(message.subject, message.text) for message in messages]


@dataclass(frozen=True)
class Calibrated:
    """What a model says of held-out messages, once it is calibrated on them."""

    messages: Sequence[LabelledMessage]
    weights: Array
    """How much each message counts, shape (messages,)."""
    logits: Array
    """Calibrated, shape (messages, labels)."""
    thresholds: Array
    """Shape (labels,)."""
    f1: list[float]
    """Of each label, at its threshold."""

    @property
    def targets(self) -> Array:
        """Soft targets, shape (messages, labels)."""
        return np.array([message.targets for message in self.messages])

    @property
    def texts(self) -> list[str]:
        """The messages as the model reads them."""
        return texts_of(self.messages)

    @property
    def primary(self) -> list[str]:
        """The primary ask of each message."""
        return [message.primary for message in self.messages]

    def primary_macro_f1(self, logits: Array, labels: Sequence[str], multi_label: bool) -> float:
        """What such logits of these messages, shape (messages, labels), would score here."""
        rows = probabilities(logits, multi_label)
        answers = decide(rows, labels, self.thresholds, multi_label)
        found = [primary for primary, _ in answers]
        return primary_macro_f1(found, self.primary, labels, self.weights)


def calibrated(
    model: PreTrainedModel,
    encode: Encoder,
    messages: Sequence[LabelledMessage],
    weights: Array,
    multi_label: bool,
) -> Calibrated:
    """Fold calibration into the model and choose thresholds, both on held-out messages.

    Args:
        model: as it came out of training; changed in place.
        encode: how the saved model will read texts.
        messages: such as it was not trained on.
        weights: how much each of them counts, shape (messages,).
        multi_label: whether a message may carry several labels.
    """
    targets = np.array([message.targets for message in messages])
    logits = logits_of_texts(model, encode, texts_of(messages))
    calibration = fit(logits, targets, multi_label, weights)
    fold(model, calibration)
    logits = calibration(logits)
    if multi_label:
        scores = probabilities(logits, multi_label)
        thresholds = best_thresholds(scores, targets, weights)
        found, true = scores >= thresholds, targets >= 0.5
    else:
        thresholds = np.full(logits.shape[1], DEFAULT_THRESHOLD)
        labels = np.arange(logits.shape[1])
        found = logits.argmax(axis=1)[:, None] == labels
        true = targets.argmax(axis=1)[:, None] == labels
    f1 = f1_score(true, found, average=None, zero_division=0.0, sample_weight=weights)
    return Calibrated(messages, weights, logits, thresholds, np.atleast_1d(f1).tolist())


def primary_macro_f1(
    found: Sequence[str],
    true: Sequence[str],
    labels: Sequence[str],
    weights: Array | None = None,
) -> float:
    """Macro-F1 of the primary over all labels, and `none` where it occurs; weights by message."""
    classes = list(dict.fromkeys([*labels, NONE] if NONE in {*found, *true} else labels))
    return float(
        f1_score(
            true, found, labels=classes, average="macro", zero_division=0.0, sample_weight=weights
        )
    )
