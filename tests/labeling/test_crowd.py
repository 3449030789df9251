import pytest

from pipeline.errors import DataError
from pipeline.labeling.codebook import outdated_in_words, read_codebook
from pipeline.labeling.crowd import annotator_quality
from pipeline.labeling.resolve import ballots, resolve
from pipeline.labeling.split import Item, group, split_by_time
from pipeline.records import Annotation
from pipeline.settings import Task

from .projects import answer

TASK = Task(labels=("information", "influence", "job_lead"))


def crowd():
    """Three good annotators and two who always say the same wrong thing."""
    good = [answer(i, who) for i in range(24) for who in ("ada", "ben", "cy")]
    bad = [answer(i, who, asks=("job_lead",)) for i in range(24) for who in ("dot", "eve")]
    return [*good, *bad]


@pytest.mark.parametrize("method", ["dawid_skene", pytest.param("mace", marks=pytest.mark.slow)])
def test_models_of_annotators_see_through_the_careless(method):
    found = resolve(crowd(), TASK, method)
    assert [found[f"m{i}"].primary for i in range(4)] == [
        "information", "influence", "job_lead", "none",
    ]  # fmt: skip
    assert all(0 <= t <= 1 for answer in found.values() for t in answer.targets)


def test_gold_overrides_a_model_too():
    gold = answer(0, "judge", asks=("influence",), role="gold")
    assert resolve([*crowd(), gold], TASK, "dawid_skene")["m0"].asks == ("influence",)


def test_a_model_needs_overlap():
    with pytest.raises(DataError, match="Let annotators overlap"):
        resolve([answer(i) for i in range(9)], TASK, "dawid_skene")


def test_a_single_label_task_resolves_by_model_too(intents):
    log = [
        Annotation(f"m{i}", who, (ask,), ask)
        for i, ask in enumerate(["card", "refund", "other"] * 4)
        for who in "ab"
    ]
    found = resolve(log, intents, "dawid_skene")
    assert (found["m0"].asks, found["m1"].asks) == (("card",), ("refund",))


@pytest.mark.parametrize(
    ("machines", "voters"), [("where_alone", {"ada"}), ("always", {"ada", "llm:x", "rules"})]
)
def test_machines_vote_where_they_may(machines, voters):
    log = [
        answer(0),
        answer(0, "llm:x", role="llm"),
        answer(0, "rule:a", role="rule"),
        answer(0, "rule:b", role="rule"),
        answer(1, "llm:x", role="llm"),
    ]
    cast = ballots(log, TASK, machines)
    assert {v.annotator for v in cast["m0"]} == voters
    assert {v.annotator for v in cast["m1"]} == {"llm:x"}
    assert ballots(log, TASK, "never").keys() == {"m0"}


def test_quality_compares_with_others_and_with_gold():
    log = [*crowd(), answer(1, "judge", role="gold"), Annotation("m0", "fay", None)]
    rows = {row.annotator: row for row in annotator_quality(log, TASK)}
    assert rows["ada"].with_others > 0.7 > 0.4 > rows["dot"].with_others
    assert (rows["ada"].with_gold, rows["dot"].with_gold) == (1.0, 0.0)
    assert (rows["fay"].messages, rows["fay"].abstained, rows["fay"].with_others) == (0, 1, None)


def test_a_codebooks_version_changes_with_its_text(tmp_path):
    path = tmp_path / "book.md"
    path.write_text("# Book\nVersion 2.1 of it\n")
    first = read_codebook(path)
    assert first.version.startswith("2.1-")
    path.write_text("# Book\nVersion 2.1 of it.\n")
    second = read_codebook(path)
    assert second.version != first.version
    log = [answer(0, codebook=first.version), answer(1, codebook=second.version), answer(2)]
    assert f"1 under {first.version}" in outdated_in_words(log, second)
    assert outdated_in_words(log[1:], second) == ""


def test_by_time_the_newest_are_the_test_and_groups_stay_whole():
    items = [Item(f"m{i}", (f"thread:{i % 50}",), ("x",), float(i)) for i in range(100)]
    items.append(Item("undated", (), ("x",)))
    shares = {"train": 0.8, "validation": 0.1, "test": 0.1}
    found = split_by_time(items, shares)
    newest = {
        name: [max(i.time for i in g) for g in group(items[:100]) if found[g[0].id] == name]
        for name in shares
    }
    assert max(newest["train"]) < min(newest["validation"])
    assert max(newest["validation"]) < min(newest["test"])
    assert [sum(v == n for v in found.values()) for n in shares] == [81, 10, 10]
    assert all(len({found[i.id] for i in members}) == 1 for members in group(items))
    assert found["undated"] == "train"
    with pytest.raises(DataError, match="only 0 of 2 messages say when"):
        split_by_time([Item("a", (), ("x",)), Item("b", (), ("x",))], shares)
