"""All stages in a row: what runs again, what is skipped, and what an interruption leaves."""

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.settings import Settings

MakeSettings = Callable[..., Settings]


def command(settings: Settings, folder: Path, *arguments: str) -> list[str]:
    config = folder / "settings.yaml"
    config.write_text(settings.model_dump_json(), encoding="utf-8")  # JSON is YAML
    return [sys.executable, "-m", "pipeline", "run", "--config", str(config), *arguments]


def skipped(run: Any) -> dict[str, bool]:
    """Per stage whether it was skipped, from what the command printed."""
    lines = [line.split() for line in run.stdout.splitlines()]
    stages = {"ingest", "label", "train", "evaluate"}
    return {words[0]: "(unchanged," in words for words in lines if words and words[0] in stages}


def run(line: list[str]) -> Any:
    done = subprocess.run(line, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done


def test_a_second_run_skips_every_stage_and_says_how_to_go_on(
    trained: Settings, tmp_path: Path
) -> None:
    again = run(command(trained, tmp_path))
    assert skipped(again) == dict.fromkeys(["ingest", "label", "train", "evaluate"], True)
    assert "every stage was skipped" in again.stdout
    assert f"model   {trained.model_dir}" in again.stdout
    assert f"report  {trained.model_dir}/report/index.html" in again.stdout
    assert "outreach predict" in again.stdout


def test_nothing_heavy_is_loaded_to_find_that_nothing_changed(
    trained: Settings, tmp_path: Path
) -> None:
    code = (
        "import sys; from pipeline.settings import load_settings; from pipeline.stages import run\n"
        "assert all(result.skipped for result in run(load_settings(sys.argv[1])))\n"
        "print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    *_, config = command(trained, tmp_path)
    done = run([sys.executable, "-c", code, config])
    assert not {"torch", "transformers", "sklearn", "scipy", "matplotlib"} & set(
        done.stdout.split()
    )


def test_the_next_run_goes_on_after_ctrl_c_and_trains_again_for_a_new_setting(
    make_settings: MakeSettings, tmp_path: Path
) -> None:
    settings = make_settings(tmp_path, training={"epochs": 12, "patience": 12})  # time to interrupt
    line = command(settings, tmp_path)
    with subprocess.Popen(
        line,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A test run in the background of a shell ignores Ctrl-C, and so would what it starts.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as going:
        partial = settings.model_dir.with_name("tiny.partial")
        deadline = time.monotonic() + 100
        whole = "work/checkpoints/checkpoint-*/trainer_state.json"
        while len(list(partial.glob(whole))) < 2:  # the newest may not be written to its end
            assert going.poll() is None, going.stderr.read() if going.stderr else ""
            assert time.monotonic() < deadline
            time.sleep(0.02)
        going.send_signal(signal.SIGINT)
        _, said = going.communicate(timeout=60)
    assert going.returncode == 130
    assert "goes on from there" in said
    assert "Traceback" not in said
    assert not settings.model_dir.exists()
    rest = run(line)
    assert skipped(rest) == {"ingest": True, "label": True, "train": False, "evaluate": False}
    assert "Going on from checkpoint-" in rest.stderr
    assert json.loads((settings.report_dir / "metrics.json").read_text())
    changed = run([*line, "--set", "training.epochs=1"])
    assert skipped(changed) == {"ingest": True, "label": True, "train": False, "evaluate": False}
    assert "Going on" not in changed.stderr


@pytest.mark.skipif(not Path("Makefile").exists(), reason="run from the repository's root")
def test_make_lists_its_targets() -> None:
    listed = run(["make"]).stdout
    targets = set(re.findall(r"make ([a-z-]+)", listed))
    wanted = "install train ingest label evaluate predict test lint typecheck bench clean"
    assert set(wanted.split()) <= targets
