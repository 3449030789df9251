"""What training minimises: cross-entropy against soft targets, and what may be done to it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from pipeline.settings import Training

FOCUS = 2.0
"""The exponent of focal loss (gamma; Lin et al., ICCV 2017)."""
_MOST = 10.0
"""No label weighs more than this, however rare."""


def loss_of(
    training: Training, targets: NDArray[np.float32], multi_label: bool
) -> Callable[..., torch.Tensor]:
    """The loss as the Trainer calls it: ``loss(outputs, labels, num_items_in_batch)``.

    Several labels: binary cross-entropy, the mean over messages and labels. One label:
    cross-entropy, the mean over messages. With gradients added up over batches and processes, the
    mean is over all of them.

    Args:
        training: says which of the options are on.
        targets: of the training messages, shape (messages, labels); what is rare is counted there.
        multi_label: whether a message may carry several labels.
    """
    weights = torch.tensor(label_weights(training, targets, multi_label))
    focal, smoothing = training.balance == "focal", training.label_smoothing
    of_batch = _several if multi_label else _one

    def loss(outputs: Any, labels: torch.Tensor, num_items_in_batch: Any = None) -> torch.Tensor:
        evenly = 0.5 if multi_label else 1 / labels.shape[1]
        smooth = labels * (1 - smoothing) + smoothing * evenly
        summed = of_batch(outputs.logits.float(), smooth, weights.to(labels.device), focal)
        # The Trainer counts the numbers in `labels`, of every batch whose gradients are added up.
        count = labels.numel() if num_items_in_batch is None else num_items_in_batch
        return summed / (count if multi_label else count / labels.shape[1])

    return loss


def label_weights(
    training: Training, targets: NDArray[np.float32], multi_label: bool
) -> NDArray[np.float32]:
    """How much each label weighs, shape (labels,); ones unless ``balance`` is ``balanced``.

    Several labels: the weight of a label's positives, the root of negatives over positives. One
    label: the root of the mean count over the label's own. The root is the middle way between
    doing nothing and full balance, which trades too much precision for recall.
    """
    count, labels = targets.shape
    if training.balance != "balanced":
        return np.ones(labels, np.float32)
    positives = np.maximum(targets.sum(axis=0, dtype=np.float64), 1.0)
    rarity = (count - positives) / positives if multi_label else count / labels / positives
    weights = np.clip(np.sqrt(np.maximum(rarity, 1e-6)), 1 / _MOST, _MOST)
    return np.asarray(weights, np.float32)


def _several(
    logits: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor, focal: bool
) -> torch.Tensor:
    loss = functional.binary_cross_entropy_with_logits(
        logits, targets, pos_weight=weights, reduction="none"
    )
    if focal:  # for soft targets: Li et al., Generalized Focal Loss, NeurIPS 2020
        loss = loss * (targets - logits.sigmoid()).abs() ** FOCUS
    return loss.sum()


def _one(
    logits: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor, focal: bool
) -> torch.Tensor:
    logged = logits.log_softmax(dim=-1)
    loss = -targets * logged * weights
    if focal:
        loss = loss * (1 - logged.exp()) ** FOCUS
    return loss.sum()
