"""Prediction on a Ray cluster: tables cut into shards, each answered whole and exactly once.

A worker writes a shard's answers under a name that the plan gave it, and the file appears at once
when it is whole. So a worker may die at any moment: whoever does the shard again writes the same
file. And so a run that was stopped goes on with the shards that have no file yet.
"""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.errors import InputError, PipelineError
from pipeline.inference.folder import CONTRACT, ONNX
from pipeline.inference.sinks import JsonLines
from pipeline.inference.stream import Answered, as_row, predict_stream
from pipeline.ingestion.slices import Slice, cut, tables_in
from pipeline.progress import SILENT, Progress
from pipeline.records import Rejection
from pipeline.settings import Columns
from pipeline.store import atomic_path, sha256_file, write_json

if TYPE_CHECKING:
    import pyarrow as pa

PLAN = "_plan.json"
REJECTED = "_rejected"
STARTS = 3
"""How often starting Ray on this machine is tried."""
RECORDS_PER_SHARD = 5_000
"""Records in a shard: what is done again, at most, when a worker dies."""


@dataclass(frozen=True)
class Job:
    """Everything a worker must know, but the shard."""

    model: str
    columns: Mapping[str, str]
    loading: Mapping[str, Any] = field(default_factory=dict)
    """More arguments for `pipeline.load`: backend, speed."""
    min_confidence: float = 0.0
    threads: int = 1
    """Cores that a worker may use."""


@dataclass(frozen=True)
class Totals:
    """What a distributed run did."""

    shards: int
    found_done: int
    """Shards that an earlier run had answered."""
    answered: int
    rejected: int
    seconds: float


def predict_on_ray(
    inputs: Sequence[Path],
    output: Path,
    job: Job,
    *,
    workers: int | None = None,
    records_per_shard: int = RECORDS_PER_SHARD,
    progress: Progress = SILENT,
) -> Totals:
    """Answer the messages of Parquet or JSON Lines files on a Ray cluster.

    The cluster is the one that RAY_ADDRESS names, else one is started on this machine. Inputs,
    model and output must be paths that every worker sees.

    Args:
        inputs: files, or folders of files.
        output: a folder; for each shard it gets a file of the input's format, and under
            ``_rejected`` the records that could not be read.
        job: the model and how to read.
        workers: how many at the same time; None takes as many as the cluster has room for.
        records_per_shard: about how many records make a shard.
        progress: sees finished shards.

    Raises:
        InputError: an input cannot be read, or `output` holds answers to something else.
    """
    shards = _plan(inputs, output, job, records_per_shard)
    todo = [(slice_, name) for slice_, name in shards if not (output / name).exists()]
    started = time.perf_counter()
    answered = rejected = 0
    with progress.task("shards answered", len(shards)) as task:
        task.advance(len(shards) - len(todo))
        for receipt in _receipts(todo, output, job, workers) if todo else ():
            answered += receipt["answered"]
            rejected += receipt["rejected"]
            task.advance()
    for left in output.rglob(".*.tmp"):  # by workers that died
        left.unlink(missing_ok=True)
    seconds = time.perf_counter() - started
    return Totals(len(shards), len(shards) - len(todo), answered, rejected, seconds)


def _plan(inputs: Sequence[Path], output: Path, job: Job, records: int) -> list[tuple[Slice, str]]:
    """Every shard with the name of its answers; the same on every run, or refused."""
    files = tables_in(inputs)
    shards = []
    for number, path in enumerate(files):
        for part, slice_ in enumerate(cut(path, records)):
            shards.append((slice_, f"{number:05}-{path.stem}-{part:05}{path.suffix}"))
    model = Path(job.model)
    plan = {
        "inputs": {
            str(p): {"bytes": p.stat().st_size, "mtime_ns": p.stat().st_mtime_ns} for p in files
        },
        "model": {name: sha256_file(model / name) for name in map(str, (CONTRACT, ONNX))},
        "columns": dict(job.columns),
        "loading": dict(job.loading),
        "min_confidence": job.min_confidence,
        "records_per_shard": records,
    }
    if not (output / PLAN).exists():
        if output.exists() and any(output.iterdir()):
            raise InputError(f"{output}: expected a new or empty folder, found other files in it.")
        write_json(output / PLAN, plan)
        return shards
    old = json.loads((output / PLAN).read_text(encoding="utf-8"))
    changed = [key for key in plan if old.get(key) != json.loads(json.dumps(plan[key]))]
    if changed:
        raise InputError(
            f"{output}: holds answers of a run with other {', '.join(changed)}. Choose another "
            "output folder, or remove this one to begin anew."
        )
    return shards


def _receipts(
    todo: Sequence[tuple[Slice, str]], output: Path, job: Job, workers: int | None
) -> Iterator[Mapping[str, int]]:
    ray = _ray()
    from ray.data import ActorPoolStrategy, DataContext, from_items

    DataContext.get_current().enable_progress_bars = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    rows = [{**asdict(slice_), "name": name} for slice_, name in todo]
    room = max(1, int(ray.cluster_resources().get("CPU", 1)) // job.threads)
    size = min(workers or room, len(todo))
    try:
        yield from (
            from_items(rows, override_num_blocks=len(rows))
            .map_batches(
                ShardWorker,
                fn_constructor_args=(str(output.absolute()), job),
                batch_size=1,
                compute=ActorPoolStrategy(size=size),
                num_cpus=job.threads,
            )
            .iter_rows()
        )
    finally:
        ray.shutdown()


def _ray() -> Any:
    """Ray, connected."""
    try:
        import ray
        import ray.data
    except ModuleNotFoundError as error:
        raise InputError(
            f"--engine ray needs the package {error.name}: pip install 'outreach-intent[ray]'"
        ) from None
    if os.environ.get("RAY_ADDRESS"):
        _connect(ray)
        return ray
    for left in reversed(range(STARTS)):  # its parts wait 15 s for one another, too little
        try:
            # Only receipts go through the object store of a machine of our own.
            _connect(ray, include_dashboard=False, object_store_memory=100_000_000)
            break
        except PipelineError:  # on a machine that has much else to do
            ray.shutdown()
            if not left:
                raise
    return ray


def _connect(ray: Any, **options: Any) -> None:
    try:
        ray.init(logging_level=logging.ERROR, log_to_driver=False, **options)
    except Exception as error:  # noqa: BLE001 - Ray raises anything
        raise PipelineError(
            f"Ray could not be reached or started: {' '.join(str(error).split())[:300]}"
        ) from None


class ShardWorker:
    """What runs on the cluster: a loaded model that answers shard after shard."""

    def __init__(self, output: str, job: Job) -> None:
        """Load the model."""
        from pipeline.inference.classifier import load

        self._output, self._job = Path(output), job
        self._columns = Columns(**job.columns)
        self._classifier = load(job.model, **job.loading)

    def __call__(self, batch: Mapping[str, Sequence[Any]]) -> dict[str, list[int]]:
        """Answer one shard and say how many records it had."""
        row = {key: values[0] for key, values in batch.items()}
        slice_ = Slice(str(row["path"]), int(row["start"]), int(row["stop"]), int(row["before"]))
        answered, rejected = self.answer(slice_, str(row["name"]))
        return {"answered": [answered], "rejected": [rejected]}

    def answer(self, slice_: Slice, name: str) -> tuple[int, int]:
        """Write a slice's answers; returns how many were answered and how many rejected."""
        refused: list[Rejection] = []
        found: list[Answered] = []
        records = slice_.read(self._columns)
        for entry in predict_stream(self._classifier, records, self._job.min_confidence):
            if isinstance(entry, Rejection):
                refused.append(entry)
            else:
                found.append(entry)
        if refused:
            with atomic_path(self._output / REJECTED / f"{name}.jsonl") as temporary:
                lines = (json.dumps(r.to_row(), ensure_ascii=False) + "\n" for r in refused)
                temporary.write_text("".join(lines), encoding="utf-8")
        with atomic_path(self._output / name) as temporary:  # last: it means that all is done
            if slice_.is_parquet:
                labels = self._classifier.labels
                _write_parquet(map(as_row, found), slice_.schema(), labels, temporary)
            else:
                with temporary.open("wb") as stream:
                    JsonLines(stream).write(found)
        return len(found), len(refused)


def _write_parquet(
    rows: Iterable[Mapping[str, Any]], schema: pa.Schema, labels: Sequence[str], path: Path
) -> None:
    """Answers beside the input's columns, in their own types."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    fields = [
        pa.field("id", pa.string()),
        pa.field("primary", pa.string()),
        pa.field("asks", pa.list_(pa.string())),
        pa.field("scores", pa.struct([(label, pa.float64()) for label in labels])),
    ]
    taken = {f.name for f in fields}
    rows = list(rows)
    for column in schema:
        name = f"input_{column.name}" if column.name in taken else column.name
        if name != "input_id" or any("input_id" in row for row in rows):
            fields.append(column.with_name(name))
    table = pa.Table.from_pylist([dict(row) for row in rows], schema=pa.schema(fields))
    pq.write_table(table, path, compression="zstd")
