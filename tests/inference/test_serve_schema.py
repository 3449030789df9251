"""schemathesis asks the server everything its OpenAPI document allows, and much that it forbids."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

import pipeline
from tests.inference.conftest import running

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(
        not importlib.util.find_spec("schemathesis"),
        reason="schemathesis is not installed; `make test-cluster` installs it",
    ),
]


@pytest.mark.parametrize("token", ["", "secret"])
def test_schemathesis_finds_nothing(token: str, clf: pipeline.Classifier, tmp_path: Path) -> None:
    from pipeline.inference.serve.app import create_app

    with running(create_app(clf, token=token)) as address:
        command = [
            *(sys.executable, "-m", "schemathesis.cli", "run", f"{address}/openapi.json"),
            *("--checks", "all", "--max-examples", "40", "--workers", "1", "--seed", "1"),
            *("--header", f"Authorization: Bearer {token}") * bool(token),
        ]
        run = subprocess.run(command, capture_output=True, text=True, timeout=500, cwd=tmp_path)
    assert run.returncode == 0, run.stdout[-6000:] + run.stderr[-2000:]
