"""AdamW with learning rates that fall from the head to the lowest layer."""

from __future__ import annotations

import re
from typing import Any

import torch

from pipeline.settings import Training
from pipeline.training.frozen import longest_stack

_LAYER = re.compile(r"\.(\d+)\.")


def optimizer_of(model: Any, training: Training) -> torch.optim.Optimizer:
    """AdamW: a rate for the head, one a layer for the body, no decay on biases and norms.

    Layer by layer from the top, the rate is multiplied by `training.layer_decay` (Howard and Ruder,
    Universal Language Model Fine-tuning, ACL 2018): the lower, the more general what a layer knows.
    """
    groups: dict[tuple[float, float], list[torch.nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        decay = training.weight_decay if parameter.ndim > 1 else 0.0
        groups.setdefault((rate_of(name, model, training), decay), []).append(parameter)
    return torch.optim.AdamW(
        [{"params": p, "lr": rate, "weight_decay": decay} for (rate, decay), p in groups.items()],
        fused=True,  # one pass over the weights a step instead of a dozen
    )


def rate_of(name: str, model: Any, training: Training) -> float:
    """The learning rate of a parameter, by its name in the model."""
    body_name = f".{_body_name(model)}."
    new_pooler = ".pooler." in name and training.pooling == "first"
    if body_name not in f".{name}" or new_pooler or "modules_to_save" in name:
        return training.head_learning_rate
    if training.layer_decay == 1:
        return training.learning_rate
    layers = len(longest_stack(_body(model))[2])
    found = _LAYER.search(name)
    below = layers - 1 - int(found[1]) if found else 0 if "norm" in name else layers
    if "embed" in name:
        below = layers
    return float(training.learning_rate * training.layer_decay**below)


def _body_name(model: Any) -> str:
    plain = model.get_base_model() if hasattr(model, "get_base_model") else model
    return str(plain.base_model_prefix)


def _body(model: Any) -> torch.nn.Module:
    plain = model.get_base_model() if hasattr(model, "get_base_model") else model
    body: torch.nn.Module = plain.base_model
    return body
