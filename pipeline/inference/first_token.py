"""The last layer of an encoder, computed only for the token that the classifier reads.

BERT's classification head reads the first token and nothing else. The last layer still has to look
at all tokens (keys and values), but what it says of the others is thrown away, and that is five
sixths of its arithmetic. Leaving it out changes no answer and no gradient.
"""

from __future__ import annotations

from typing import Any

import torch
from transformers import (
    BertForSequenceClassification,
    PreTrainedModel,
    RobertaForSequenceClassification,
)
from transformers.models.bert.modeling_bert import BertLayer
from transformers.models.roberta.modeling_roberta import RobertaLayer

_HEADS_ON_FIRST_TOKEN = (BertForSequenceClassification, RobertaForSequenceClassification)
_ATTENTIONS = ("sdpa", "eager")
"""Kinds of attention whose masks have a row for each asking token."""


def read_first_token_only(model: PreTrainedModel) -> bool:
    """Let the last layer compute only the first token, in place, if this architecture is known.

    Parameters keep their names, so that what is saved loads into the plain model.

    Returns:
        Whether it was done now. Where it is, the encoder gives one token, shape (batch, 1, width).
    """
    if not isinstance(model, _HEADS_ON_FIRST_TOKEN):
        return False
    body: Any = model.base_model
    layers = body.encoder.layer
    known = isinstance(layers[-1], (BertLayer, RobertaLayer))
    if not known or model.config._attn_implementation not in _ATTENTIONS:
        return False
    layers[-1] = _FirstTokenLayer(layers[-1])
    return True


class _FirstTokenLayer(torch.nn.Module):
    """A BERT layer that asks from the first token only; shares the parts of the given one."""

    def __init__(self, layer: Any) -> None:
        super().__init__()
        self.attention = layer.attention
        self.intermediate = layer.intermediate
        self.output = layer.output
        self.train(layer.training)

    def forward(
        self,
        hidden_states: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        *_: Any,
        **__: Any,
    ) -> torch.Tensor:
        """States of all tokens in, shape (batch, tokens, width); the first's out."""
        attention = self.attention.self
        first = hidden_states[:, :1]

        def heads(projected: Any) -> Any:
            return projected.unflatten(-1, (-1, attention.attention_head_size)).transpose(1, 2)

        seen = torch.nn.functional.scaled_dot_product_attention(
            heads(attention.query(first)),
            heads(attention.key(hidden_states)),
            heads(attention.value(hidden_states)),
            attn_mask=None if attention_mask is None else attention_mask[:, :, :1],
            dropout_p=attention.dropout.p if self.training else 0.0,
        )
        attended = self.attention.output(seen.transpose(1, 2).flatten(2), first)
        said: torch.Tensor = self.output(self.intermediate(attended), attended)
        return said
