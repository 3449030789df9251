"""The loss is cross-entropy against soft targets, and each option changes it as it says."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch.nn import functional

from pipeline.settings import Training
from pipeline.training.loss import label_weights, loss_of

LOGITS = torch.tensor([[2.0, -1.0, 0.5], [0.0, 3.0, -2.0]])
SOFT = torch.tensor([[1.0, 0.0, 0.3], [0.0, 1.0, 0.0]])
ONE = torch.tensor([[0.8, 0.2, 0.0], [0.0, 1.0, 0.0]])
RARE = np.array([[1, 0, 0]] * 95 + [[1, 1, 0]] * 4 + [[0, 0, 1]], np.float32)


def loss(targets: torch.Tensor, multi_label: bool = True, **options: object) -> float:
    found = loss_of(Training(**options), np.asarray(targets), multi_label)  # type: ignore[arg-type]
    return float(found(SimpleNamespace(logits=LOGITS), targets))


def test_several_labels_are_binary_cross_entropy() -> None:
    expected = functional.binary_cross_entropy_with_logits(LOGITS, SOFT)
    assert loss(SOFT) == pytest.approx(float(expected))


def test_one_label_is_cross_entropy() -> None:
    expected = functional.cross_entropy(LOGITS, ONE)
    assert loss(ONE, multi_label=False) == pytest.approx(float(expected))


@pytest.mark.parametrize("multi_label", [True, False])
def test_batches_added_up_give_the_mean_over_all_of_them(multi_label: bool) -> None:
    found = loss_of(Training(), ONE.numpy(), multi_label)
    parts = [
        found(SimpleNamespace(logits=LOGITS[i : i + 1]), ONE[i : i + 1], num_items_in_batch=6)
        for i in range(2)
    ]
    assert float(sum(parts)) == pytest.approx(loss(ONE, multi_label))


def test_focal_loss_leaves_little_of_what_is_already_right() -> None:
    certain = torch.tensor([[1.0, 0.0, 1.0], [0.0, 1.0, 0.0]])
    assert loss(certain, balance="focal") < 0.5 * loss(certain)


@pytest.mark.parametrize("multi_label", [True, False])
def test_smoothing_costs_the_certain(multi_label: bool) -> None:
    assert loss(ONE, multi_label, label_smoothing=0.2) > loss(ONE, multi_label)


def test_rare_labels_weigh_more_when_balanced() -> None:
    several = label_weights(Training(balance="balanced"), RARE, multi_label=True)
    assert several[0] < 1 < several[1] < several[2] <= 10
    one = label_weights(Training(balance="balanced"), RARE, multi_label=False)
    assert one[0] < one[1] < one[2]
    assert (label_weights(Training(), RARE, multi_label=True) == 1).all()
