"""Hub ids, other code's needs of a classifier, and what `outreach export` gives away."""

import hashlib
import json
import pickle
import shutil
import threading
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from typer.testing import CliRunner

import pipeline
from pipeline.cli.app import app
from pipeline.errors import InputError, ModelFolderError
from pipeline.inference.pack import export
from pipeline.settings import Settings
from tests.conftest import invented_messages

COMMIT = "0123456789abcdef0123456789abcdef01234567"
TEXTS = [str(row["text"]) for row in invented_messages(60, seed=4)]


class Hub(BaseHTTPRequestHandler):
    """The two answers that fetching a model at a commit takes from a hub."""

    folder: Path
    asked: list[str]

    def do_HEAD(self) -> None:
        self.do_GET(body=False)

    def do_GET(self, body: bool = True) -> None:
        path = self.path.partition("?")[0]
        listing = f"/api/models/someone/asks/tree/{COMMIT}"
        files = f"/someone/asks/resolve/{COMMIT}/"
        name = path.removeprefix(files)
        if path == listing:
            found = [
                {
                    "type": "file",
                    "path": p.relative_to(self.folder).as_posix(),
                    "size": p.stat().st_size,
                    "oid": hashlib.sha1(p.read_bytes()).hexdigest(),
                }
                for p in self.folder.rglob("*")
                if p.is_file()
            ]
            self.send(200, json.dumps(found).encode(), body, "application/json")
        elif path.startswith(files) and (self.folder / name).is_file():
            self.asked.append(name)
            self.send(200, (self.folder / name).read_bytes(), body)
        else:
            self.send(404, b"", body)

    def send(self, status: int, data: bytes, body: bool, kind: str = "text/plain") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("ETag", f'"{hashlib.sha256(data).hexdigest()}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.end_headers()
        if body:
            self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def hub(trained: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Hub]]:
    """A hub on this machine that has the tiny model and, beside it, what must not be fetched."""
    import huggingface_hub.constants as constants

    folder = tmp_path / "repository"
    export(trained.model_dir, folder)
    (folder / "train.py").write_text("raise SystemExit")
    handler = type("OneHub", (Hub,), {"folder": folder, "asked": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    template = address + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "ENDPOINT", address)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    yield handler
    server.shutdown()
    server.server_close()


@pytest.mark.filterwarnings("ignore")
def test_a_hub_model_is_fetched_once_at_its_commit(
    hub: type[Hub], clf: pipeline.Classifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub.constants as constants

    fetched = pipeline.load(f"someone/asks@{COMMIT}")
    assert fetched.predict(TEXTS) == clf.predict(TEXTS)
    assert "onnx/model.onnx" in hub.asked
    assert "train.py" not in hub.asked, "nothing that could run is fetched"
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert pipeline.load(f"someone/asks@{COMMIT}").predict(TEXTS) == clf.predict(TEXTS)
    with pytest.raises(ModelFolderError, match="not on this machine"):
        pipeline.load(f"someone/other@{COMMIT}")


@pytest.mark.filterwarnings("ignore")
def test_a_hub_without_the_model_says_so(hub: type[Hub]) -> None:
    with pytest.raises(ModelFolderError, match=r"someone/asks@1{40}: the hub answered 404"):
        pipeline.load(f"someone/asks@{'1' * 40}")


@pytest.mark.parametrize("name", ["someone/asks@main", "someone/asks@0123abc"])
def test_a_hub_model_must_be_pinned(name: str) -> None:
    with pytest.raises(ModelFolderError, match="a branch or tag is not enough"):
        pipeline.load(name)


def test_what_is_no_folder_is_said(tmp_path: Path) -> None:
    with pytest.raises(ModelFolderError, match="no such model folder"):
        pipeline.load("someone/asks")


def test_threads_share_one_classifier(clf: pipeline.Classifier) -> None:
    expected = clf.predict(TEXTS)
    with ThreadPoolExecutor(8) as threads:
        for found in threads.map(clf.predict, [TEXTS] * 24):
            assert found == expected


def test_it_pickles_by_its_folder(clf: pipeline.Classifier) -> None:
    data = pickle.dumps(clf)
    assert len(data) < 1000
    assert pickle.loads(data).predict(TEXTS) == clf.predict(TEXTS)


def test_streams_take_and_give_iterators(clf: pipeline.Classifier) -> None:
    taken = 0

    def endless() -> Iterator[str]:
        nonlocal taken
        while True:
            taken += 1
            yield TEXTS[taken % len(TEXTS)]

    found = clf.stream(endless())
    assert [next(found).id for _ in range(3)] == ["0", "1", "2"]
    assert taken < 5000, "no more is read than is needed soon"


def test_an_exported_folder_gives_the_same_answers(
    trained: Settings, tmp_path: Path, clf: pipeline.Classifier
) -> None:
    result = CliRunner().invoke(
        app, ["export", str(tmp_path / "out"), "--model", str(trained.model_dir)]
    )
    assert result.exit_code == 0, result.output
    found = pipeline.load(tmp_path / "out", verify=True)
    assert found.predict(TEXTS) == clf.predict(TEXTS)
    from transformers import AutoModelForSequenceClassification

    assert AutoModelForSequenceClassification.from_pretrained(tmp_path / "out") is not None


def test_an_export_says_nothing_of_messages_or_this_machine(
    trained: Settings, tmp_path: Path
) -> None:
    names = {path.as_posix() for path in export(trained.model_dir, tmp_path / "out")}
    assert {"config.json", "outreach.json", "model.safetensors", "onnx/model.onnx"} <= names
    assert not [name for name in names if name.startswith(("report/", "runs/", "reference/"))]
    whole = b"".join((tmp_path / "out" / name).read_bytes() for name in names)
    assert str(trained.model_dir.parent).encode() not in whole
    card = (tmp_path / "out" / "README.md").read_text()
    assert "## Evaluation" in card
    assert "report/index.html" not in card


def test_a_zip_is_the_same_every_time_and_holds_the_folder(
    trained: Settings, tmp_path: Path, clf: pipeline.Classifier
) -> None:
    for name in ("a.zip", "b.zip"):
        export(trained.model_dir, tmp_path / name)
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
    zipfile.ZipFile(tmp_path / "a.zip").extractall(tmp_path)
    assert pipeline.load(tmp_path / "tiny", verify=True).predict(TEXTS) == clf.predict(TEXTS)


def test_altered_folders_and_taken_places_are_refused(trained: Settings, tmp_path: Path) -> None:
    shutil.copytree(trained.model_dir, tmp_path / "model")
    weights = tmp_path / "model" / "model.safetensors"
    content = weights.read_bytes()
    weights.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(ModelFolderError, match=r"model\.safetensors"):
        export(tmp_path / "model", tmp_path / "out")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="new or empty folder"):
        export(trained.model_dir, tmp_path / "mine")
    assert not (tmp_path / "out").exists()
