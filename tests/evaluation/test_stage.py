import itertools
import json
import re
import subprocess
import sys

import jsonschema
import numpy as np
import pytest

import pipeline.inference.classifier as classifier_module
from pipeline.errors import InputError, ModelFolderError
from pipeline.evaluation.headline import headline
from pipeline.evaluation.schema import schema
from pipeline.evaluation.stage import evaluate
from pipeline.records import Prediction
from pipeline.store import read_records

INJECTION = '<script>alert(1)</script><img src=x onerror="alert(2)">'


def test_the_stage_writes_a_report_and_skips_when_nothing_changed(settings, report):
    names = {p.name for p in report.iterdir()}
    assert names == {
        "card.md",
        "index.html",
        "manifest.json",
        "metrics.json",
        "predictions.parquet",
    }
    assert evaluate(settings).skipped
    lenient = settings.evaluation.model_copy(update={"max_flip_rate": 1.0})
    judged = settings.model_copy(update={"evaluation": lenient})
    assert evaluate(judged).skipped  # a limit judges the figures; it does not change them


def test_a_changed_model_is_measured_anew(settings, tmp_path):
    quick = settings.evaluation.model_copy(update={"bootstrap": 0, "swapped_messages": 0})
    settings = settings.model_copy(update={"evaluation": quick})
    model = tmp_path / "model"
    model.mkdir()
    (model / "config.json").write_text("{}")
    assert not evaluate(settings, model=model).skipped
    (model / "README.md").write_text("A card decides nothing.")
    assert evaluate(settings, model=model).skipped
    (model / "config.json").write_text('{"changed": true}')
    assert not evaluate(settings, model=model).skipped


def test_metrics_are_flat_numbers_that_fit_the_schema(report):
    metrics = json.loads((report / "metrics.json").read_text())
    jsonschema.validate(metrics, schema())
    assert metrics["model.all.rows"] == 40
    assert metrics["model.public.rows"] + metrics["model.written.rows"] == 40
    assert metrics["model.all.ask.influence.f1.low"] <= metrics["model.all.ask.influence.f1"]
    assert {"behaviour.rate", "fairness.max_flip_rate", "slice.channel.dm.accuracy"} <= set(metrics)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(metrics | {"unheard.of": 1}, schema())
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(metrics | {"model.all.rows": "40"}, schema())


def test_predictions_carry_the_labels_but_never_the_text(report, messages):
    predictions = read_records(report / "predictions.parquet", Prediction)
    assert [p.id for p in predictions] == [m.id for m in messages]
    assert [p.extra["gold_primary"] for p in predictions] == [m.primary for m in messages]
    assert "Thanks for lunch" not in str(predictions)


def test_the_page_is_whole_and_needs_no_network(report):
    page = (report / "index.html").read_text()
    assert "<script" not in page
    assert 'src="' not in page
    assert "://" not in page
    assert page.count("<svg") >= 6
    assert "Only the figures of real mail say something" in page
    for chapter in ("right", "confusion", "sure", "thin-line", "weak", "fair", "mistakes"):
        assert f'<h2 id="{chapter}">' in page
        assert f'href="#{chapter}"' in page


def test_ids_on_the_page_are_unique_and_headings_in_order(report):
    page = (report / "index.html").read_text()
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    levels = [int(level) for level in re.findall(r"<h([1-6])", page)]
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))


def test_the_card_is_markdown_with_the_headline(report):
    card = (report / "card.md").read_text()
    assert card.startswith("## Evaluation")
    assert "| primary macro-F1 |" in card
    assert "Behaviour suite:" in card
    lines = card.splitlines()
    for i, line in enumerate(lines):
        if line.startswith("| ---"):  # no empty line inside a table
            assert lines[i - 1].startswith("| ")
            assert lines[i + 1].startswith("| ")


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
    quick = settings.evaluation.model_copy(update={"bootstrap": 0, "swapped_messages": 0})
    settings = settings.model_copy(update={"evaluation": quick})
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
    page = (
        evaluate(settings, data=data, output=tmp_path / "r").output_dir / "index.html"
    ).read_text()
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
