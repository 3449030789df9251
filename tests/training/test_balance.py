"""Thinning leaves what asks alone, keeps to the share, and takes where there is most."""

from collections import Counter

from pipeline.records import LabelledMessage
from pipeline.training.balance import without_some_none


def mail(asking: int, silent: dict[str, int]) -> list[LabelledMessage]:
    """Messages that ask, then silent ones of each origin."""
    found = [LabelledMessage(f"a{i}", "x", asks=("job_lead",)) for i in range(asking)]
    for origin, count in silent.items():
        found += [
            LabelledMessage(f"{origin}{i}", "x", extra={"origin": origin}) for i in range(count)
        ]
    return found


def thinned(messages: list[LabelledMessage], share: float, seed: int) -> list[LabelledMessage]:
    return list(without_some_none(lambda: messages, share, seed))


def kept(messages: list[LabelledMessage], share: float) -> Counter[str]:
    return Counter(m.extra.get("origin", "asking") for m in thinned(messages, share, seed=1))


def test_the_largest_origin_gives_first() -> None:
    assert kept(mail(60, {"public": 100, "written": 10}), 0.4) == {
        "asking": 60,
        "public": 30,
        "written": 10,
    }


def test_too_few_are_left_as_they_are() -> None:
    messages = mail(60, {"public": 5})
    assert thinned(messages, 0.4, seed=1) == messages


def test_all_may_stay() -> None:
    messages = mail(1, {"public": 50})
    assert thinned(messages, 1.0, seed=1) == messages


def test_the_draw_is_the_seeds() -> None:
    messages = mail(10, {"public": 100})
    assert thinned(messages, 0.4, seed=1) == thinned(messages, 0.4, seed=1)
    assert thinned(messages, 0.4, seed=1) != thinned(messages, 0.4, seed=2)
