"""Training a real tiny model: what it writes, how it goes on, and what it refuses."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from pipeline.errors import InputError
from pipeline.ingestion.stage import ingest
from pipeline.labeling.stage import label
from pipeline.records import LabelledMessage
from pipeline.settings import Settings
from pipeline.store import read_manifest
from pipeline.training.stage import evenly, to_learn_from, train

MakeSettings = Callable[..., Settings]


def test_the_model_folder_holds_what_its_readme_says(trained: Settings) -> None:
    found = {p.relative_to(trained.model_dir).as_posix() for p in trained.model_dir.rglob("*")}
    expected = {
        "README.md",
        "config.json",
        "manifest.json",
        "model.safetensors",
        "onnx/model.onnx",
        "outreach.json",
        "reference/reference.json",
        "reference/reference.safetensors",
        "report/index.html",
        "report/metrics.json",
        "tokenizer.json",
        "tokenizer_config.json",
    }
    assert expected <= found
    assert not [name for name in found if name.endswith((".bin", ".pkl", ".pickle", ".pt"))]
    assert not [name for name in found if "checkpoint" in name or name.startswith("work")]


def test_labels_stand_by_name_in_the_config(trained: Settings) -> None:
    config = json.loads((trained.model_dir / "config.json").read_text())
    assert list(config["id2label"].values()) == list(trained.task.labels)
    assert config["problem_type"] == "multi_label_classification"


def test_the_manifest_says_what_made_it(trained: Settings) -> None:
    manifest = read_manifest(trained.model_dir)
    assert manifest["settings"]["training"]["epochs"] == trained.training.epochs
    assert "model.safetensors" in manifest["outputs"]
    assert "torch" in manifest["versions"]


def prepared(settings: Settings) -> Settings:
    ingest(settings)
    label(settings)
    return settings


def test_killed_training_goes_on_to_the_weights_of_an_unbroken_run_with_the_same_seed(
    make_settings: MakeSettings, trained: Settings, tmp_path: Path
) -> None:
    settings = prepared(make_settings(tmp_path))
    partial = settings.model_dir.with_name("tiny.partial")
    config = tmp_path / "settings.yaml"
    config.write_text(settings.model_dump_json(), encoding="utf-8")  # JSON is YAML
    command = [sys.executable, "-m", "pipeline", "train", "--config", str(config)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as run:
        deadline = time.monotonic() + 100
        while not list(partial.glob("work/checkpoints/checkpoint-*/trainer_state.json")):
            assert run.poll() is None, "training ended before it could be killed"
            assert time.monotonic() < deadline, "no checkpoint was written"
            time.sleep(0.02)
        os.kill(run.pid, signal.SIGKILL)
    assert not settings.model_dir.exists()
    notes: list[str] = []
    train(settings, progress=Notes(notes))
    assert any(note.startswith("Going on from checkpoint-") for note in notes)
    unbroken = load_file(trained.model_dir / "model.safetensors")
    resumed = load_file(settings.model_dir / "model.safetensors")
    assert all(np.allclose(unbroken[key], resumed[key], atol=1e-6) for key in unbroken)


class Notes:
    """A progress that remembers its notes."""

    def __init__(self, notes: list[str]) -> None:
        self._notes = notes

    def note(self, line: str) -> None:
        self._notes.append(line)

    def task(self, name: str, total: float | None = None) -> object:
        from pipeline.progress import SILENT

        return SILENT.task(name, total)


def test_a_label_that_only_some_messages_lack_trains_in_single_label_mode(
    make_settings: MakeSettings, tmp_path: Path
) -> None:
    rows = [f"{i},a question about {w} number {i},{w}" for i in range(60) for w in ("art", "law")]
    table = tmp_path / "table.csv"
    numbered = [f"{n},{row.partition(',')[2]}" for n, row in enumerate(rows)]
    table.write_text("id,text,topic\n" + "\n".join(numbered) + "\n")
    settings = make_settings(
        tmp_path,
        task={"labels": ["art", "law"], "multi_label": False},
        data={"messages": [str(table)], "annotations": [], "columns": {"label": "topic"}},
        label={"keep_together": []},
    )
    train(prepared(settings))
    import pipeline

    clf = pipeline.load(settings.model_dir)
    scores = clf.predict_proba(["a question about law number 7", "art"])
    assert np.allclose(scores.sum(axis=1), 1)
    assert clf.predict(["a question about law number 7"])[0].asks == ("law",)
    config = json.loads((settings.model_dir / "config.json").read_text())
    assert config["problem_type"] == "single_label_classification"


def test_training_needs_labels_first(make_settings: MakeSettings, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="outreach label resolve"):
        train(make_settings(tmp_path))


def test_a_device_that_is_not_there_is_refused_before_anything_is_written(
    make_settings: MakeSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    settings = prepared(make_settings(tmp_path, training={"device": "cuda"}))
    with pytest.raises(InputError, match=r"training\.device is cuda"):
        train(settings)
    assert not list(settings.model_dir.with_name("tiny.partial").rglob("work"))


@pytest.mark.parametrize("most", [1, 7, 50, 99])
def test_messages_are_taken_evenly_from_a_sorted_file(most: int) -> None:
    messages = [LabelledMessage(str(number), "Hello.") for number in range(100)]
    places = [int(message.id) for message in evenly(lambda: iter(messages), most)]
    assert len(places) == most
    assert all(abs(place - number * 100 / most) <= 1 for number, place in enumerate(places)), (
        "from the start to the end of the file"
    )


@pytest.mark.parametrize("count", [0, 1, 5])
def test_few_messages_are_all_taken(count: int) -> None:
    messages = [LabelledMessage(str(number), "Hello.") for number in range(count)]
    assert evenly(lambda: iter(messages), 5) == messages


def test_the_encoder_learns_from_no_more_messages_than_it_is_told(
    make_settings: MakeSettings, tmp_path: Path
) -> None:
    messages = [LabelledMessage(str(number), "Hello.") for number in range(100)]
    for most, expected in ((0, 100), (10, 10), (500, 100)):
        settings = make_settings(tmp_path, training={"messages": most})
        assert len(list(to_learn_from(settings, lambda: iter(messages)))) == expected
