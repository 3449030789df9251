"""Another task with the same code: one of 77 labels a message, and nothing this project's own."""

import jsonschema
import numpy as np
import pytest
from sklearn.metrics import f1_score

from pipeline.evaluation.analysis import Model, analyse
from pipeline.evaluation.gold import GoldSet, Scores
from pipeline.evaluation.report import write_card, write_page
from pipeline.evaluation.schema import schema
from pipeline.records import LabelledMessage
from pipeline.settings import Evaluation

LABELS = tuple(f"intent_{i}" for i in range(77))


@pytest.fixture(scope="module")
def analysed():
    generator = np.random.default_rng(0)
    places = np.r_[np.arange(77), generator.integers(0, 77, 77)]
    messages = tuple(
        LabelledMessage(id=str(i), text=f"query {i}", asks=(LABELS[p],), primary=LABELS[p])
        for i, p in enumerate(places)
    )
    gold = GoldSet(messages, LABELS, multi_label=False)
    raw = generator.random((len(places), 77))
    raw[np.arange(len(places)), places] += 0.95 * (generator.random(len(places)) < 0.7)
    probabilities = raw**8 / (raw**8).sum(axis=1, keepdims=True)
    scores = Scores.decide(probabilities, None, multi_label=False)

    def score(texts):
        return np.full((len(texts), 77), 1 / 77)

    model = Model("bank", LABELS, False, np.full(77, 0.5), score)
    return analyse(gold, model, {"model": scores}, Evaluation(bootstrap=20), 0)


def test_the_figures_of_77_labels(analysed):
    flat = analysed.flat()
    gold, scores = analysed.gold, analysed.scores
    assert gold.classes == LABELS  # there is no none
    assert flat["model.all.primary.macro_f1"] == pytest.approx(
        f1_score(gold.primary, scores.primary, average="macro"), abs=1e-6
    )
    assert flat["model.all.exact_match"] == flat["model.all.primary.accuracy"]
    assert "model.all.ask.intent_76.f1" in flat
    assert not any(key.startswith(("fairness", "behaviour", "triage")) for key in flat)
    jsonschema.validate(flat, schema())


def test_the_page_of_77_labels_stays_small(analysed, tmp_path):
    write_page(tmp_path / "index.html", analysed, "bank", np.full(77, 0.5))
    write_card(tmp_path / "card.md", analysed)
    page = (tmp_path / "index.html").read_text()
    assert page.count('<th scope="row">intent_') >= 77
    assert len(page) < 500_000
    assert "thin-line" not in page
