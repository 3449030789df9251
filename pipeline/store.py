"""Files between stages: atomic writes, content hashes, and the manifest that says what made what.

A stage writes into ``NAME.partial`` and its manifest last; then the folder takes the place of the
old one. So a folder with a manifest is whole, and anything else is work in progress.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from pipeline import __version__
from pipeline.errors import InputError
from pipeline.records import Record, to_table

MANIFEST = "manifest.json"
_FINGERPRINT = "fingerprint"

R = TypeVar("R", bound=Record)


@dataclass(frozen=True)
class StageResult:
    """What a stage wrote, or found already written."""

    stage: str
    output_dir: Path
    counts: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    skipped: bool = False


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A path to write to; when the block ends well its file takes the place of `path` at once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: Path, value: Any) -> None:
    """Write a value as indented JSON, atomically; numbers that are no JSON (NaN) are refused."""
    with atomic_path(path) as temporary:
        text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
        temporary.write_text(text + "\n", encoding="utf-8")


def write_records(path: Path, records: Iterable[Record], kind: type[Record]) -> None:
    """Write records of one kind as a Parquet file, atomically."""
    import pyarrow.parquet as pq

    with atomic_path(path) as temporary:
        pq.write_table(to_table(records, kind), temporary, compression="zstd")


def read_records(path: Path, kind: type[R]) -> list[R]:
    """Read the records of a Parquet file that `write_records` made.

    Raises:
        InputError: the file is missing or not such a file.
    """
    return list(iter_records(path, kind))


def iter_records(path: Path, kind: type[R]) -> Iterator[R]:
    """The records of such a file one by one, with little in memory at a time.

    Raises:
        InputError: the file is missing or not such a file.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=1024):
                for row in batch.to_pylist():
                    yield kind.from_row(row)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; run the stage that makes it first.") from None
    except (pa.ArrowInvalid, TypeError) as error:
        raise InputError(f"{path}: not a file of {kind.__name__} records ({error}).") from None


def sha256_file(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def files_in(paths: Iterable[Path]) -> list[Path]:
    """The files among `paths` and below its folders, sorted; hidden ones are left out.

    Raises:
        InputError: a path does not exist.
    """
    found: set[Path] = set()
    for path in paths:
        if path.is_dir():
            found.update(files_below(path))
        elif path.exists():
            found.add(path)
        else:
            raise InputError(f"{path}: no such file or folder.")
    return sorted(found)


def files_below(folder: Path) -> list[Path]:
    """The files below a folder, sorted; hidden ones are left out.

    A maildir's subfolders (``.Sent``, ``.Work.Letters``; Maildir++) are hidden in name only.
    """
    found: list[Path] = []
    for parent, folders, names in os.walk(folder):
        here = Path(parent)
        folders[:] = [f for f in folders if not f.startswith(".") or (here / f / "cur").is_dir()]
        found += [here / name for name in names if not name.startswith(".")]
    return sorted(path for path in found if path.is_file())


def run_stage(
    stage: str,
    work: Callable[[Path], Mapping[str, Any]],
    *,
    settings: Mapping[str, Any],
    inputs: Iterable[Path],
    output_dir: Path,
    keep_partial: bool = False,
    force: bool = False,
) -> StageResult:
    """Run one stage unless its output was already made from the same settings and inputs.

    Args:
        stage: its name, for the manifest.
        work: writes the stage's files into the folder it is given and returns its counts.
        settings: all settings the stage depends on, JSON-ready.
        inputs: files (or folders of files) it reads.
        output_dir: where its output stands when it is whole.
        keep_partial: leave an interrupted run's folder for the next run of the same fingerprint
            (the work knows how to go on from it).
        force: run even if nothing changed.

    Raises:
        InputError: an input does not exist.
    """
    partial = output_dir.with_name(output_dir.name + ".partial")
    if (partial / MANIFEST).is_file():  # killed after finishing, before its folder was in place
        _swap(partial, output_dir)
    old = read_manifest(output_dir)
    digests = _digests(files_in(inputs), known=old.get("inputs", {}))
    fingerprint = _fingerprint(stage, settings, digests)
    if not force and old.get("fingerprint") == fingerprint and _is_whole(output_dir, old):
        return StageResult(stage, output_dir, old["counts"], old["seconds"], skipped=True)

    _prepare(partial, fingerprint, keep=keep_partial and not force)
    started = time.perf_counter()
    counts = dict(work(partial))
    seconds = round(time.perf_counter() - started, 3)
    (partial / _FINGERPRINT).unlink()
    manifest = {
        "stage": stage,
        "fingerprint": fingerprint,
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": seconds,
        "counts": counts,
        "settings": dict(settings),
        "inputs": digests,
        "outputs": {
            p.relative_to(partial).as_posix(): {"sha256": sha256_file(p), "bytes": p.stat().st_size}
            for p in files_in([partial])
        },
        "versions": versions(),
    }
    write_json(partial / MANIFEST, manifest)
    _swap(partial, output_dir)
    return StageResult(stage, output_dir, counts, seconds)


def read_manifest(output_dir: Path) -> dict[str, Any]:
    """The manifest of a stage's folder; empty where there is none that can be read."""
    try:
        manifest = json.loads((output_dir / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return manifest if isinstance(manifest, dict) else {}


def versions() -> dict[str, str]:
    """This package's, Python's and the main libraries' versions, for the manifest."""
    from importlib.metadata import PackageNotFoundError, version

    found = {"outreach-intent": __version__, "python": platform.python_version()}
    for name in ("numpy", "pyarrow", "scikit-learn", "torch", "transformers", "onnxruntime"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _digests(files: Iterable[Path], known: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Per file its hash, size and time; a file whose size and time are known is not read again."""
    digests = {}
    for path in files:
        stat = path.stat()
        seen = known.get(str(path), {})
        same = seen.get("bytes") == stat.st_size and seen.get("mtime_ns") == stat.st_mtime_ns
        digest = seen["sha256"] if same else sha256_file(path)
        digests[str(path)] = {
            "sha256": digest,
            "bytes": stat.st_size,
            "mtime_ns": stat.st_mtime_ns,
        }
    return digests


def _fingerprint(stage: str, settings: Mapping[str, Any], digests: Mapping[str, Any]) -> str:
    content = {
        "stage": stage,
        "version": __version__,
        "settings": settings,
        "inputs": {path: entry["sha256"] for path, entry in digests.items()},
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _is_whole(output_dir: Path, manifest: Mapping[str, Any]) -> bool:
    """Whether every output file stands there with its size (hashes are checked on load)."""
    for name, entry in manifest.get("outputs", {}).items():
        path = output_dir / name
        if not path.is_file() or path.stat().st_size != entry["bytes"]:
            return False
    return True


def _prepare(partial: Path, fingerprint: str, keep: bool) -> None:
    mark = partial / _FINGERPRINT
    if keep and mark.is_file() and mark.read_text(encoding="utf-8") == fingerprint:
        return
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    mark.write_text(fingerprint, encoding="utf-8")


def _swap(partial: Path, output_dir: Path) -> None:
    """Put the finished folder in place; `run_stage` mends a kill between the two renames."""
    retired = output_dir.with_name(output_dir.name + ".old")
    shutil.rmtree(retired, ignore_errors=True)
    if output_dir.exists():
        output_dir.replace(retired)
    partial.replace(output_dir)
    shutil.rmtree(retired, ignore_errors=True)


def numbered_lines(files: Iterable[Path]) -> Iterator[tuple[str, str]]:
    """The lines of text files that are not blank, each after words that say where it stands.

    Raises:
        InputError: a file is not text in UTF-8.
    """
    for path in files:
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            raise InputError(
                f"{path}: expected text in UTF-8, found something else at byte {error.start}; "
                "save it as UTF-8."
            ) from None
        # Only here: `splitlines` would also cut at U+2028 and others, which JSON may hold.
        for number, line in enumerate(text.split("\n"), start=1):
            if line.strip():
                yield f"{path} line {number}", line
