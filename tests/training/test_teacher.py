"""A stronger model's answers become part of the targets, never of what a message counts as."""

import json
from pathlib import Path

import pytest

from pipeline.errors import DataError
from pipeline.records import LabelledMessage
from pipeline.settings import Task
from pipeline.training.teacher import read_teacher, taught

TASK = Task(labels=("information", "influence", "job_lead"))
ASKING = LabelledMessage(
    "a", "Are you hiring?", asks=("job_lead",), primary="job_lead", targets=(0.0, 0.0, 1.0)
)


def test_targets_lie_between_people_and_teacher() -> None:
    other = LabelledMessage("b", "Hello.", targets=(0.0, 0.0, 0.0))
    mixed, untouched = taught([ASKING, other], {"a": (0.2, 0.0, 0.6)}, share=0.5)
    assert mixed.targets == pytest.approx((0.1, 0.0, 0.8))
    assert (mixed.asks, mixed.primary) == (ASKING.asks, ASKING.primary)
    assert untouched == other


def test_what_predict_writes_is_read(tmp_path: Path) -> None:
    file = tmp_path / "answers.jsonl"
    scores = {"job_lead": 0.9, "information": 0.1, "influence": 0.0}
    row = {"id": "a", "primary": "job_lead", "asks": ["job_lead"], "scores": scores}
    file.write_text(json.dumps(row) + "\n\n")
    assert read_teacher([file], TASK) == {"a": (0.1, 0.0, 0.9)}


def test_of_an_ensemble_the_mean_counts(tmp_path: Path) -> None:
    files = [tmp_path / "one.jsonl", tmp_path / "two.jsonl"]
    for file, score in zip(files, (0.25, 0.75), strict=True):
        scores = {"information": score, "influence": 0.0, "job_lead": 1.0}
        file.write_text(json.dumps({"id": "a", "scores": scores}) + "\n")
    assert read_teacher(files, TASK) == {"a": (0.5, 0.0, 1.0)}


@pytest.mark.parametrize(
    "line",
    [
        "{",
        "[]",
        '{"id": "a"}',
        '{"id": "a", "scores": {"information": 0.1}}',
        '{"id": "a", "scores": {"information": 2, "influence": 0, "job_lead": 0}}',
        '{"id": "a", "scores": {"information": NaN, "influence": 0, "job_lead": 0}}',
    ],
)
def test_a_line_that_is_no_answer_says_where(tmp_path: Path, line: str) -> None:
    file = tmp_path / "answers.jsonl"
    file.write_text(f"\n{line}\n")
    with pytest.raises(DataError, match="line 2: expected"):
        read_teacher([file], TASK)
