from hypothesis import given
from hypothesis import strategies as st

from pipeline.labeling.resolve import by_majority
from pipeline.records import Annotation
from pipeline.settings import Task

LABELS = ("information", "influence", "job_lead")
TASK = Task(labels=LABELS)


def said(annotator, *asks, primary=None, message="m1", **more):
    first = asks[0] if asks else "none"
    return Annotation(message, annotator, asks, primary or first, **more)


def resolved(*annotations, task=TASK):
    return by_majority(annotations, task)["m1"]


def test_the_majority_decides_each_ask_and_the_shares_are_kept():
    found = resolved(
        said("a", "influence", "job_lead"), said("b", "influence"), said("c", "information")
    )
    assert found.asks == ("influence",)
    assert found.primary == "influence"
    assert found.targets == (1 / 3, 2 / 3, 1 / 3)
    assert found.annotators == 3


def test_a_primary_of_none_leaves_no_asks():
    found = resolved(said("a"), said("b"), said("c", "influence"))
    assert (found.asks, found.primary, found.targets) == ((), "none", (0, 1 / 3, 0))


def test_the_primary_is_always_among_the_asks():
    found = resolved(
        said("a", "information"), said("b", "influence"), said("c"), said("d", "information")
    )
    assert found.asks == ("information",)


def test_ties_go_to_the_sure_then_to_the_ask_then_to_label_order():
    assert resolved(said("a", sure=False), said("b", "influence")).primary == "influence"
    assert resolved(said("a"), said("b", "influence", sure=False)).primary == "none"
    assert resolved(said("a"), said("b", "influence")).primary == "influence"
    assert resolved(said("a", "job_lead"), said("b", "information")).primary == "information"
    both = resolved(said("a", "influence"), said("b", "influence", "job_lead"))
    assert both.asks == ("influence", "job_lead")
    sure_not = resolved(said("a", "influence"), said("b", "influence", "job_lead", sure=False))
    assert sure_not.asks == ("influence",)


def test_where_there_is_gold_only_gold_counts():
    found = resolved(said("a"), said("b"), said("judge", "job_lead", role="gold"))
    assert (found.asks, found.annotators) == (("job_lead",), 1)


def test_an_annotator_has_one_vote_and_may_withdraw_it():
    found = resolved(said("a"), said("a"), said("b", "influence"), said("a", "influence"))
    assert (found.primary, found.annotators) == ("influence", 2)
    withdrawn = Annotation("m1", "a", None, time="2026-01-02")
    assert by_majority([said("a", "influence", time="2026-01-01"), withdrawn], TASK) == {}


def test_a_single_label_task_gets_exactly_one(intents):
    found = resolved(said("a", "card"), said("b", "refund"), said("c", "card"), task=intents)
    assert (found.asks, found.primary, found.targets) == (("card",), "card", (1 / 3, 2 / 3, 0))
    tie = resolved(said("a", "other"), said("b", "card"), task=intents)
    assert tie.asks == ("card",)


answers = st.lists(st.sampled_from(LABELS), unique=True, max_size=3).map(tuple)
votes = st.lists(st.tuples(answers, st.booleans()), min_size=1, max_size=6)


@given(votes, st.randoms())
def test_the_order_of_the_annotators_does_not_matter(cast, random):
    annotations = [said(f"a{i}", *asks, sure=sure) for i, (asks, sure) in enumerate(cast)]
    first = by_majority(annotations, TASK)
    random.shuffle(annotations)
    assert by_majority(annotations, TASK) == first


@given(votes)
def test_what_is_resolved_is_sound(cast):
    found = resolved(*(said(f"a{i}", *asks, sure=sure) for i, (asks, sure) in enumerate(cast)))
    assert list(found.asks) == [label for label in LABELS if label in found.asks]
    assert found.primary in found.asks if found.asks else found.primary == "none"
    assert all(0 <= share <= 1 for share in found.targets)
    if len({asks for asks, _ in cast}) == 1:
        assert set(found.asks) == set(cast[0][0])
