"""A head that starts from what the base already knows.

A head of random weights sends noise down into the base in its first steps and distorts what it
knows. So the head starts as a logistic regression on the untrained base's features (linear probing
then fine-tuning; Kumar et al., Fine-Tuning can Distort Pretrained Features, ICLR 2022).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from transformers import PreTrainedModel

from pipeline.training.batches import Buckets, Rows, collate
from pipeline.training.export import output_layer

_TOKENS_PER_BATCH = 4096


def start_head(model: PreTrainedModel, rows: Rows, most: int, multi_label: bool, seed: int) -> None:
    """Fit the last linear layer on at most `most` of the rows, drawn by `seed`, in place."""
    places = np.arange(len(rows))
    if len(rows) > most:
        places = np.sort(np.random.default_rng(seed).choice(len(rows), most, replace=False))
    features = features_of(model, rows, places)
    targets = rows.examples.targets[places].astype(np.float64)
    fit = _several if multi_label else _one
    weights, biases = fit(features, targets)
    layer = output_layer(model)
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(weights))
        layer.bias.copy_(torch.from_numpy(biases))


def features_of(
    model: PreTrainedModel, rows: Rows, places: NDArray[np.int64]
) -> NDArray[np.float32]:
    """What reaches the model's last linear layer, shape (places, width)."""
    layer = output_layer(model)
    seen: list[torch.Tensor] = []
    hook = layer.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    lengths = rows.examples.ids.lengths[places]
    found = np.empty((len(places), layer.in_features), np.float32)
    model.eval()  # type: ignore[no-untyped-call]
    try:
        with torch.inference_mode():
            for batch in Buckets(lengths, size=256, tokens=_TOKENS_PER_BATCH):
                inputs = collate([rows[int(places[i])] for i in batch])
                model(**{k: t.to(model.device) for k, t in inputs.items() if k != "labels"})
                found[batch] = seen.pop().float().cpu().numpy()
    finally:
        hook.remove()
    return found


def _several(features: NDArray[Any], targets: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """One regression a label; a target of 0.3 is a yes of weight 0.3 and a no of weight 0.7.

    Labels that all messages of the draw have, or none has, start at zero.
    """
    rows = np.vstack([features, features])
    answers = np.repeat([1, 0], len(features))
    weights, biases = _zeros(features, targets)
    for label, target in enumerate(targets.T):
        counts = np.concatenate([target, 1 - target])
        here = counts > 0
        if len(set(answers[here])) == 2:
            fitted = _regression().fit(rows[here], answers[here], counts[here])
            weights[label], biases[label] = fitted.coef_[0], fitted.intercept_[0]
    return weights, biases


def _one(features: NDArray[Any], targets: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """One regression over all labels; those that no message of the draw has start at zero.

    So do all of them where the draw has only one.
    """
    weights, biases = _zeros(features, targets)
    best = targets.argmax(axis=1)
    if len(set(best)) < 2:
        return weights, biases
    fitted = _regression().fit(features, best)
    if len(fitted.classes_) == 2:  # scikit-learn keeps only the second of two
        second = fitted.classes_[1]
        weights[second], biases[second] = fitted.coef_[0], fitted.intercept_[0]
        return weights, biases
    weights[fitted.classes_], biases[fitted.classes_] = fitted.coef_, fitted.intercept_
    return weights, biases


def _zeros(features: NDArray[Any], targets: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    labels = targets.shape[1]
    return np.zeros((labels, features.shape[1])), np.zeros(labels)


def _regression() -> LogisticRegression:
    return LogisticRegression(C=1.0, max_iter=1000)
