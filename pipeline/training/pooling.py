"""The mean over tokens, in an architecture whose classifier reads the first token alone.

Sentence encoders are trained for the mean of what they say of all tokens (Reimers and Gurevych,
Sentence-BERT, EMNLP 2019). A layer on top of the others, whose attention begins uniform, whose
values begin as the states themselves and whose feed-forward part begins at nothing, says of the
first token that mean, brought to one length by its normalisation. So the model starts from what
the base knows, the new layer learns like any other, and the saved folder is a plain one, a layer
longer.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from transformers import (
    BertForSequenceClassification,
    PreTrainedModel,
    RobertaForSequenceClassification,
)

from pipeline.errors import InputError
from pipeline.training.frozen import longest_stack

_OVER_OWN_STATE = 16.0
"""How much the mean outweighs the first token's own state, which is added to it."""
_NEARLY_UNIFORM = 0.02
"""What is left of the attention's own queries and keys: little, but enough to learn from."""
_NEARLY_LINEAR = 0.3
"""Where tanh, which comes before the last linear layer, hardly bends."""


def pool_mean(model: PreTrainedModel) -> None:
    """Add the layer that pools the mean, in place.

    Raises:
        InputError: the classifier of this architecture does not read the first token.
    """
    if isinstance(model, BertForSequenceClassification):
        body: Any = model.bert
        dense = body.pooler.dense
    elif isinstance(model, RobertaForSequenceClassification):
        dense = model.classifier.dense
    else:
        raise InputError(
            "training.pooling is mean, which is for BERT and RoBERTa; "
            f"{type(model).__name__} pools as its authors chose. Leave training.pooling at first."
        )
    layers = longest_stack(model.base_model)[2]
    layers.append(_mean_layer(layers[-1]))
    model.config.num_hidden_layers += 1
    _become(dense, _NEARLY_LINEAR)


def _mean_layer(last: torch.nn.Module) -> Any:
    layer: Any = copy.deepcopy(last)
    attention = layer.attention.self
    with torch.no_grad():
        for asked in (attention.query, attention.key):
            asked.weight.mul_(_NEARLY_UNIFORM)
            asked.bias.zero_()
        layer.output.dense.weight.zero_()
        layer.output.dense.bias.zero_()
        for norm in (layer.attention.output.LayerNorm, layer.output.LayerNorm):
            norm.weight.fill_(1)
            norm.bias.zero_()
    _become(attention.value, 1.0)
    _become(layer.attention.output.dense, _OVER_OWN_STATE)
    return layer


def _become(linear: torch.nn.Linear, factor: float) -> None:
    """Let a square linear layer multiply by the factor and do nothing else."""
    with torch.no_grad():
        linear.weight.copy_(factor * torch.eye(linear.in_features))
        linear.bias.zero_()
