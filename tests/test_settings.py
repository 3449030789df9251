"""Settings are strict, say all that is wrong at once, and read back to what they were."""

from pathlib import Path

import pytest
import yaml

from pipeline.errors import SettingsError
from pipeline.settings import load_settings, parse_settings, to_yaml

CONFIGS = sorted(Path("configs").glob("*.yaml"))
MINIMAL = {
    "name": "x",
    "task": {"labels": ["a", "b"]},
    "data": {"messages": ["m.jsonl"]},
}


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_every_shipped_file_is_usable(path: Path) -> None:
    assert load_settings(path).name == path.stem


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_what_the_settings_command_prints_reads_back_the_same(path: Path) -> None:
    settings = load_settings(path)
    assert parse_settings(yaml.safe_load(to_yaml(settings))) == settings


def test_an_override_changes_one_setting() -> None:
    settings = load_settings(overrides=["training.epochs=7", "training.learning_rate=1e-4"])
    assert (settings.training.epochs, settings.training.learning_rate) == (7, 1e-4)


def test_numbers_may_be_written_as_people_write_them(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(MINIMAL) + "training: {learning_rate: 3e-5}\n")
    settings = load_settings(path)
    assert settings.training.learning_rate == 3e-5
    assert parse_settings(yaml.safe_load(to_yaml(settings))) == settings


def test_no_and_off_are_words_and_need_no_quotes(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    lines = yaml.safe_dump({k: v for k, v in MINIMAL.items() if k != "data"})
    path.write_text(f"{lines}data: {{messages: [m.csv], public: no}}\ntraining: {{cache: off}}\n")
    settings = load_settings(path)
    assert (settings.data.public, settings.training.cache) == ("no", "off")
    assert parse_settings(yaml.safe_load(to_yaml(settings))) == settings
    assert load_settings(path, ["data.public=yes"]).data.public == "yes"


def test_batches_must_hold_a_message_and_ranges_must_be_ranges() -> None:
    values = {
        **MINIMAL,
        "training": {"batch_tokens": 100, "max_length": 256},
        "tune": {"space": {"training.epochs": {"low": 3, "high": 1}}},
    }
    with pytest.raises(SettingsError, match=r"(?s)batch_tokens \(100\).*expected low < high"):
        parse_settings(values)


def test_another_base_forgets_the_commit_and_hash_of_the_old_one() -> None:
    from pipeline.cli.options import settings_from

    config = Path("configs/gpu.yaml")
    assert len(settings_from(config, None).training.revision) == 40
    training = settings_from(Path("configs/default.yaml"), None, "some/base@abc123").training
    assert (training.base, training.revision, training.sha256) == ("some/base", "abc123", "")
    assert settings_from(config, None, "tests").training.base == "tests"
    assert settings_from(config, ["training.base=other"], "some/base").training.base == "other"


def test_an_override_may_be_a_list() -> None:
    settings = load_settings(overrides=["data.messages=[a.jsonl, b.csv]"])
    assert [str(path) for path in settings.data.messages] == ["a.jsonl", "b.csv"]


def test_all_problems_are_listed_together_with_the_nearest_known_key() -> None:
    values = {**MINIMAL, "training": {"epoch": 2, "batch_size": "many"}, "sed": 1}
    with pytest.raises(SettingsError) as caught:
        parse_settings(values)
    text = str(caught.value)
    assert "3 problem(s)" in text
    assert "training.epoch: unknown setting; did you mean 'epochs'?" in text
    assert "sed: unknown setting; did you mean 'seed'?" in text
    assert "training.batch_size" in text


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({**MINIMAL, "task": {"labels": ["a", "a"]}}, "a stands twice"),
        ({**MINIMAL, "task": {"labels": ["a", "none"]}}, "leave it out"),
        ({**MINIMAL, "task": {"labels": ["a"]}}, "task.labels"),
        ({**MINIMAL, "name": "../up"}, "name"),
        ({**MINIMAL, "seed": 1.5}, "seed"),
        ({"name": "x"}, "task: missing"),
    ],
)
def test_unusable_values_are_refused(values: dict[str, object], words: str) -> None:
    with pytest.raises(SettingsError, match=words.replace(".", r"\.")):
        parse_settings(values)


def test_a_file_may_extend_another(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text(yaml.safe_dump({**MINIMAL, "training": {"epochs": 9}}))
    (tmp_path / "mine.yaml").write_text("extends: base.yaml\nname: mine\ntraining: {patience: 1}\n")
    settings = load_settings(tmp_path / "mine.yaml")
    assert (settings.name, settings.training.epochs, settings.training.patience) == ("mine", 9, 1)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"extends: mine.yaml", "circle"),
        (b"- a list", "key: value"),
        (b"a: [", "not YAML"),
        (b"\xff\xfe\x00", "UTF-8"),
        (b"name: 2026-01-01", "only plain values"),
    ],
)
def test_an_unreadable_file_is_explained(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_bytes(content)
    with pytest.raises(SettingsError, match=words):
        load_settings(path)


def test_a_missing_file_names_those_that_exist(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"default\.yaml"):
        load_settings(tmp_path / "nowhere.yaml")


@pytest.mark.parametrize("override", ["training.epochs", "=2", "name.inner=2"])
def test_an_override_that_makes_no_sense_is_refused(override: str) -> None:
    with pytest.raises(SettingsError, match="--set"):
        load_settings(overrides=[override])
