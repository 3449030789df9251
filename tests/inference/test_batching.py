"""The asynchronous classifier: shared batches, own answers, limits, a gentle end."""

import asyncio

import pytest

import pipeline
from pipeline.inference.batching import AsyncClassifier, BusyError, ClosedError

QUIET = "Hello, see you. No 3."
TEXTS = [f"could you introduce me to the museum? No {i}." for i in range(40)]


def test_concurrent_calls_share_batches_and_get_their_own_answers(clf: pipeline.Classifier) -> None:
    sizes: list[int] = []

    async def ask() -> list[list[pipeline.Prediction]]:
        async with AsyncClassifier(clf, max_batch=16, on_batch=sizes.append) as asynchronous:
            return await asyncio.gather(*(asynchronous.predict([text, QUIET]) for text in TEXTS))

    found = asyncio.run(ask())
    assert [[p.primary for p in pair] for pair in found] == [["influence", "none"]] * len(TEXTS)
    assert [[p.id for p in pair] for pair in found] == [["0", "1"]] * len(TEXTS)
    assert sum(sizes) == 2 * len(TEXTS)
    assert len(sizes) < len(TEXTS)
    assert max(sizes) <= 17


def test_too_many_at_once_are_told_to_come_again(clf: pipeline.Classifier) -> None:
    async def ask() -> None:
        async with AsyncClassifier(clf, max_waiting=4) as asynchronous:
            with pytest.raises(BusyError, match="come again"):
                await asynchronous.predict(TEXTS[:5])
            assert len(await asynchronous.predict(TEXTS[:4])) == 4
            assert asynchronous.waiting == 0

    asyncio.run(ask())


def test_closing_answers_what_waits_and_takes_no_more(clf: pipeline.Classifier) -> None:
    async def ask() -> None:
        asynchronous = AsyncClassifier(clf)
        waiting = [asyncio.create_task(asynchronous.predict([text])) for text in TEXTS]
        await asyncio.sleep(0)
        await asynchronous.close()
        assert [len(await task) for task in waiting] == [1] * len(TEXTS)
        with pytest.raises(ClosedError):
            await asynchronous.predict(["are you hiring?"])

    asyncio.run(ask())


def test_a_caller_who_gives_up_disturbs_nobody(clf: pipeline.Classifier) -> None:
    async def ask() -> None:
        async with AsyncClassifier(clf) as asynchronous:
            tasks = [asyncio.create_task(asynchronous.predict([text])) for text in TEXTS[:6]]
            await asyncio.sleep(0)
            tasks[2].cancel()
            found = await asyncio.gather(*tasks, return_exceptions=True)
        assert [isinstance(f, list) for f in found] == [True, True, False, True, True, True]

    asyncio.run(ask())


def test_a_failure_reaches_its_callers(clf: pipeline.Classifier) -> None:
    async def ask() -> None:
        async with AsyncClassifier(clf) as asynchronous:
            with pytest.raises(Exception, match=r"str|TextEncodeInput|expected"):
                await asynchronous.predict([3])  # type: ignore[list-item]
            assert len(await asynchronous.predict(["are you hiring?"])) == 1

    asyncio.run(ask())


def test_one_text_instead_of_a_list_is_a_mistake(clf: pipeline.Classifier) -> None:
    async def ask() -> None:
        async with AsyncClassifier(clf) as asynchronous:
            with pytest.raises(TypeError, match="expected a list"):
                await asynchronous.predict("are you hiring?")
            assert await asynchronous.predict([]) == []

    asyncio.run(ask())
