import numpy as np
import pytest

from pipeline.errors import DataError
from pipeline.evaluation.behaviour import Case, flat, load_cases, run_suite

LABELS = ("information", "influence", "job_lead")


def test_the_shipped_suite_is_large_and_well_formed():
    cases = load_cases()
    assert len(cases) >= 150
    assert len({case.texts for case in cases}) == len(cases)
    for case in cases:
        assert len(case.texts) == (1 if case.kind == "minimum" else 2)
        assert {case.primary, case.ask, *case.must, *case.must_not} <= {"", "none", *LABELS}
        assert case.kind != "minimum" or case.primary or case.must
        assert case.kind != "direction" or case.ask
        assert case.rule or case.kind == "direction"


def _run(case, probabilities):
    ((result,),) = [run_suite(LABELS, [0.5] * 3, lambda texts: np.array(probabilities), [case])]
    return result.passed == 1


@pytest.mark.parametrize(
    ("expected", "row", "passes"),
    [
        ({"primary": "none"}, [0.1, 0.1, 0.1], True),
        ({"primary": "none"}, [0.9, 0.1, 0.1], False),
        ({"must": ("influence",)}, [0.9, 0.6, 0.1], True),
        ({"must": ("influence",)}, [0.9, 0.4, 0.1], False),
        ({"primary": "information", "must_not": ("job_lead",)}, [0.9, 0.1, 0.6], False),
    ],
)
def test_minimum_functionality(expected, row, passes):
    assert _run(Case("t", "minimum", "", ("x",), **expected), [row]) == passes


def test_invariance_and_direction():
    same = Case("t", "invariance", "", ("x", "y"))
    assert _run(same, [[0.9, 0.1, 0.1], [0.6, 0.2, 0.1]])
    assert not _run(same, [[0.9, 0.1, 0.1], [0.9, 0.6, 0.1]])
    up = Case("t", "direction", "", ("x", "y"), ask="influence")
    down = Case("t", "direction", "", ("x", "y"), ask="influence", up=False)
    rows = [[0.1, 0.2, 0.1], [0.1, 0.3, 0.1]]
    assert _run(up, rows)
    assert not _run(down, rows)


def test_results_are_counted_per_kind():
    cases = [Case("a", "minimum", "", ("x",), primary="none")] * 2
    results = run_suite(LABELS, [0.5] * 3, lambda t: np.array([[0.9, 0, 0], [0, 0, 0]]), cases)
    assert flat(results) == {
        "behaviour.cases": 2,
        "behaviour.passed": 1,
        "behaviour.rate": 0.5,
        "behaviour.minimum.cases": 2,
        "behaviour.minimum.passed": 1,
        "behaviour.minimum.rate": 0.5,
    }


def test_a_model_of_another_task_is_refused():
    with pytest.raises(DataError, match="this model knows a, b"):
        run_suite(("a", "b"), [0.5] * 2, lambda texts: np.zeros((1, 2)), load_cases())
