"""Two processes train one model together, started as users start them."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pipeline.ingestion.stage import ingest
from pipeline.labeling.stage import label
from pipeline.settings import Settings
from pipeline.store import read_manifest
from tests.conftest import invented_messages, write_jsonl

LAUNCHERS = {
    "torchrun": ["torch.distributed.run", "--standalone", "--nproc-per-node", "2"],
    "accelerate": ["accelerate.commands.launch", "--multi_gpu", "--num_processes", "2"],
}


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_two_processes_train_one_model(
    make_settings: Callable[..., Settings], tmp_path: Path, launcher: str
) -> None:
    settings = make_settings(
        tmp_path,
        training={
            "frozen_layers": 1,
            "token_share": [0.5, 1],
            "epochs": 3,
            "batch_size": 4,
            "learning_rate": 4e-3,
        },
    )
    rows = invented_messages(1600)  # so many that validation takes more than one batch
    write_jsonl(tmp_path / "messages.jsonl", rows)
    write_jsonl(
        tmp_path / "annotations.jsonl",
        [{"message": r["id"], "annotator": "a", "asks": r["asks"]} for r in rows],
    )
    ingest(settings)
    label(settings)
    config = tmp_path / "settings.yaml"
    config.write_text(settings.model_dump_json(), encoding="utf-8")  # JSON is YAML
    command = [
        *(sys.executable, "-m", *LAUNCHERS[launcher]),
        *("-m", "pipeline", "train", "--config", str(config)),
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("train ") == 1, "only the first process speaks"
    assert read_manifest(settings.model_dir)["counts"]["validation_macro_f1"] > 0.5
    assert f"{settings.model_dir}" in done.stdout
    import pipeline

    clf = pipeline.load(settings.model_dir)
    assert np.isfinite(clf.predict_proba(["could you introduce me to the museum?"])).all()
    again = subprocess.run(command, capture_output=True, text=True)
    assert again.returncode == 0, again.stderr
    assert "unchanged, skipped" in again.stdout


def test_all_stages_together_refuse_several_processes(tmp_path: Path) -> None:
    from typer.testing import CliRunner

    from pipeline.cli.app import app
    from pipeline.errors import SettingsError

    result = CliRunner().invoke(app, ["run"], env={"WORLD_SIZE": "2"})
    assert result.exit_code == SettingsError.exit_code
    assert "torchrun" in result.output
