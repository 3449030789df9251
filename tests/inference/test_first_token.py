"""The last layer computed for the first token only: the same answers, gradients and files."""

from pathlib import Path

import pytest
import torch
from transformers import (
    AutoModelForSequenceClassification,
    BertConfig,
    BertForSequenceClassification,
    DistilBertConfig,
    DistilBertForSequenceClassification,
    PreTrainedModel,
    RobertaConfig,
    RobertaForSequenceClassification,
)

from pipeline.inference.first_token import read_first_token_only

SMALL = {
    "vocab_size": 50,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "max_position_embeddings": 32,
    "num_labels": 3,
}
IDS = torch.tensor([[2, 7, 8, 9, 3], [2, 11, 3, 0, 0]])
MASK = (IDS > 0).long()


def bert(**options: float) -> PreTrainedModel:
    torch.manual_seed(0)
    return BertForSequenceClassification(BertConfig(**SMALL, **options)).eval()


def roberta() -> PreTrainedModel:
    torch.manual_seed(0)
    return RobertaForSequenceClassification(RobertaConfig(**SMALL, pad_token_id=0)).eval()


def answers(model: PreTrainedModel) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    model.zero_grad()
    logits = model(input_ids=IDS, attention_mask=MASK).logits
    logits.square().sum().backward()
    grads = {n: p.grad for n, p in model.named_parameters() if p.grad is not None}
    return logits.detach(), grads


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("make", [bert, roberta])
def test_answers_and_gradients_are_those_of_the_whole_layer(make, attention: str) -> None:  # type: ignore[no-untyped-def]
    model = make()
    model.set_attn_implementation(attention)
    whole, whole_gradients = answers(model)
    assert read_first_token_only(model)
    first, gradients = answers(model)
    assert torch.allclose(whole, first, atol=1e-6)
    assert gradients.keys() == whole_gradients.keys()
    for name, gradient in gradients.items():
        assert torch.allclose(gradient, whole_gradients[name], atol=1e-5), name
    assert model.base_model(input_ids=IDS).last_hidden_state.shape == (2, 1, 16)


def test_dropout_is_drawn_while_training_only() -> None:
    model = bert(attention_probs_dropout_prob=0.5, hidden_dropout_prob=0.0)
    read_first_token_only(model)

    def twice() -> bool:
        first, second = (model(input_ids=IDS, attention_mask=MASK).logits for _ in range(2))
        return torch.equal(first, second)

    assert twice()
    model.train()
    assert not twice()


def test_what_is_saved_loads_into_the_plain_model(tmp_path: Path) -> None:
    model = bert()
    expected, _ = answers(model)
    read_first_token_only(model)
    model.save_pretrained(tmp_path)
    plain = AutoModelForSequenceClassification.from_pretrained(tmp_path).eval()
    found = plain(input_ids=IDS, attention_mask=MASK)
    assert torch.allclose(found.logits, expected, atol=1e-6)
    assert plain.base_model(input_ids=IDS).last_hidden_state.shape == (2, 5, 16)


def test_it_is_done_once() -> None:
    model = bert()
    assert read_first_token_only(model)
    assert not read_first_token_only(model)


def test_other_architectures_stay_as_they_are() -> None:
    config = DistilBertConfig(vocab_size=50, dim=16, n_layers=2, n_heads=2, hidden_dim=24)
    model = DistilBertForSequenceClassification(config)
    before = str(model)
    assert not read_first_token_only(model)
    assert str(model) == before
