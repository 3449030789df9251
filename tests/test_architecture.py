"""The house holds its shape: imports point one way, and nothing heavy loads before it is needed."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent / "pipeline"
MODULES = sorted(ROOT.rglob("*.py"))

BASE = {"errors", "records", "settings", "store", "progress", "web"}
MAY_IMPORT = {
    "errors": set(),
    "progress": set(),
    "records": set(),
    "settings": {"errors", "records"},
    "store": {"errors", "records"},
    "web": {"errors"},
    "ingestion": BASE,
    "inference": BASE | {"ingestion"},
    "labeling": BASE | {"ingestion", "inference"},
    "training": BASE | {"ingestion", "inference", "labeling"},
    "evaluation": BASE | {"ingestion", "inference", "labeling", "training"},
    "stages": BASE | {"ingestion", "labeling", "training", "evaluation"},
    "cli": BASE | {"ingestion", "inference", "labeling", "training", "evaluation", "stages"},
}
HEAVY = ("torch", "transformers", "sklearn", "scipy", "matplotlib", "pyarrow", "onnxruntime")


def part(module: Path) -> str:
    return module.relative_to(ROOT).parts[0].removesuffix(".py")


def imported_parts(module: Path) -> set[str]:
    """The parts of the package that a module imports, wherever in its text it does."""
    found = set()
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            plain = node.module == "pipeline"
            names = [f"pipeline.{a.name}" for a in node.names] if plain else [node.module]
        found |= {name.split(".")[1] for name in names if name.startswith("pipeline.")}
    return found - {"__version__"}


@pytest.mark.parametrize("module", MODULES, ids=lambda module: str(module.relative_to(ROOT)))
def test_imports_point_one_way(module: Path) -> None:
    own = part(module)
    if own in ("__init__", "__main__"):  # the public names, and the command
        return
    assert imported_parts(module) <= MAY_IMPORT[own] | {own}


@pytest.mark.parametrize("module", MODULES, ids=lambda module: str(module.relative_to(ROOT)))
def test_only_the_command_line_prints_or_exits(module: Path) -> None:
    if part(module) == "cli":
        return
    calls = [n.func for n in ast.walk(ast.parse(module.read_text())) if isinstance(n, ast.Call)]
    names = {call.id for call in calls if isinstance(call, ast.Name)}
    assert not names & {"print", "exit", "quit"}


def loaded_by(code: str) -> set[str]:
    """The top-level modules that a fresh interpreter has loaded after running some code."""
    script = f"import sys\n{code}\nprint('\\n'.join(sys.modules))"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return {name.partition(".")[0] for name in run.stdout.splitlines()}


def test_importing_the_package_loads_nothing_heavy() -> None:
    assert not loaded_by("import pipeline") & {*HEAVY, "numpy", "pydantic", "typer"}


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import pipeline.cli\n"
        "sys.argv = ['outreach', '--help']\n"
        "import contextlib, io\n"
        "with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):\n"
        "    pipeline.cli.main()"
    )
    assert not loaded_by(code) & {*HEAVY, "numpy", "pydantic"}


def test_loading_a_model_needs_no_torch() -> None:
    loaded = loaded_by("import pipeline.inference.classifier, pipeline.inference.stream")
    assert not loaded & {"torch", "transformers", "sklearn", "scipy", "matplotlib"}
