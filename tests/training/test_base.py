"""The base model is the one the settings mean, or training does not begin."""

import shutil
from pathlib import Path

import pytest

from pipeline.errors import InputError
from pipeline.settings import Training
from pipeline.store import sha256_file
from pipeline.training.base import resolve_base


def test_the_packaged_base_has_the_pinned_weights() -> None:
    from pipeline.settings import load_settings

    assert (resolve_base(load_settings().training) / "model.safetensors").is_file()


def test_a_local_folder_is_taken_as_it_is(tiny_base: Path) -> None:
    assert resolve_base(Training(base=str(tiny_base))) == tiny_base


def test_other_weights_than_the_pinned_ones_are_refused(tiny_base: Path) -> None:
    right = sha256_file(tiny_base / "model.safetensors")
    resolve_base(Training(base=str(tiny_base), sha256=right))
    with pytest.raises(InputError, match="hashes to"):
        resolve_base(Training(base=str(tiny_base), sha256="0" * 64))


def test_a_folder_without_a_tokenizer_is_refused(tiny_base: Path, tmp_path: Path) -> None:
    folder = tmp_path / "base"
    shutil.copytree(tiny_base, folder)
    (folder / "tokenizer.json").unlink()
    with pytest.raises(InputError, match=r"lacks tokenizer\.json"):
        resolve_base(Training(base=str(folder)))


def test_an_encoder_of_another_kind_is_trained_and_loaded(tiny_base: Path, tmp_path: Path) -> None:
    """MPNet has its own attention, which torch's fused one cannot stand in for."""
    import torch
    from transformers import MPNetConfig, MPNetModel

    from pipeline.settings import load_settings
    from pipeline.training.export import export_onnx
    from pipeline.training.finetune import load_for_training, load_weights

    shutil.copytree(tiny_base, tmp_path / "base")
    config = MPNetConfig(
        vocab_size=600,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=16,
    )
    MPNetModel(config).save_pretrained(tmp_path / "base")
    model = load_for_training(tmp_path / "base", load_settings())
    model.save_pretrained(tmp_path / "model")
    ids = torch.tensor([[0, 7, 8, 2]])
    with torch.inference_mode():
        first, second = (m.eval()(ids).logits for m in (model, load_weights(tmp_path / "model")))
    assert first.shape == (1, 3)
    assert torch.equal(first, second)
    export_onnx(model, tmp_path / "model")


def test_an_unknown_name_says_what_a_base_can_be() -> None:
    with pytest.raises(InputError, match="neither an installed package"):
        resolve_base(Training(base="nobody/nothing"))


def test_a_hub_model_that_cannot_be_reached_is_explained() -> None:
    with pytest.raises(InputError, match="could not be fetched"):
        resolve_base(Training(base="nobody/nothing", revision="0" * 40))
