"""The report's parts, each on a small set whose answers are known."""

import numpy as np
import pytest

from pipeline.evaluation import fairness, slices
from pipeline.evaluation.agreement import agreement
from pipeline.evaluation.curves import certainty, risk_coverage, selective, threshold_curves
from pipeline.evaluation.gold import GoldSet, Scores
from pipeline.evaluation.intervals import Bootstrap
from pipeline.evaluation.mistakes import find_mistakes
from pipeline.evaluation.sentences import drivers
from pipeline.evaluation.swaps import Swap, load_swaps
from pipeline.evaluation.thin_line import thin_line
from pipeline.records import Annotation, LabelledMessage

LABELS = ("information", "influence", "job_lead")


def _set(*rows, **fields):
    """A set of (asks, primary) rows; `fields` give a list per message field."""
    messages = tuple(
        LabelledMessage(
            id=f"m{i}",
            text=f"text {i}",
            asks=tuple(asks),
            primary=primary,
            **{name: values[i] for name, values in fields.items()},
        )
        for i, (asks, primary) in enumerate(rows)
    )
    return GoldSet(messages, LABELS, multi_label=True)


def _scores(gold, probabilities):
    return Scores.decide(np.array(probabilities, float), [0.5] * 3, multi_label=True)


def _none(gold):
    return Bootstrap(gold.groups, resamples=0, confidence=0.95, seed=0)


def test_agreement_of_humans_and_model_is_cohens_kappa():
    from sklearn.metrics import cohen_kappa_score

    primaries = ["information", "influence", "job_lead", "none", "influence", "none"]
    second = ["information", "influence", "influence", "none", "job_lead", "none"]
    gold = _set(*[([p] if p != "none" else [], p) for p in primaries])
    marks = [
        Annotation(f"m{i}", name, (p,) if p != "none" else (), p)
        for name, answers in (("w", primaries), ("r", second))
        for i, p in enumerate(answers)
    ]
    scores = Scores(np.zeros((6, 3)), gold.asks, gold.primary)  # the model repeats the writer
    figures = agreement(gold, scores, marks, _none(gold))
    both_ways = (primaries + second, second + primaries)
    assert figures["humans.kappa"].value == pytest.approx(cohen_kappa_score(*both_ways))
    assert figures["humans.agreement"].value == pytest.approx(4 / 6)
    assert figures["model.agreement"].value == pytest.approx((6 + 4) / 12)
    assert agreement(gold, scores, marks[:6], _none(gold)) == {}


def test_risk_grows_with_coverage_and_certainty_is_that_of_the_least_sure_claim():
    gold = _set((["information"], "information"), ([], "none"), (["job_lead"], "job_lead"))
    scores = _scores(gold, [[0.9, 0.1, 0.1], [0.55, 0.2, 0.0], [0.0, 0.0, 0.99]])
    assert certainty(gold, scores).tolist() == pytest.approx([0.9, 0.55, 0.99])
    coverage, risk = risk_coverage(gold, scores)
    assert coverage.tolist() == pytest.approx([1 / 3, 2 / 3, 1])
    assert risk.tolist() == pytest.approx([0, 0, 1 / 3])
    figures = selective(gold, scores, _none(gold))
    assert figures["selective.accuracy_at_100"].value == pytest.approx(2 / 3)
    assert figures["selective.accuracy_at_50"].value == 1


def test_threshold_curves_trade_precision_for_recall(gold, scores):
    curve = threshold_curves(gold, scores, np.array([0.5, 0.5, 0.5]))[0]
    assert curve.recall[0] == 1
    assert np.nanmax(curve.precision) > curve.precision[0]


def test_the_thin_line_counts_two_asks_pairs_and_false_alarms():
    gold = _set(
        (["information", "influence"], "influence"),
        (["information", "influence"], "information"),
        (["information"], "information"),
        (["influence"], "influence"),
        pair=["", "", "p", "p"],
    )
    scores = _scores(gold, [[0.9, 0.9, 0], [0.9, 0.2, 0], [0.9, 0.6, 0], [0.1, 0.9, 0]])
    found = thin_line(gold, scores, _none(gold), ("information", "influence"))
    assert list(found.both.values()) == [1, 1, 0, 0]
    assert found.pairs == [("influence / information", 1, 1)]
    assert found.figures["thin_line.false_alarm"].value == 1
    assert found.figures["pairs.both_right"].value == 1
    assert thin_line(gold, scores, _none(gold), ("information", "money")) is None


def test_slices_come_from_fields_and_plain_columns_and_the_worst_is_first(gold, scores, bootstrap):
    facts = slices.columns(gold, [False] * 39 + [True])
    assert {"channel", "source", "relation", "read whole"} <= set(facts)
    found = slices.measure_slices(gold, scores, bootstrap, facts)
    assert [s.accuracy.value for s in found] == sorted(s.accuracy.value for s in found)
    assert all(s.count >= slices.FEWEST for s in found)
    channel = next(s for s in found if (s.column, s.value) == ("channel", "email"))
    rows = [m.channel == "email" for m in gold.messages]
    assert channel.accuracy.value == pytest.approx((gold.primary == scores.primary)[rows].mean())


def test_any_column_of_the_users_becomes_slices_numbers_by_quarters_ids_never():
    extra = [
        {"city": f"town {i % 25}", "staff": str(i), "key": f"key {i}", "cues": "family;alma_mater"}
        for i in range(400)
    ]
    gold = _set(*[([], "none")] * 400, extra=extra)
    facts = slices.columns(gold)
    assert set(facts) == {"city", "staff", "cue"}
    assert len({value for row in facts["city"] for value in row}) == 20
    assert facts["staff"][0] == ("0 to 99.75",)
    assert facts["staff"][-1] == ("299.25 to 399",)
    assert facts["cue"][0] == ("family", "alma_mater")


def test_the_search_finds_a_planted_weak_spot():
    generator = np.random.default_rng(0)
    channels = generator.choice(["email", "dm"], 400)
    relations = generator.choice(["stranger", "known"], 400)
    planted = (channels == "dm") & (relations == "stranger")
    wrong = np.where(planted, generator.random(400) < 0.7, generator.random(400) < 0.05)
    gold = _set(
        *[([], "none")] * 400,
        channel=channels.tolist(),
        extra=[{"relation": r} for r in relations],
    )
    scores = _scores(gold, np.where(wrong[:, None], 0.9, 0.1) * np.ones(3))
    best = slices.find_weak_spots(gold, scores, slices.columns(gold))[0]
    assert set(best.facts) == {("channel", "dm"), ("relation", "stranger")}
    assert best.count == planted.sum()


def test_every_kind_of_swap_touches_only_what_it_says():
    text = "Hi Ana,\nI would like your advice on the exam.\n\nBest\nTom Okoro"
    for swap in load_swaps():
        variants = swap.variants("m1", text)
        assert len(set(variants.values())) == len(variants) > 1, swap.kind
        assert swap.source
        if swap.how == "sign_off":
            assert all(v.startswith(text[: text.index("Tom")].rstrip()) for v in variants.values())
        elif swap.how != "wording":
            assert all("advice on the exam" in v for v in variants.values())
    assert load_swaps()[-1].variants("m1", "Nothing here.") == {}


def test_flips_are_counted_between_groups():
    swap = Swap("name", "sign_off", "here", {"a": ["Ann"], "b": ["Bob"]})
    gold = _set((["information"], "information"), (["information"], "information"))

    def score(texts):  # Bob's second message is read as a job ask
        bob = [text.endswith("Bob") and "text 1" in text for text in texts]
        return np.array([[0.1, 0.1, 0.9] if b else [0.9, 0.1, 0.1] for b in bob])

    (result,) = fairness.swap_all(gold, [swap], score, [0.5] * 3, _none(gold), np.arange(2))
    assert result.primary_flips.value == 0.5
    assert result.moved.value == pytest.approx(0.4)
    (flip,) = result.worst
    assert (flip.id, flip.before, flip.after) == ("m1", "information", "job_lead")
    assert (flip.first, flip.second) == ("a (Ann)", "b (Bob)")
    assert (flip.leading, flip.trailing) == ("text 1", "")
    assert fairness.flat_figures([result])["max_flip_rate"].value == 0.5


def test_the_worst_examples_show_the_change_and_little_around_it():
    swap = Swap("employer", "sentence", "here", {"a": ["Acme"], "b": ["a bakery"]}, "I work at {}.")
    text = "Hi Ana Wells,\nAre you hiring? " + "- one thing more\n" * 200
    message = LabelledMessage(id="long", text=text)
    gold = GoldSet((message,), LABELS, multi_label=True)

    def score(texts):
        return np.array([[0.1, 0.1, 0.9 if "Acme" in text else 0.2] for text in texts])

    (result,) = fairness.swap_all(gold, [swap], score, [0.5] * 3, _none(gold), np.arange(1))
    (flip,) = result.worst
    assert (flip.first, flip.second) == ("a (Acme.)", "b (a bakery.)")
    assert flip.leading == "Hi [NAME], I work at"
    assert flip.trailing.startswith("Are you hiring? - one thing more")
    assert len(flip.trailing) <= 62


def test_triage_compares_the_top_with_all_who_ask():
    cues = [{"cues": ["family"]} if i < 5 else {"cues": []} for i in range(20)]
    gold = _set(*[(["influence"], "influence")] * 20, extra=cues)
    scores = _scores(gold, [[0, 0.99 - i / 100, 0] for i in range(20)])
    (found,) = fairness.triage(gold, scores, _none(gold))
    assert found.base.value == 0.25
    share, among, change = found.tops[0]
    assert (share, among.value, change.value) == (0.1, 1.0, 0.75)
    assert fairness.triage(_set(([], "none")), scores.take([0]), _none(gold)) == []


def test_the_sentence_that_drove_a_score_is_the_one_without_which_it_falls():
    def score(texts):
        return np.array([[0.9 if "hiring" in text else 0.1] for text in texts])

    (found,) = drivers(score, [("", "Hello Ana. Are you hiring? Bye.")], [0], [True])
    assert found.sentence == "Are you hiring?"
    assert found.moved == pytest.approx(0.8)


def test_mistakes_are_grouped_by_cause_with_a_redacted_sentence(classifier):
    messages = (
        LabelledMessage(
            id="trap", text="Hello. Dana Wells at Acme is hiring, call +44 20 7946 0000."
        ),
        LabelledMessage(
            id="two",
            text="How does it work? An intro?",
            primary="influence",
            asks=("information", "influence"),
        ),
        LabelledMessage(id="quoted", text="No.\n> are you hiring?"),
        LabelledMessage(id="right", text="Thanks."),
        LabelledMessage(id="split", text="hiring again now!", targets=(0.0, 0.0, 0.5)),
    )
    gold = GoldSet(messages, LABELS, multi_label=True)
    scores = _scores(gold, classifier.predict_proba(gold.texts))
    found = find_mistakes(
        gold, scores, classifier.predict_proba, {"job_lead": ["hiring"], "information": []}
    )
    assert found.wrong == 4
    causes = {m.id: m.cause for m in found.shown}
    assert causes == {
        "trap": "staffing and candidates at work",
        "two": "second ask missed",
        "quoted": "quoted remains",
        "split": "label doubtful",
    }
    trap = next(m for m in found.shown if m.id == "trap")
    assert "Wells" not in trap.sentence
    assert "7946" not in trap.sentence
    assert "hiring" in trap.sentence


def test_no_mistakes_is_no_error(classifier):
    gold = GoldSet((LabelledMessage(id="a", text="Thanks."),), LABELS, multi_label=True)
    scores = _scores(gold, classifier.predict_proba(gold.texts))
    assert find_mistakes(gold, scores, classifier.predict_proba, {}).shown == []
