"""The Python examples of README and docs run as they stand, on a real tiny model."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.settings import Settings

ROOT = Path(__file__).parent.parent
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
EXAMPLES = [
    pytest.param(found[1], id=f"{page}-{number}")
    for page in ("README.md", "docs/in-other-code.md")
    for number, found in enumerate(BLOCK.finditer((ROOT / page).read_text(encoding="utf-8")))
]


@pytest.fixture
def beside_a_model(trained: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a model where users have theirs."""
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "default").symlink_to(trained.model_dir)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("code", EXAMPLES)
def test_example(code: str, beside_a_model: Path) -> None:
    script = beside_a_model / "example.py"
    script.write_text(code, encoding="utf-8")
    if "__main__" in code:  # what starts processes must be a script of its own
        subprocess.run([sys.executable, script], check=True, timeout=100)
    else:
        exec(compile(code, script, "exec"), {"__name__": "example"})
