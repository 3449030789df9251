"""Many callers, one model: what waits while the model works is its next batch.

No clock is involved: a caller who comes alone is answered at once, and under load batches grow by
themselves, because more callers wait.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from pipeline.errors import PipelineError
from pipeline.records import UNSURE

if TYPE_CHECKING:
    from pipeline.inference.classifier import Classifier
    from pipeline.inference.explain import Explanation
    from pipeline.records import Prediction

T = TypeVar("T")

MAX_BATCH = 64
"""Texts scored together; more would keep the first of them waiting."""
MAX_WAITING = 2048
"""Texts that may wait; whoever comes then is told to come again."""


class BusyError(PipelineError):
    """More texts wait than the model can answer soon."""


class ClosedError(PipelineError):
    """The model is not answering any more."""


@dataclass
class _Job:
    texts: Sequence[str]
    ids: Sequence[str]
    answer: asyncio.Future[list[Prediction]]


class AsyncClassifier:
    """A classifier for asynchronous code: concurrent calls are answered in shared batches.

    ::

        async with pipeline.AsyncClassifier(pipeline.load("models/default")) as clf:
            found = await clf.predict(["Are you hiring?"])

    Use it from one event loop. The model works in a thread of its own, so the loop stays free.
    """

    def __init__(
        self,
        classifier: Classifier,
        *,
        max_batch: int = MAX_BATCH,
        max_waiting: int = MAX_WAITING,
        on_batch: Callable[[int], None] = lambda size: None,
    ) -> None:
        """Wrap a loaded classifier.

        Args:
            classifier: what `pipeline.load` gives.
            max_batch: texts scored together; one call with more is still one batch.
            max_waiting: texts that may wait before callers get a `BusyError`.
            on_batch: told the size of each batch.
        """
        self.classifier = classifier
        self._max_batch, self._max_waiting, self._on_batch = max_batch, max_waiting, on_batch
        self._jobs: asyncio.Queue[_Job | None] = asyncio.Queue()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="outreach-model")
        self._worker: asyncio.Task[None] | None = None
        self._closed = False
        self.waiting = 0
        """Texts that wait at this moment."""

    async def __aenter__(self) -> Self:
        """The classifier itself."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close."""
        await self.close()

    async def predict(
        self,
        texts: Sequence[str],
        ids: Sequence[str] | None = None,
        min_confidence: float = 0.0,
    ) -> list[Prediction]:
        """What each text asks for, in order; like `Classifier.predict`.

        Raises:
            BusyError: too many texts wait already.
            ClosedError: `close` was called.
        """
        if isinstance(texts, str):
            raise TypeError("expected a list of texts, found one text; put it in a list")
        if not texts:
            return []
        self._open()
        if self.waiting + len(texts) > self._max_waiting:
            raise BusyError("Too many messages wait for the model; come again in a moment.")
        names = ids if ids is not None else [str(i) for i in range(len(texts))]
        job = _Job(texts, names, asyncio.get_running_loop().create_future())
        self.waiting += len(texts)
        self._jobs.put_nowait(job)
        return [
            p if p.confidence >= min_confidence else replace(p, primary=UNSURE, asks=())
            for p in await job.answer
        ]

    async def explain(self, texts: Sequence[str]) -> list[Explanation]:
        """Why: like `Classifier.explain`."""
        self._open()
        return await self.run(self.classifier.explain, texts)

    async def run(self, work: Callable[..., T], *arguments: Any) -> T:
        """Run something beside the event loop, in turn with the batches."""
        return await asyncio.get_running_loop().run_in_executor(
            self._thread, partial(work, *arguments)
        )

    async def close(self) -> None:
        """Answer what waits, then take no more."""
        self._closed = True
        if self._worker is not None:
            self._jobs.put_nowait(None)
            await self._worker
        await asyncio.to_thread(self._thread.shutdown)

    def _open(self) -> None:
        if self._closed:
            raise ClosedError("The model is not answering any more: it was closed.")
        if self._worker is None:
            self._worker = asyncio.create_task(self._work())

    async def _work(self) -> None:
        while (job := await self._jobs.get()) is not None:
            batch = [job]
            while sum(len(j.texts) for j in batch) < self._max_batch and not self._jobs.empty():
                following = self._jobs.get_nowait()
                if following is None:  # closed: nobody comes after it
                    self._jobs.put_nowait(None)
                    break
                batch.append(following)
            self.waiting -= sum(len(job.texts) for job in batch)
            wanted = [job for job in batch if not job.answer.cancelled()]
            if wanted:
                await self._answer(wanted)

    async def _answer(self, batch: Sequence[_Job]) -> None:
        texts = [text for job in batch for text in job.texts]
        ids = [name for job in batch for name in job.ids]
        self._on_batch(len(texts))
        try:
            answers = iter(await self.run(self.classifier.predict, texts, ids))
        except Exception as error:  # noqa: BLE001 - whatever it is, its caller must hear of it
            if len(batch) > 1:  # and the others must not
                for job in batch:
                    await self._answer([job])
            elif not batch[0].answer.done():
                batch[0].answer.set_exception(error)
            return
        for job in batch:
            own = [next(answers) for _ in job.texts]
            if not job.answer.done():
                job.answer.set_result(own)
