"""Files appear whole or not at all, and a stage runs only when something it depends on changed."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import InputError
from pipeline.records import Annotation, LabelledMessage, Message, Prediction, Rejection
from pipeline.store import (
    MANIFEST,
    StageResult,
    atomic_path,
    files_in,
    numbered_lines,
    read_manifest,
    read_records,
    run_stage,
    write_json,
    write_records,
)


class Stage:
    """A stage that copies its input and counts how often it ran."""

    def __init__(self, folder: Path) -> None:
        self.input = folder / "input.txt"
        self.input.write_text("one")
        self.output_dir = folder / "out"
        self.runs = 0

    def run(self, settings: Mapping[str, Any] | None = None, **options: Any) -> StageResult:
        return run_stage(
            "copy",
            self.work,
            settings=settings or {},
            inputs=[self.input],
            output_dir=self.output_dir,
            **options,
        )

    def work(self, folder: Path) -> dict[str, int]:
        self.runs += 1
        (folder / "copy.txt").write_text(self.input.read_text())
        return {"bytes": len(self.input.read_text())}


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


def test_a_stage_says_what_it_made(stage: Stage) -> None:
    result = stage.run()
    assert (result.counts, result.skipped) == ({"bytes": 3}, False)
    manifest = read_manifest(stage.output_dir)
    assert set(manifest["outputs"]) == {"copy.txt"}
    assert str(stage.input) in manifest["inputs"]


def test_an_unchanged_stage_is_skipped_with_the_same_counts(stage: Stage) -> None:
    first, second = stage.run(), stage.run()
    assert (second.skipped, second.counts, stage.runs) == (True, first.counts, 1)


def test_a_changed_input_runs_it_again(stage: Stage) -> None:
    stage.run()
    stage.input.write_text("two!")
    assert not stage.run().skipped


def test_a_touched_but_equal_input_does_not(stage: Stage) -> None:
    stage.run()
    stage.input.write_text("one")
    assert stage.run().skipped


def test_a_changed_setting_runs_it_again(stage: Stage) -> None:
    stage.run({"a": 1})
    assert not stage.run({"a": 2}).skipped


def test_force_runs_it_again(stage: Stage) -> None:
    stage.run()
    assert not stage.run(force=True).skipped


@pytest.mark.parametrize("damage", ["remove", "truncate"])
def test_a_damaged_output_runs_it_again(stage: Stage, damage: str) -> None:
    stage.run()
    output = stage.output_dir / "copy.txt"
    output.unlink() if damage == "remove" else output.write_text("")
    assert not stage.run().skipped
    assert output.read_text() == "one"


def test_a_failing_run_leaves_the_old_output_in_place(stage: Stage) -> None:
    stage.run()
    stage.input.write_text("two")

    def fail(folder: Path) -> dict[str, int]:
        (folder / "copy.txt").write_text("half")
        raise KeyboardInterrupt

    stage.work = fail  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        stage.run()
    assert (stage.output_dir / "copy.txt").read_text() == "one"


def test_an_interrupted_run_can_find_its_own_work_again(stage: Stage) -> None:
    seen = []

    def work(folder: Path) -> dict[str, int]:
        seen.append((folder / "half").exists())
        (folder / "half").write_text("done so far")
        if len(seen) == 1:
            raise KeyboardInterrupt
        return {}

    stage.work = work  # type: ignore[method-assign, assignment]
    with pytest.raises(KeyboardInterrupt):
        stage.run(keep_partial=True)
    stage.run(keep_partial=True)
    assert seen == [False, True]


def test_work_of_other_settings_is_not_found_again(stage: Stage) -> None:
    seen = []

    def work(folder: Path) -> dict[str, int]:
        seen.append((folder / "half").exists())
        (folder / "half").write_text("done so far")
        raise KeyboardInterrupt

    stage.work = work  # type: ignore[method-assign, assignment]
    for setting in (1, 2):
        with pytest.raises(KeyboardInterrupt):
            stage.run({"a": setting}, keep_partial=True)
    assert seen == [False, False]


def test_a_kill_between_finishing_and_putting_in_place_loses_nothing(stage: Stage) -> None:
    stage.run()
    # As a kill between the two renames leaves it: finished work, and no folder in its place.
    stage.output_dir.rename(stage.output_dir.with_name("out.partial"))
    assert stage.run().skipped
    assert (stage.output_dir / "copy.txt").read_text() == "one"


def test_a_missing_input_is_named(stage: Stage) -> None:
    stage.input.unlink()
    with pytest.raises(InputError, match=r"input\.txt: no such file"):
        stage.run()


def test_an_unreadable_manifest_counts_as_none(stage: Stage) -> None:
    stage.run()
    (stage.output_dir / MANIFEST).write_text("{")
    assert not stage.run().skipped


def test_a_failed_write_keeps_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    write_json(path, {"a": 1})

    def fail() -> None:
        with atomic_path(path) as temporary:
            temporary.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert json.loads(path.read_text()) == {"a": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["file.json"]


def test_numbers_that_are_no_json_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "file.json", {"a": float("nan")})


RECORDS = [
    Message("1", "text", "subject", pair="p", extra={"cues": ["family"], "é": None}),
    Annotation("1", "a", asks=None),
    Annotation("1", "b", asks=("influence",), primary="influence", sure=False, confidence=0.25),
    LabelledMessage("1", "text", asks=("a", "b"), primary="a", targets=(1.0, 0.5), annotators=2),
    Prediction("1", "a", ("a",), {"a": 0.9, "b": 0.1}, {"column": [1, 2]}),
    Rejection("file", "line 1", "empty_text"),
]


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: type(record).__name__)
def test_records_come_back_as_they_were(tmp_path: Path, record: Any) -> None:
    path = tmp_path / "records.parquet"
    write_records(path, [record], type(record))
    assert read_records(path, type(record)) == [record]


def test_a_file_that_holds_no_records_is_explained(tmp_path: Path) -> None:
    path = tmp_path / "records.parquet"
    with pytest.raises(InputError, match="run the stage"):
        read_records(path, Message)
    path.write_bytes(b"PAR1 but not really")
    with pytest.raises(InputError, match="not a file of Message records"):
        read_records(path, Message)


def test_folders_are_read_without_their_hidden_files(tmp_path: Path) -> None:
    for name in ("b.txt", "a/c.txt", ".hidden/d.txt", "a/.e"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    found = [path.relative_to(tmp_path).as_posix() for path in files_in([tmp_path])]
    assert found == ["a/c.txt", "b.txt"]


def test_only_the_end_of_a_line_ends_it(tmp_path: Path) -> None:
    file = tmp_path / "lines.jsonl"
    file.write_bytes('{"a": "x\u2028y\u0085z"}\r\n\r\n{"b": 1}\n'.encode())
    lines = list(numbered_lines([file]))
    assert lines == [
        (f"{file} line 1", '{"a": "x\u2028y\u0085z"}'),
        (f"{file} line 3", '{"b": 1}'),
    ]
