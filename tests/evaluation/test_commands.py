"""Compare, gate, drift and the commands around them, on a report of the keyword model."""

import json
from dataclasses import replace

import numpy as np
import pytest
from typer.testing import CliRunner

from pipeline.cli.app import app
from pipeline.errors import DataError, InputError
from pipeline.evaluation.compare import compare
from pipeline.evaluation.drift import drift, stability
from pipeline.evaluation.gate import gate, suggest
from pipeline.records import Prediction
from pipeline.settings import Evaluation, Gate
from pipeline.store import read_records, write_records

QUICK = Evaluation(bootstrap=50)


def _changed(report, change, made):
    """A report whose predictions are those of another, changed."""
    rows = read_records(report / "predictions.parquet", Prediction)
    write_records(made / "predictions.parquet", map(change, rows), Prediction)
    return made


def _mended(row):
    """A better model: it is not trapped by the keyword."""
    if row.extra["gold_primary"] == "none":
        return replace(row, primary="none", asks=(), scores=dict.fromkeys(row.scores, 0.1))
    return row


def test_compare_finds_what_got_fixed_with_paired_intervals(report, tmp_path):
    better = _changed(report, _mended, tmp_path / "changed")
    found = compare(report, better, QUICK, seed=0, output=tmp_path / "c")
    assert len(found.fixed) == 2
    assert found.broke == []
    assert found.p_value == pytest.approx(0.5)
    accuracy = found.differences["primary.accuracy"]
    assert accuracy.value == pytest.approx(2 / 40)
    assert accuracy.low >= 0  # every resample is at least as good: the pairing shows
    flat = json.loads((tmp_path / "c" / "compare.json").read_text())
    assert flat["fixed"] == 2
    page = (tmp_path / "c" / "compare.html").read_text()
    assert "<script" not in page
    assert "Fixed: 2" in page


def test_compare_takes_a_models_folder_and_refuses_other_labels(report, settings, tmp_path):
    same = compare(settings.model_dir, report, QUICK, seed=0)
    assert same.p_value == 1
    assert same.differences["primary.macro_f1"].value == 0
    relabelled = _changed(
        report,
        lambda row: replace(row, extra=row.extra | {"gold_primary": "influence"}),
        tmp_path / "relabelled",
    )
    with pytest.raises(DataError, match="labelled differently"):
        compare(report, relabelled, QUICK, seed=0)
    with pytest.raises(InputError, match="outreach evaluate"):
        compare(report, settings.label_dir, QUICK, seed=0)


def test_the_gate_names_what_is_not_met(report):
    demands = gate(
        report,
        Evaluation(
            gate=Gate(
                minimum={"model.all.primary.macro_f1": 0.2, "model.all.exact_match": 1.0},
                maximum={"model.all.calibration.ece": 0.9},
            )
        ),
    )
    assert [d.met for d in demands] == [True, False, True]
    with pytest.raises(InputError, match=r"did you mean 'model\.all\.exact_match'"):
        gate(report, Evaluation(gate=Gate(minimum={"model.all.exactmatch": 1.0})))
    with pytest.raises(InputError, match="demand nothing"):
        gate(report, Evaluation())


def test_suggested_demands_are_met_by_the_model_they_come_from(report, tmp_path, settings):
    from pipeline.settings import load_settings, to_yaml

    words = suggest(report, Evaluation())
    assert "model.all.primary.macro_f1" in words
    assert "max_flip_rate" in words
    (tmp_path / "base.yaml").write_text(to_yaml(settings))
    (tmp_path / "gate.yaml").write_text(f"extends: base.yaml\n{words}\n")
    demanded = load_settings(tmp_path / "gate.yaml").evaluation
    demands = gate(report, demanded)
    assert len(demands) == 5
    assert all(d.met for d in demands)
    assert suggest(report, demanded) == words


def test_stability_grows_with_the_shift():
    generator = np.random.default_rng(0)
    before = generator.normal(size=3000)
    assert stability(before, generator.normal(size=3000)) < 0.02
    assert 0.1 < stability(before, generator.normal(0.5, 1, 3000)) < 0.6
    assert stability(before, generator.normal(3, 1, 3000)) > 2


def test_drift_tells_new_mail_from_the_measured(settings, tmp_path, report):
    new = tmp_path / "new.jsonl"
    text = "Quarterly figures of the harbour authority, as discussed in the committee. " * 9
    new.write_text("".join(json.dumps({"text": f"{text} {i}"}) + "\n" for i in range(30)))
    found = drift(settings, new, output=tmp_path / "drift")
    words = next(s for s in found.shifts if s.name == "words")
    assert words.verdict == "shifted"
    assert found.unknown_words[1] > 0.5 > found.unknown_words[0]
    flat = json.loads((tmp_path / "drift" / "drift.json").read_text())
    assert flat["after.rows"] == 30
    page = (tmp_path / "drift" / "drift.html").read_text()
    assert "harbour" not in page
    assert "Shifted: words" in page


def test_drift_draws_from_large_sets_and_says_so(settings, tmp_path, report):
    new = tmp_path / "new.csv"
    new.write_text("text\n" + "".join(f"Are you hiring? {i}\n" for i in range(300)))
    few = settings.evaluation.model_copy(update={"drift_messages": 25})
    found = drift(settings.model_copy(update={"evaluation": few}), new, output=tmp_path / "drift")
    assert (found.before, found.after, found.of) == (25, 25, (40, 300))
    assert "25 new messages, drawn from 300," in (tmp_path / "drift" / "drift.html").read_text()


def _run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def config(tmp_path, settings):
    from pipeline.settings import to_yaml

    path = tmp_path / "settings.yaml"
    path.write_text(to_yaml(settings))
    return path


def test_the_commands_end_with_the_right_codes(report, config, settings, tmp_path):
    done = _run("compare", report, report, "--config", config, "--output", tmp_path / "c")
    assert done.exit_code == 0
    assert "primaries fixed 0, broke 0" in done.output
    low = "evaluation.gate.minimum={model.all.exact_match: 0.1}"
    assert _run("gate", settings.model_dir, "--config", config, "--set", low).exit_code == 0
    high = low.replace("0.1", "1.0")
    assert _run("gate", settings.model_dir, "--config", config, "--set", high).exit_code == 3
    assert _run("check", settings.model_dir).exit_code == 0
    assert _run("check", settings.model_dir, "--minimum", "1").exit_code == 3
    assert "→" in _run("check", settings.model_dir, "--failures").output


def test_the_run_fails_where_too_many_answers_flip(report, config):
    done = _run("evaluate", "--config", config, "--set", "evaluation.max_flip_rate=0")
    metrics = json.loads((report / "metrics.json").read_text())
    assert done.exit_code == (3 if metrics["fairness.max_flip_rate"] > 0 else 0)
    assert _run("evaluate", "--config", config).exit_code == 0


@pytest.mark.parametrize("command", ["evaluate", "check", "compare", "gate"])
def test_every_command_shows_examples(command):
    assert f"outreach {command}" in _run(command, "--help").output
