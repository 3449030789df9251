"""Models are listed by digest, promoted as copies that nothing touches, and rolled back."""

import json
import shutil
from pathlib import Path

import pytest

from pipeline.errors import InputError, ModelFolderError
from pipeline.settings import Settings
from pipeline.training.registry import digest_of, entries, find, history, promote, rollback


@pytest.fixture
def models(trained: Settings, tmp_path: Path) -> Path:
    """Two models, `old` and `new`, the second with other weights."""
    folder = tmp_path / "models"
    for name in ("old", "new"):
        shutil.copytree(trained.model_dir, folder / name)
    change(folder / "new", b"other weights", "2999-01-01T00:00:00+00:00")
    (folder / "half.partial").mkdir()  # what training leaves when it is killed at its end
    shutil.copy(folder / "old" / "outreach.json", folder / "half.partial")
    return folder


def change(folder: Path, weights: bytes, made: str) -> None:
    """Give a model other weights, as a later training would."""
    import hashlib

    (folder / "model.safetensors").write_bytes(weights)
    manifest = json.loads((folder / "manifest.json").read_text())
    entry = {"sha256": hashlib.sha256(weights).hexdigest(), "bytes": len(weights)}
    manifest["outputs"]["model.safetensors"] = entry
    manifest["made"] = made
    (folder / "manifest.json").write_text(json.dumps(manifest))


def test_models_are_listed_newest_first_with_what_made_them(
    models: Path, trained: Settings
) -> None:
    new, old = entries(models)
    assert (new.name, old.name) == ("new", "old")
    assert old.base == trained.training.base
    assert old.trained_on > 100
    assert old.test is not None
    assert new.test is None, "its report was made of an older model"
    assert new.digest != old.digest


def test_the_card_is_no_part_of_the_digest(models: Path) -> None:
    before = digest_of(models / "old")
    (models / "old" / "README.md").write_text("another card")
    assert digest_of(models / "old") == before


def test_a_promoted_model_outlives_the_folder_it_came_from(models: Path) -> None:
    digest = promote(models, "old").digest
    shutil.rmtree(models / "old")
    import pipeline

    assert digest_of(models / "production") == digest
    assert pipeline.load(models / "production").predict(["are you hiring?"])
    kept = find(models, digest[:6])
    assert (kept.name, kept.in_use) == ("old", True)


def test_rolling_back_goes_back_one_promotion_at_a_time(models: Path) -> None:
    old, new = promote(models, "old"), promote(models, "new")
    change(models / "new", b"third weights", "2999-01-02T00:00:00+00:00")
    third = promote(models, "new")
    assert len({old.digest, new.digest, third.digest}) == 3
    assert rollback(models).digest == new.digest
    assert rollback(models).digest == old.digest
    with pytest.raises(InputError, match="no model to go back to"):
        rollback(models)
    assert find(models, "production").digest == old.digest
    assert [event["action"] for event in history(models)] == ["promote"] * 3 + ["rollback"] * 2


def test_promoting_what_is_in_use_changes_nothing(models: Path) -> None:
    promote(models, "old")
    promote(models, "old")
    with pytest.raises(InputError, match="no model to go back to"):
        rollback(models)


def test_altered_files_are_not_promoted(models: Path) -> None:
    (models / "old" / "config.json").write_text("{}")
    with pytest.raises(ModelFolderError, match=r"config\.json: missing or not the file"):
        promote(models, "old")
    assert not (models / "production").exists()


@pytest.mark.parametrize("wanted", ["nobody", "ffffff", "production", "ol"])
def test_an_unknown_model_lists_those_there_are(models: Path, wanted: str) -> None:
    with pytest.raises(InputError, match=r"no model .*new \(\w{12}\), old \(\w{12}\)"):
        find(models, wanted)


def test_the_command_lists_promotes_and_compares(models: Path) -> None:
    from typer.testing import CliRunner

    from pipeline.cli.models import app

    def said(*arguments: str) -> str:
        result = CliRunner().invoke(app, [*arguments, "--models", str(models)])
        assert result.exit_code == 0, result.output
        return result.output

    assert "old" in said()
    assert "is now old" in said("promote", "old")
    assert "old (production)" in said()
    said("promote", "new")
    assert "is now old" in said("rollback")
    compared = said("compare", "old", "new")
    assert "primary.macro_f1" in compared
