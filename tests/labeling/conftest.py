import pytest

from pipeline.settings import Task


@pytest.fixture
def task() -> Task:
    return Task(labels=("information", "influence", "job_lead"))


@pytest.fixture
def intents() -> Task:
    return Task(labels=("refund", "card", "other"), multi_label=False)
