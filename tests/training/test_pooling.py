"""Mean pooling is a layer more of a plain model, and begins as the mean."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transformers import (
    AutoModel,
    AutoModelForSequenceClassification,
    MPNetConfig,
    MPNetForSequenceClassification,
)

from pipeline.errors import InputError
from pipeline.progress import SILENT
from pipeline.settings import Settings
from pipeline.training.batches import Rows, collate
from pipeline.training.examples import Examples
from pipeline.training.finetune import finetune, load_for_training
from pipeline.training.measure import logits_of
from pipeline.training.pooling import pool_mean
from pipeline.training.quiet import quiet_libraries

Options = Callable[..., Settings]
Split = tuple[Examples, Examples]


def test_it_begins_as_the_mean_over_all_tokens(
    tiny_base: Path, split: Split, options: Options
) -> None:
    rows = Rows(split[0])
    batch = collate([rows[i] for i in range(16)])
    batch.pop("labels")
    model = load_for_training(tiny_base, options(pooling="mean", frozen_layers=0)).eval()
    with torch.inference_mode():
        said = model.base_model(**batch).last_hidden_state[:, 0]
        states = AutoModel.from_pretrained(tiny_base).eval()(**batch).last_hidden_state
    mask = batch["attention_mask"][..., None]
    mean = (states * mask).sum(1) / mask.sum(1)
    alike = torch.nn.functional.cosine_similarity(said, mean - mean.mean(1, keepdim=True))
    assert alike.min() > 0.9
    first = torch.nn.functional.cosine_similarity(said, states[:, 0])
    assert first.mean() < alike.mean()


@pytest.mark.parametrize("frozen_layers", [-1, 1, 2])
def test_what_is_saved_is_a_plain_model_a_layer_longer(
    tiny_base: Path, split: Split, options: Options, tmp_path: Path, frozen_layers: int
) -> None:
    settings = options(pooling="mean", frozen_layers=frozen_layers, probe=60, epochs=2)
    with quiet_libraries():
        model = finetune(tiny_base, *split, settings, tmp_path / "work", SILENT)
    model.save_pretrained(tmp_path / "saved")
    plain = AutoModelForSequenceClassification.from_pretrained(tmp_path / "saved").eval()
    assert plain.config.num_hidden_layers == 3
    assert abs(logits_of(plain, split[1]) - logits_of(model, split[1])).max() < 1e-4


def test_other_architectures_pool_as_they_do() -> None:
    config = MPNetConfig(hidden_size=16, num_hidden_layers=1, num_attention_heads=2, vocab_size=30)
    with pytest.raises(InputError, match="is for BERT and RoBERTa"):
        pool_mean(MPNetForSequenceClassification(config))
