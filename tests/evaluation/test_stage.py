import json
import subprocess
import sys

import numpy as np
import pytest

import pipeline.inference.classifier as classifier_module
from pipeline.errors import InputError, ModelFolderError
from pipeline.evaluation.headline import headline
from pipeline.evaluation.stage import evaluate
from pipeline.records import LabelledMessage, Prediction
from pipeline.settings import parse_settings
from pipeline.store import read_records, write_records

INJECTION = '<script>alert(1)</script><img src=x onerror="alert(2)">'


@pytest.fixture
def settings(tmp_path, messages, classifier):
    made = parse_settings(
        {
            "name": "tiny",
            "task": {"labels": list(classifier.labels)},
            "data": {"messages": ["unused"], "processed": str(tmp_path / "processed")},
            "models": str(tmp_path / "models"),
            "evaluation": {"bootstrap": 50},
        }
    )
    write_records(made.label_dir / "test.parquet", messages, LabelledMessage)
    made.model_dir.mkdir(parents=True)
    (made.model_dir / "config.json").write_text("{}")
    return made


@pytest.fixture(autouse=True)
def _keyword_model(monkeypatch, classifier):
    monkeypatch.setattr(classifier_module, "load", lambda folder: classifier)


def test_the_stage_writes_a_report_and_skips_when_nothing_changed(settings, messages):
    result = evaluate(settings)
    assert not result.skipped
    assert result.counts["messages"] == len(messages)
    names = {p.name for p in result.output_dir.iterdir()}
    assert {"index.html", "metrics.json", "predictions.parquet", "manifest.json"} <= names
    assert evaluate(settings).skipped
    (settings.model_dir / "config.json").write_text('{"changed": true}')
    assert not evaluate(settings).skipped


def test_metrics_are_flat_numbers(settings):
    metrics = json.loads((evaluate(settings).output_dir / "metrics.json").read_text())
    assert all(isinstance(value, int | float) for value in metrics.values())
    assert metrics["model.all.rows"] == 40
    assert metrics["model.public.rows"] + metrics["model.written.rows"] == 40
    assert metrics["model.all.ask.influence.f1.low"] <= metrics["model.all.ask.influence.f1"]


def test_predictions_carry_the_labels_but_never_the_text(settings, messages):
    path = evaluate(settings).output_dir / "predictions.parquet"
    predictions = read_records(path, Prediction)
    assert [p.id for p in predictions] == [m.id for m in messages]
    assert [p.extra["gold_primary"] for p in predictions] == [m.primary for m in messages]
    assert "Thanks for lunch" not in str(predictions)


def test_the_page_is_whole_and_needs_no_network(settings):
    page = (evaluate(settings).output_dir / "index.html").read_text()
    assert "<script" not in page
    assert 'src="' not in page
    assert "://" not in page
    assert page.count("<svg") >= 2
    assert "Only the figures of real mail say something" in page


def test_the_headline_says_when_all_messages_were_written_for_the_project():
    metrics = {
        f"model.{where}.{key}": value
        for where in ("all", "written")
        for key, value in (
            ("rows", 9),
            ("primary.accuracy", 0.9),
            ("primary.macro_f1", 0.8),
            ("ask.influence.f1", 0.7),
        )
    }
    lines = headline(metrics)
    assert lines[0] == "primary right in 90.0 % of 9 test messages, macro-F1 0.800"
    assert lines[1] == "F1 per ask: influence 0.700"
    assert "say little about real mail" in lines[-1]


def test_other_data_and_another_folder(settings, tmp_path):
    data = tmp_path / "mine.jsonl"
    data.write_text(json.dumps({"text": "Are you hiring?", "asks": ["job_lead"]}) + "\n")
    result = evaluate(settings, data=data, output=tmp_path / "elsewhere")
    assert result.counts["messages"] == 1
    assert (tmp_path / "elsewhere" / "index.html").is_file()


def test_markup_in_labels_and_names_is_shown_not_run(settings, tmp_path, monkeypatch, classifier):
    class Hostile(type(classifier)):
        labels = (INJECTION, "influence")
        thresholds = np.array([0.5, 0.5])

        def predict_proba(self, texts):
            return np.full((len(texts), 2), 0.6)

    monkeypatch.setattr(classifier_module, "load", lambda folder: Hostile())
    data = tmp_path / "mine.jsonl"
    data.write_text(json.dumps({"text": INJECTION, "asks": [INJECTION]}) + "\n")
    page = (evaluate(settings, data=data).output_dir / "index.html").read_text()
    assert "<script" not in page
    assert "<img" not in page
    assert "&lt;script&gt;" in page


def test_what_is_missing_is_said(settings, tmp_path):
    with pytest.raises(ModelFolderError, match="run `outreach train` first"):
        evaluate(settings, model=tmp_path / "nowhere")
    with pytest.raises(InputError, match="no such file"):
        evaluate(settings, data=tmp_path / "nowhere.jsonl")


def test_the_stage_imports_nothing_slow():
    code = (
        "import sys, pipeline.evaluation.stage, pipeline.evaluation.headline;"
        "slow = {'numpy', 'scipy', 'matplotlib', 'jinja2', 'torch', 'sklearn', 'pyarrow'};"
        "print(sorted(slow & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
