"""Ray: the records of a single machine, each once, although workers die and runs are stopped."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.errors import InputError
from pipeline.inference.distributed import Job, ShardWorker, predict_on_ray
from pipeline.ingestion.slices import cut, tables_in
from pipeline.ingestion.sources import read
from pipeline.settings import Columns, Settings
from tests.conftest import invented_messages, write_jsonl

COLUMNS = Columns().model_dump()
FLOAT = {"backend": "onnx"}
"""In 32 bits, as scores are compared to five digits."""
LINES = 'no json\n{"id": "x"}\n\n{"text": "are you hiring?", "n": 1}\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Messages as two JSON Lines files and a Parquet file, some of them not usable."""
    rows = invented_messages(300, seed=9)
    source = tmp_path / "in"
    write_jsonl(source / "a.jsonl", rows[:130])
    (source / "more").mkdir()
    (source / "more" / "b.jsonl").write_text(LINES)
    table = pa.Table.from_pylist([*rows[130:], {**rows[0], "id": "empty", "text": ""}])
    pq.write_table(table, source / "c.parquet", row_group_size=40)
    return source


def rows_of(output: Path) -> list[dict[str, Any]]:
    """All answers of a folder, in the order of its shards."""
    found: list[dict[str, Any]] = []
    for path in sorted(output.glob("[0-9]*")):
        if path.suffix == ".parquet":
            found += pq.read_table(path).to_pylist()
        else:
            found += [json.loads(line) for line in path.read_text().splitlines()]
    return found


def test_slices_give_the_records_of_the_whole(folder: Path) -> None:
    for path in tables_in([folder]):
        whole = list(read(path))
        for size in (1, 7, 40, 1000):
            apart = [entry for piece in cut(path, size) for entry in piece.read(Columns())]
            assert apart == whole, (path.name, size)


def test_only_tables_are_taken(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="found no file"):
        tables_in([tmp_path])
    (tmp_path / "mail.mbox").write_text("From x")
    with pytest.raises(InputError, match=r"found .*mail\.mbox"):
        tables_in([tmp_path])
    (tmp_path / "bad.parquet").write_bytes(b"no")
    with pytest.raises(InputError, match="damaged Parquet"):
        cut(tmp_path / "bad.parquet", 10)
    (tmp_path / "empty.jsonl").touch()
    assert cut(tmp_path / "empty.jsonl", 10) == []


def test_a_worker_gives_the_answers_of_a_single_machine(
    folder: Path, tmp_path: Path, trained: Settings
) -> None:
    worker = ShardWorker(str(tmp_path / "out"), Job(str(trained.model_dir), COLUMNS, FLOAT))
    for number, path in enumerate(tables_in([folder])):
        for part, piece in enumerate(cut(path, 50)):
            worker.answer(piece, f"{number}-{part:03}{path.suffix}")
    assert_same_answers(rows_of(tmp_path / "out"), _alone(folder, trained))
    refused = (tmp_path / "out" / "_rejected").rglob("*.jsonl")
    reasons = [
        json.loads(line)["reason"] for path in refused for line in path.read_text().splitlines()
    ]
    assert sorted(reasons) == ["empty_text", "empty_text", "not_json"]


def _alone(folder: Path, trained: Settings) -> list[dict[str, Any]]:
    """What `outreach predict` answers on one machine."""
    import pipeline
    from pipeline.inference.stream import as_row, predict_stream
    from pipeline.records import Rejection

    classifier = pipeline.load(trained.model_dir, **FLOAT)
    entries = (entry for path in tables_in([folder]) for entry in read(path))
    return [as_row(e) for e in predict_stream(classifier, entries) if not isinstance(e, Rejection)]


def assert_same_answers(found: list[dict[str, Any]], expected: list[dict[str, Any]]) -> None:
    """Equal whatever the order; scores but for their last bits, which depend on the batch."""

    def ordered(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return sorted(rows, key=lambda row: (str(row["id"]), row["text"]))

    for ours, theirs in zip(ordered(found), ordered(expected), strict=True):
        assert ours["scores"] == pytest.approx(theirs["scores"], abs=1e-5)
        assert {**ours, "scores": None} == {**theirs, "scores": None}


needs_ray = pytest.mark.skipif(
    not __import__("importlib.util").util.find_spec("ray"),
    reason="Ray is not installed; `make test-cluster` installs it",
)


def command(folder: Path, output: Path, trained: Settings) -> list[str]:
    return [
        *(sys.executable, "-m", "pipeline", "predict", str(folder), "--engine", "ray"),
        *("--output", str(output), "--model", str(trained.model_dir)),
        *("--workers", "2", "--shard", "50", "--backend", FLOAT["backend"]),
    ]


def workers() -> Iterator[int]:
    """Process ids of Ray's workers that answer shards, on this machine."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes()
        except OSError:
            continue
        if b"ShardWorker" in words or b"MapWorker" in words:
            yield int(path.parent.name)


@needs_ray
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_each_message_is_answered_once_although_a_worker_dies_and_a_run_is_stopped(
    tmp_path: Path, trained: Settings
) -> None:
    folder, output = tmp_path / "in", tmp_path / "out"
    rows = [{**row, "id": f"{i:05}"} for i, row in enumerate(invented_messages(6000, seed=2))]
    for i in range(4):
        write_jsonl(folder / f"{i}.jsonl", rows[i * 1500 : (i + 1) * 1500])
    before = set(workers())
    run = subprocess.Popen(command(folder, output, trained), stderr=subprocess.PIPE, text=True)
    killed = _kill_one_when(run, output, at_least=2, spare=before)
    _, words = run.communicate(timeout=400)
    assert run.returncode == 0, words
    assert killed, "a worker was killed while the run lasted"
    assert [row["id"] for row in rows_of(output)] == [row["id"] for row in rows]
    assert_same_answers(rows_of(output), _alone(folder, trained))
    assert not list(output.glob(".*"))

    # Stopped and gone on with: what is there is not done again.
    shards = sorted(output.glob("[0-9]*"))
    kept = {path: path.stat().st_mtime_ns for path in shards[:-3]}
    for path in shards[-3:]:
        path.unlink()
    again = subprocess.run(
        command(folder, output, trained), capture_output=True, text=True, timeout=400, check=True
    )
    assert f"{len(shards) - 3} of {len(shards)} shards were there" in again.stderr
    assert [row["id"] for row in rows_of(output)] == [row["id"] for row in rows]
    assert {path: path.stat().st_mtime_ns for path in kept} == kept


def _kill_one_when(
    run: subprocess.Popen[str], output: Path, at_least: int, spare: set[int]
) -> int | None:
    until = time.monotonic() + 400
    while run.poll() is None and time.monotonic() < until:
        if len(list(output.glob("[0-9]*"))) >= at_least:
            for process in set(workers()) - spare:
                os.kill(process, signal.SIGKILL)
                return process
        time.sleep(0.02)
    return None


def test_another_run_does_not_mix_with_the_answers_of_the_first(
    folder: Path, tmp_path: Path, trained: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pipeline.inference import distributed

    monkeypatch.setattr(distributed, "_receipts", lambda *_: iter(()))  # only the plan is looked at
    job = Job(str(trained.model_dir), COLUMNS)
    predict_on_ray([folder], tmp_path / "out", job, records_per_shard=50)
    predict_on_ray([folder], tmp_path / "out", job, records_per_shard=50)
    with pytest.raises(InputError, match="other records_per_shard"):
        predict_on_ray([folder], tmp_path / "out", job, records_per_shard=60)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").touch()
    with pytest.raises(InputError, match="expected a new or empty folder"):
        predict_on_ray([folder], tmp_path / "mine", job)
