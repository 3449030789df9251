"""After fine-tuning: calibrate the model on held-out messages and choose its thresholds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from sklearn.metrics import f1_score
from transformers import PreTrainedModel

from pipeline.inference.encoding import batches, pad
from pipeline.records import NONE
from pipeline.training.calibrate import DEFAULT_THRESHOLD, Array, best_thresholds, fit
from pipeline.training.examples import Examples
from pipeline.training.export import fold


def logits_of(model: PreTrainedModel, examples: Examples) -> Array:
    """Logits of encoded messages, shape (messages, labels)."""
    logits = np.empty((len(examples.ids), int(model.config.num_labels or 0)))
    with torch.inference_mode():
        for batch in batches([len(ids) for ids in examples.ids], tokens=4096):
            ids, mask = pad([examples.ids[i] for i in batch])
            output = model(input_ids=torch.from_numpy(ids), attention_mask=torch.from_numpy(mask))
            logits[batch] = output.logits.float().numpy()
    return logits


def calibrated(
    model: PreTrainedModel, held_out: Examples, multi_label: bool, weights: Array
) -> tuple[PreTrainedModel, Array, list[float]]:
    """Fold calibration into the model and choose thresholds, both on held-out messages.

    Args:
        model: as it came out of training; changed in place.
        held_out: messages it was not trained on.
        multi_label: whether a message may carry several labels.
        weights: how much each held-out message counts, shape (messages,).

    Returns:
        The model itself, the thresholds, shape (labels,), and per label the F1 at its threshold.
    """
    logits, targets = logits_of(model, held_out), held_out.targets.astype(np.float64)
    calibration = fit(logits, targets, multi_label, weights)
    fold(model, calibration)
    logits = calibration(logits)
    if multi_label:
        probabilities = 1 / (1 + np.exp(-logits))
        thresholds = best_thresholds(probabilities, targets, weights)
        found, true = probabilities >= thresholds, targets >= 0.5
    else:
        thresholds = np.full(logits.shape[1], DEFAULT_THRESHOLD)
        labels = np.arange(logits.shape[1])
        found = logits.argmax(axis=1)[:, None] == labels
        true = targets.argmax(axis=1)[:, None] == labels
    f1 = f1_score(true, found, average=None, zero_division=0.0, sample_weight=weights)
    return model, thresholds, [float(score) for score in np.atleast_1d(f1)]


def primary_macro_f1(
    found: Sequence[str],
    true: Sequence[str],
    labels: Sequence[str],
    weights: Array | None = None,
) -> float:
    """Macro-F1 of the primary over all labels, and `none` where it occurs; weights by message."""
    classes = [*labels, NONE] if NONE in {*found, *true} else list(labels)
    return float(
        f1_score(
            true, found, labels=classes, average="macro", zero_division=0.0, sample_weight=weights
        )
    )
