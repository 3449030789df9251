from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import DataError, InputError
from pipeline.labeling.split import SPLITS, Item, group, prove_disjoint, read_splits, split

SHARES = {"train": 0.8, "validation": 0.1, "test": 0.1}
STRATA = ("corpus/information", "corpus/influence", "corpus/job_lead", "public/none")


@st.composite
def items(draw, smallest=1, groups=12):
    keys = st.lists(st.integers(0, groups).map("thread:{}".format), max_size=2).map(tuple)
    strata = st.lists(st.sampled_from(STRATA), min_size=1, max_size=2, unique=True).map(tuple)
    drawn = draw(st.lists(st.tuples(keys, strata), min_size=smallest, max_size=60))
    return [Item(f"m{i}", k, s) for i, (k, s) in enumerate(drawn)]


@given(items(), st.integers(0, 2**32 - 1))
def test_every_item_stands_in_one_split_and_no_group_crosses(drawn, seed):
    assigned = split(drawn, SHARES, seed)
    assert assigned.keys() == {item.id for item in drawn}
    assert set(assigned.values()) <= SHARES.keys()
    prove_disjoint(drawn, assigned)
    for members in group(drawn):
        assert len({assigned[item.id] for item in members}) == 1


@given(items(), st.integers(0, 2**32 - 1))
def test_the_same_seed_gives_the_same_split(drawn, seed):
    assert split(drawn, SHARES, seed) == split(list(drawn), dict(SHARES), seed)


def test_another_seed_gives_another_split():
    drawn = [Item(f"m{i}", (), (STRATA[i % 4],)) for i in range(200)]
    assert split(drawn, SHARES, 1) != split(drawn, SHARES, 2)


@settings(max_examples=30)
@given(
    st.lists(st.sampled_from(STRATA), min_size=100, max_size=300),
    st.sampled_from([SHARES, {"train": 0.5, "validation": 0.25, "test": 0.25}]),
    st.integers(0, 99),
)
def test_shares_hold_overall_and_per_stratum(strata, shares, seed):
    drawn = [Item(f"m{i}", (), (stratum,)) for i, stratum in enumerate(strata)]
    assigned = split(drawn, shares, seed)
    sizes = Counter(assigned.values())
    cells = Counter((assigned[item.id], item.strata[0]) for item in drawn)
    for name, share in shares.items():
        assert abs(sizes[name] - share * len(drawn)) <= 2 * len(STRATA)
        for stratum, count in Counter(strata).items():
            assert abs(cells[name, stratum] - share * count) <= 2


def test_shares_hold_with_pairs_and_several_labels():
    drawn = [
        Item(f"m{i}", (f"pair:{i // 2}",), tuple(sorted({STRATA[i % 4], STRATA[i // 5 % 4]})))
        for i in range(1000)
    ]
    assigned = split(drawn, SHARES, 13)
    for name, share in SHARES.items():
        members = [item for item in drawn if assigned[item.id] == name]
        assert len(members) == pytest.approx(share * 1000, abs=20)
        for stratum in STRATA:
            total = sum(item.strata.count(stratum) for item in drawn)
            mine = sum(item.strata.count(stratum) for item in members)
            assert mine == pytest.approx(share * total, abs=15)


@given(items(), items(groups=30), st.integers(0, 99))
def test_messages_that_stand_in_a_split_stay_there_when_others_come(earlier, later, seed):
    before = split(earlier, SHARES, seed)
    renamed = [Item(f"new-{item.id}", item.keys, item.strata) for item in later]
    after = split([*earlier, *renamed], SHARES, seed, kept=before)
    prove_disjoint([*earlier, *renamed], after)
    for members in group([*earlier, *renamed]):
        stood = {before[item.id] for item in members if item.id in before}
        expected = stood if len(stood) == 1 else {"train"} if stood else set(SPLITS)
        assert {after[item.id] for item in members} <= expected


def test_what_is_drawn_beside_kept_ones_brings_the_shares_close():
    drawn = [Item(f"m{i}", (), (STRATA[i % 4],)) for i in range(200)]
    kept = {item.id: "train" for item in drawn[:100]}
    sizes = Counter(split(drawn, SHARES, 13, kept).values())
    assert sizes["validation"] == pytest.approx(20, abs=3)
    assert sizes["test"] == pytest.approx(20, abs=3)


def test_splits_are_read_back_and_bad_lines_are_named(tmp_path):
    file = tmp_path / "splits.jsonl"
    file.write_text('{"id": "m1", "split": "train"}\n\n{"id": "m2", "split": "test"}\n')
    assert read_splits([file]) == {"m1": "train", "m2": "test"}
    file.write_text('{"id": "m1", "split": "train"}\n{"id": "m2", "split": "dev"}\n')
    with pytest.raises(DataError, match="line 2: expected"):
        read_splits([file])
    file.write_text('{"id": "m1", "split": "train"}\n{"id": "m1", "split": "test"}\n')
    with pytest.raises(DataError, match="m1 stands in train before and in test here"):
        read_splits([file])
    file.write_bytes(b'{"id": "m1"\xff')
    with pytest.raises(InputError, match="UTF-8, found something else at byte 11"):
        read_splits([file])


def test_a_split_without_a_share_stays_empty():
    drawn = [Item(f"m{i}", (), ("x",)) for i in range(50)]
    assigned = split(drawn, {"train": 0.9, "validation": 0.1, "test": 0.0}, 1)
    assert set(assigned.values()) == {"train", "validation"}


def test_groups_join_through_others():
    drawn = [
        Item("a", ("thread:1",), ("x",)),
        Item("b", ("pair:1",), ("x",)),
        Item("c", ("thread:1", "pair:1"), ("x",)),
        Item("d", (), ("x",)),
        Item("e", ("id:d",), ("x",)),
    ]
    assert [[i.id for i in members] for members in group(drawn[:4])] == [["a", "b", "c"], ["d"]]


def test_a_long_chain_is_one_group():
    chain = [Item(f"m{i}", (f"t:{i}", f"t:{i + 1}"), ("x",)) for i in range(5000)]
    assert len(group(chain)) == 1


def test_a_group_on_both_sides_is_refused_without_naming_it():
    drawn = [Item("a", ("thread:secret", "pair:p"), ("x",)), Item("b", ("thread:secret",), ("x",))]
    with pytest.raises(DataError, match=r"1 group\(s\).*\(1 by thread\)") as raised:
        prove_disjoint(drawn, {"a": "train", "b": "test"})
    assert "secret" not in str(raised.value)
