"""Finishing records in order, in this process or in several."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from importlib.abc import MetaPathFinder
from typing import Any

from pipeline.errors import DataError
from pipeline.ingestion.finish import Plan, finish_all
from pipeline.ingestion.finished import Finished
from pipeline.ingestion.incoming import Record, Unparsed
from pipeline.records import Message, Rejection

BATCH_RECORDS = 256
BATCH_BYTES = 1_000_000
MAX_WORKERS = 4
"""More would be fed too slowly by the one that cuts records out, and take 40 MB each."""


def workers_for(size: int) -> int:
    """How many processes to use for so many bytes; 0 means that starting any would cost more."""
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return min(available or 1, MAX_WORKERS) if size > 20_000_000 and (available or 1) > 1 else 0


def finished(
    records: Iterable[tuple[str, Record | Message]], plan: Plan, workers: int
) -> Iterator[tuple[list[str], Finished]]:
    """Yield (key of each record, the finished records) for batches of (key, record), in order.

    Args:
        records: what readers give; a `Message` among them is finished already.
        plan: what is to be done with each.
        workers: processes to use; 0: none but this one.

    Raises:
        DataError: a process was killed from outside, most likely for want of memory.
    """
    with ExitStack() as stack:
        pool = None
        if workers:
            # Spawned, not forked: a fork of a process with threads (a progress bar) may hang.
            context = multiprocessing.get_context("spawn")
            pool = ProcessPoolExecutor(workers, context, initializer=_set_up)
            stack.callback(pool.shutdown, cancel_futures=True)
        waiting: deque[tuple[list[str], Future[Finished] | Finished]] = deque()
        try:
            for keys, batch in _batches(records):
                waiting.append((keys, _start(pool, batch, plan)))
                if len(waiting) > 2 * workers:
                    yield _result(waiting)
            while waiting:
                yield _result(waiting)
        except BrokenProcessPool:
            raise DataError(
                "A process that reads mail was killed, most likely for want of memory. What was "
                "finished is kept: run the same command again."
            ) from None


def _start(
    pool: ProcessPoolExecutor | None, batch: list[Record | Message], plan: Plan
) -> Future[Finished] | Finished:
    # What is finished already would take longer to send than to write down.
    if pool is None or all(isinstance(record, Message | Rejection) for record in batch):
        return finish_all(batch, plan)
    return pool.submit(finish_all, batch, plan)


def _result(
    waiting: deque[tuple[list[str], Future[Finished] | Finished]],
) -> tuple[list[str], Finished]:
    keys, result = waiting.popleft()
    return keys, result.result() if isinstance(result, Future) else result


def _batches(
    records: Iterable[tuple[str, Record | Message]],
) -> Iterator[tuple[list[str], list[Record | Message]]]:
    keys: list[str] = []
    batch: list[Record | Message] = []
    size = 0
    for key, record in records:
        keys.append(key)
        batch.append(record)
        size += _size(record)
        if len(batch) >= BATCH_RECORDS or size >= BATCH_BYTES:
            yield keys, batch
            keys, batch, size = [], [], 0
    if batch:
        yield keys, batch


def _size(record: Record | Message) -> int:
    """About how much memory a record takes."""
    if isinstance(record, Unparsed):
        return len(record.data)
    if isinstance(record, Rejection):
        return len(record.record) + 500
    message = record if isinstance(record, Message) else record.message
    return len(message.text) + 1000


def _set_up() -> None:
    """Make a process ready for its work."""
    # Ctrl-C reaches every process; only the main one decides what to do.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.meta_path.insert(0, _WithoutPandas())
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """Without this, workers would wait for ever for a main process that was killed."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


class _WithoutPandas(MetaPathFinder):
    """Arrow imports pandas wherever it is installed: a second and 50 MB a process, for nothing."""

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> None:
        if fullname == "pandas":
            raise ModuleNotFoundError(name=fullname)
