"""Near-duplicate groups."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.ingestion.dedupe import grams_of, sketch, templates

TEMPLATE = (
    "Hi {0}, I came across your profile and was impressed by the work you do at {1}. I am looking "
    "for a role in marketing and wondered whether {1} has any openings for someone with {2} years "
    "behind them. I would be glad to send my CV. Best, Robin"
)


def test_a_template_with_other_names_is_one_group(tmp_path):
    texts = [
        TEMPLATE.format("Ana", "Acme Labs", 3),
        "Could you introduce me to your editor?",
        TEMPLATE.format("Jean-Luc Moreau", "Globex", 12),
        TEMPLATE.format("Priya", "Initech", 5) + " PS hello.",
        "What is it like to teach in a small school, and would you do it again?",
        "Could you introduce me to your editor?",
    ]
    assert templates(texts, 0.8, tmp_path).tolist() == [0, 1, 0, 0, -1, 1]
    assert not list(tmp_path.iterdir())


def test_no_texts_and_empty_texts(tmp_path):
    assert templates([], 0.8, tmp_path).tolist() == []
    assert templates(["", "!!", "hi"], 0.8, tmp_path).tolist() == [-1, -1, -1]


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.text(alphabet="abc ", max_size=30), max_size=12),
    st.sampled_from([0.5, 0.8, 1.0]),
)
def test_groups_are_deterministic_and_name_their_first(tmp_path_factory, texts, similarity):
    first = templates(texts, similarity, tmp_path_factory.mktemp("a"))
    again = templates(texts, similarity, tmp_path_factory.mktemp("b"))
    assert np.array_equal(first, again)
    for index, group in enumerate(first):
        assert group == -1 or (group <= index and first[group] == group)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.text(alphabet="ab 1.", max_size=30), max_size=6))
def test_a_sketch_depends_on_its_text_alone(texts):
    together = sketch(texts, 0.8)
    alone = [sketch([text], 0.8) for text in texts]
    assert together.grams_by_text() == [one.grams.tobytes() for one in alone]
    assert together.bands.tolist() == [one.bands[0].tolist() for one in alone]


@pytest.mark.parametrize("similarity", [0.6, 0.8, 0.9])
def test_pairs_at_the_threshold_are_found_and_others_not(tmp_path, similarity):
    rng = np.random.default_rng(5)
    words = [f"w{chr(97 + i // 26)}{chr(97 + i % 26)}" for i in range(600)]
    texts, expected = [], []
    for pair in range(150):
        base = list(rng.choice(words, 60))
        other = list(base)
        for place in rng.choice(60, pair % 12, replace=False):
            other[place] = str(rng.choice(words))
        texts += [" ".join(base), " ".join(other)]
        a, b = (set(grams_of(t).tolist()) for t in texts[-2:])
        expected.append(len(a & b) / len(a | b) >= similarity)
    groups = templates(texts, similarity, tmp_path)
    found = [groups[2 * i] == groups[2 * i + 1] != -1 for i in range(150)]
    assert all(wanted or not got for wanted, got in zip(expected, found, strict=True))
    assert sum(found) >= 0.97 * sum(expected)
