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


def test_an_unknown_name_says_what_a_base_can_be() -> None:
    with pytest.raises(InputError, match="neither an installed package"):
        resolve_base(Training(base="nobody/nothing"))


def test_a_hub_model_that_cannot_be_reached_is_explained() -> None:
    with pytest.raises(InputError, match="could not be fetched"):
        resolve_base(Training(base="nobody/nothing", revision="0" * 40))
