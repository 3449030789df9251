import pytest

from pipeline.errors import DataError
from pipeline.labeling.agreement import agreement, disputed
from pipeline.records import Annotation
from pipeline.settings import Task

from .projects import answer

TASK = Task(labels=("information", "influence", "job_lead"))


def test_full_agreement_is_one_and_the_interval_too():
    found = agreement([answer(i, who) for i in range(20) for who in ("ada", "ben")], TASK)
    assert found.messages == 20
    for figure in (*found.alpha.values(), found.kappa["ada", "ben"]):
        assert (figure.value, figure.low, figure.high) == (1, 1, 1)


def test_figures_equal_those_worked_out_by_hand():
    """Ten messages; the two differ on two of them: 4+4 agreements, 2 disagreements."""
    ada = ["influence"] * 5 + ["job_lead"] * 5
    ben = ["influence"] * 4 + ["job_lead"] * 5 + ["influence"]
    log = [
        Annotation(f"m{i}", who, (ask,), ask)
        for who, asks in (("ada", ada), ("ben", ben))
        for i, ask in enumerate(asks)
    ]
    found = agreement(log, TASK, seed=1)
    assert found.kappa["ada", "ben"].value == pytest.approx(0.6)  # (0.8 - 0.5) / 0.5
    assert found.alpha["primary"].value == pytest.approx(1 - 0.2 / (200 / 380))
    figure = found.alpha["primary"]
    assert figure.low < figure.value < figure.high <= 1
    assert agreement(log, TASK, seed=1) == found


def test_machines_and_answers_after_a_suggestion_do_not_count():
    log = [answer(0), answer(0, "ben", suggested=True), answer(0, "llm:x", role="llm")]
    with pytest.raises(DataError, match="no agreement to measure"):
        agreement(log, TASK)
    assert agreement(log, TASK, machines=True).messages == 1


def test_the_most_disputed_come_first():
    log = [answer(i, who) for i in range(3) for who in ("ada", "ben")]
    log += [answer(3), answer(3, "ben", asks=("influence",)), answer(3, "cy")]
    log += [answer(4), answer(4, "ben", asks=("job_lead",))]
    assert [item.message for item in disputed(log)] == ["m4", "m3"]
    assert "ben: job_lead" in disputed(log)[0].detail
