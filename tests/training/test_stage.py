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
from huggingface_hub import ModelCard
from safetensors.numpy import load_file

from pipeline.errors import InputError
from pipeline.ingestion.stage import ingest
from pipeline.labeling.stage import label
from pipeline.records import LabelledMessage
from pipeline.settings import Settings, load_settings
from pipeline.store import read_manifest
from pipeline.training.card import write_card
from pipeline.training.cost import Cost
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


def test_training_can_be_looked_at_in_tensorboard(trained: Settings) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    (events,) = (trained.model_dir / "runs").rglob("events.out.tfevents.*")
    told = EventAccumulator(str(events)).Reload().Tags()["scalars"]
    assert {"train/loss", "train/learning_rate", "eval/macro_f1", "eval/loss"} <= set(told)


def test_the_card_is_one_the_hub_can_read(trained: Settings) -> None:
    card = ModelCard.load(trained.model_dir / "README.md")
    assert card.data.pipeline_tag == "text-classification"
    (macro, *of_labels) = card.data.eval_results
    assert macro.metric_name == "macro F1"
    assert len(of_labels) == len(trained.task.labels)
    assert card.data.co2_eq_emissions["emissions"] > 0


def test_the_card_of_other_mail_claims_nothing_that_only_holds_of_the_corpus(
    trained: Settings, tmp_path: Path
) -> None:
    def card(settings: Settings) -> ModelCard:
        counts = {"train": 9, "validation": 9, "from_public": 0}
        cost = Cost(60.0, "2 cores", 20.0)
        write_card(tmp_path, settings, [0.5] * 3, [0.5] * 3, counts, cost)
        return ModelCard.load(tmp_path / "README.md")

    others = card(trained)
    assert (others.data.language, others.data.license) == (None, None)
    assert "English" not in others.text
    shipped = card(load_settings(Path("configs/default.yaml")))
    assert (shipped.data.language, shipped.data.license) == ("en", "apache-2.0")
    assert shipped.data.base_model == "sentence-transformers/all-MiniLM-L6-v2"
    assert "English only" in shipped.text
    assert "## What it is for" in shipped.text


@pytest.mark.parametrize(
    ("name", "words"), [("tensorbord", "no tracker 'tensorbord'"), ("comet_ml", "is not installed")]
)
def test_a_tracker_that_is_not_there_is_refused_before_anything_is_encoded(
    make_settings: MakeSettings, tmp_path: Path, name: str, words: str
) -> None:
    settings = prepared(make_settings(tmp_path, training={"report_to": [name]}))
    with pytest.raises(InputError, match=words):
        train(settings)
    assert not list(settings.model_dir.with_name("tiny.partial").rglob("targets.npy"))


def test_labels_stand_by_name_in_the_config(trained: Settings) -> None:
    config = json.loads((trained.model_dir / "config.json").read_text())
    assert list(config["id2label"].values()) == list(trained.task.labels)
    assert config["problem_type"] == "multi_label_classification"


def test_the_manifest_says_what_made_it(trained: Settings) -> None:
    manifest = read_manifest(trained.model_dir)
    assert manifest["settings"]["training"]["epochs"] == trained.training.epochs
    assert "model.safetensors" in manifest["outputs"]
    assert "torch" in manifest["versions"]
    weights = Path(trained.training.base) / "model.safetensors"
    assert str(weights) in manifest["inputs"], "other weights there are another base"


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
