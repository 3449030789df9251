"""The command line as a user meets it: words, exit codes, formats, and no traceback."""

import csv
import io
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pipeline.settings import Settings
from tests.conftest import write_jsonl

COMMANDS = [
    "run",
    "ingest",
    *(
        f"label {name}"
        for name in (
            "agreement export import issues llm merge next resolve review rules".split()  # noqa: SIM905
        )
    ),
    "train",
    "tune",
    "models",
    *(f"models {name}" for name in ("compare", "promote", "rollback")),
    "evaluate",
    "check",
    "compare",
    "gate",
    "predict",
    "explain",
    "settings",
]
ASKING = "could you introduce me to the museum?"


def outreach(*arguments: str, stdin: bytes = b"", cwd: Path | None = None) -> Any:
    """Run the command in a process of its own, as users do."""
    return subprocess.run(
        [sys.executable, "-m", "pipeline", *arguments], input=stdin, capture_output=True, cwd=cwd
    )


@pytest.fixture(scope="module")
def model(trained: Settings) -> tuple[str, str]:
    return ("--model", str(trained.model_dir))


def rows_of(run: Any) -> list[dict[str, Any]]:
    assert run.returncode == 0, run.stderr
    return [json.loads(line) for line in run.stdout.splitlines()]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself_with_examples(command: str) -> None:
    run = outreach(*command.split(), "--help")
    assert run.returncode == 0
    assert f"outreach {command}".encode() in run.stdout
    assert b"Examples" in run.stdout


def test_a_text_is_answered(model: tuple[str, str]) -> None:
    (row,) = rows_of(outreach("predict", ASKING, *model))
    assert (row["primary"], row["asks"], row["text"]) == ("influence", ["influence"], ASKING)
    assert list(row["scores"]) == ["information", "influence", "job_lead"]


def test_a_file_keeps_its_columns_and_order(model: tuple[str, str], tmp_path: Path) -> None:
    rows = [
        {"id": f"r{i}", "text": f"are you hiring in the clinic? {i}", "crm": i} for i in range(9)
    ]
    path = write_jsonl(tmp_path / "in.jsonl", rows)  # type: ignore[arg-type]
    found = rows_of(outreach("predict", str(path), "--format", "jsonl", *model))
    assert [(r["id"], r["crm"]) for r in found] == [(f"r{i}", i) for i in range(9)]
    assert {r["primary"] for r in found} == {"job_lead"}


def test_columns_that_carry_our_names_are_kept_beside_ours(
    model: tuple[str, str], tmp_path: Path
) -> None:
    path = write_jsonl(tmp_path / "in.jsonl", [{"id": "1", "text": ASKING, "primary": "mine"}])
    (row,) = rows_of(outreach("predict", str(path), *model))
    assert (row["primary"], row["input_primary"]) == ("influence", "mine")


def test_csv_out_cannot_run_in_a_spreadsheet(model: tuple[str, str], tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "in.jsonl", [{"id": "1", "text": "=HYPERLINK(1) hiring?"}])
    run = outreach("predict", str(path), "--format", "csv", *model)
    (row,) = csv.DictReader(io.StringIO(run.stdout.decode()))
    assert row["text"].startswith("'=")
    assert 0 <= float(row["score_job_lead"]) <= 1


def test_columns_can_be_named(model: tuple[str, str], tmp_path: Path) -> None:
    table = tmp_path / "export.csv"
    table.write_text(f"who,body\nAda,{ASKING}\n")
    (row,) = rows_of(outreach("predict", str(table), "--column", "text=body", *model))
    assert (row["who"], row["body"], row["primary"]) == ("Ada", ASKING, "influence")


@pytest.mark.parametrize(
    ("stdin", "options", "count"),
    [
        (ASKING.encode(), (), 1),
        (b"are you hiring\nin the clinic?", (), 1),
        (b"are you hiring?\n\nany openings?\n", ("--lines",), 2),
        (b'{"text": "are you hiring?"}\n{"text": "hello"}\n', (), 2),
    ],
    ids=["text", "text of two lines", "lines", "jsonl"],
)
def test_standard_input(
    model: tuple[str, str], stdin: bytes, options: tuple[str, ...], count: int
) -> None:
    assert len(rows_of(outreach("predict", "-", *options, *model, stdin=stdin))) == count


def test_bad_records_are_counted_and_kept_and_the_rest_goes_on(
    model: tuple[str, str], tmp_path: Path
) -> None:
    path, kept = tmp_path / "in.jsonl", tmp_path / "rejected.jsonl"
    path.write_bytes(b'{"text": "are you hiring?"}\nnot json\n{"text": ""}\n{"text": "\xff"}\n')
    run = outreach("predict", str(path), "--rejected", str(kept), *model)
    assert len(rows_of(run)) == 1
    assert b"3 record(s) not answered" in run.stderr
    assert len(kept.read_text().splitlines()) == 3


def test_an_output_file_appears_whole(model: tuple[str, str], tmp_path: Path) -> None:
    output = tmp_path / "out" / "answers.jsonl"
    run = outreach("predict", ASKING, "--output", str(output), *model)
    assert run.returncode == 0
    assert json.loads(output.read_text())["primary"] == "influence"


def test_a_table_for_people(model: tuple[str, str]) -> None:
    run = outreach("predict", ASKING, "--format", "table", *model)
    assert b"influence" in run.stdout
    assert b"primary" in run.stdout


def test_a_reader_that_has_gone_is_no_error(model: tuple[str, str], tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "in.jsonl", [{"text": ASKING}] * 3000)
    command = f"{sys.executable} -m pipeline predict {path} {' '.join(model)} -f jsonl | head -n 1"
    run = subprocess.run(["bash", "-c", command], capture_output=True)
    assert len(run.stdout.splitlines()) == 1
    assert run.stderr == b""


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("predict", "hi", "--model", "nowhere"), 1, "no such model folder"),
        (("train", "--config", "nowhere.yaml"), 2, "no such settings file"),
        (("train", "--set", "training.epoch=1"), 2, "did you mean 'epochs'?"),
        (("ingest", "--set", "data.messages=[nowhere.jsonl]"), 1, "nowhere.jsonl: no such file"),
        (("label", "resolve", "--set", "name=fresh"), 1, "run `outreach ingest` first"),
        (("train", "--set", "name=fresh"), 1, "run `outreach label resolve` first"),
        (("predict", "--no-such-option"), 2, "No such option"),
        (("trian",), 2, "No such command"),
    ],
)
def test_mistakes_are_explained_without_a_traceback(
    arguments: tuple[str, ...], code: int, words: str
) -> None:
    run = outreach(*arguments)
    assert run.returncode == code
    assert words.encode() in run.stderr
    assert b"Traceback" not in run.stderr


def test_a_missing_file_is_not_taken_for_a_text(model: tuple[str, str]) -> None:
    run = outreach("predict", "mail.jsonl", *model)
    assert (run.returncode, run.stdout) == (1, b"")
    assert b"mail.jsonl: no such file" in run.stderr


def test_debug_shows_the_traceback() -> None:
    run = outreach("predict", "hi there", "--model", "nowhere", "--debug")
    assert run.returncode != 0
    assert b"Traceback" in run.stderr


def test_a_defect_shows_its_place_but_no_text(
    model: tuple[str, str], trained: Settings, tmp_path: Path
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(trained.model_dir, folder)
    contract = json.loads((folder / "outreach.json").read_text())
    contract["task"]["labels"].append("a fourth")  # the graph knows three: no check foresees it
    contract["thresholds"].append(0.5)
    (folder / "outreach.json").write_text(json.dumps(contract))
    (folder / "manifest.json").unlink()  # or its digest would tell
    run = outreach("predict", "a private text", "--model", str(folder))
    assert run.returncode == 70
    assert b"This is a defect" in run.stderr
    assert b"private" not in run.stderr
