"""Our tasks in Label Studio itself: taken in, labelled there, and given back.

`make check-label-studio` installs it in an environment of its own and runs these; without it the
tests are skipped.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest

from pipeline.labeling.exchange.files import export_annotations, import_annotations
from pipeline.labeling.exchange.label_studio import interface

from .test_exchange import ANNOTATIONS, MESSAGES, TASK

ROOT = Path(__file__).parents[2]
PROGRAM = shutil.which("label-studio", path=str(ROOT / ".venv-label-studio/bin"))
TOKEN = "0123456789abcdef0123456789abcdef01234567"
IDS = [m.id for m in MESSAGES]


def test_its_package_accepts_our_interface_and_every_result(tmp_path, intents):
    sdk = pytest.importorskip("label_studio_sdk.label_interface")
    for task, given in ((TASK, ANNOTATIONS), (intents, [])):
        checker = sdk.LabelInterface(interface(task))
        checker.validate()
        path = tmp_path / "tasks.json"
        export_annotations(path, "label-studio", MESSAGES, given, task)
        for row in json.loads(path.read_text(encoding="utf-8")):
            assert checker.validate_task({"data": row["data"]})
            assert all(checker.validate_annotation(a) for a in row["annotations"])
            for prediction in row["predictions"]:
                assert checker.validate_prediction(prediction, return_errors=True) == []


@pytest.fixture(scope="module")
def label_studio(tmp_path_factory):
    """A running server with a project in it, as an HTTP client of that project's paths."""
    if PROGRAM is None:
        pytest.skip("Label Studio is not installed; make check-label-studio does that")
    import httpx

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder = tmp_path_factory.mktemp("label-studio")
    address = f"http://127.0.0.1:{port}"
    settings = {
        "LABEL_STUDIO_BASE_DATA_DIR": str(folder),
        "LABEL_STUDIO_ENABLE_LEGACY_API_TOKEN": "true",
        "LABEL_STUDIO_HOST": address,
        "COLLECT_ANALYTICS": "False",
        "LATEST_VERSION_CHECK": "False",
        "SENTRY_DSN": "",
        "FRONTEND_SENTRY_DSN": "",
    }
    command = [PROGRAM, "start", "--no-browser", "--port", str(port), "--internal-host"]
    command += ["127.0.0.1", "--username", "ada@example.org", "--password", "not-a-secret"]
    with (folder / "server.log").open("wb") as log:
        server = subprocess.Popen(
            [*command, "--user-token", TOKEN],
            env={**os.environ, **settings, "PYTHONPATH": ""},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        with httpx.Client(
            base_url=address, headers={"Authorization": f"Token {TOKEN}"}, timeout=120
        ) as client:
            until = time.monotonic() + 900  # its first start fills a database
            while server.poll() is None and time.monotonic() < until:
                try:
                    if client.get("/health").status_code == 200:
                        break
                except httpx.TransportError:
                    time.sleep(1)
            yield client
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(30)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_it_takes_our_tasks_and_what_people_do_there_comes_back(tmp_path, label_studio):
    def ask(method, path, content=None):
        answer = label_studio.request(method, path, json=content)
        assert answer.is_success, answer.text[:500]
        return answer.json() if answer.content else None

    path = tmp_path / "tasks.json"
    export_annotations(path, "label-studio", MESSAGES, ANNOTATIONS, TASK)
    project = ask("POST", "/api/projects", {"title": "Outreach", "label_config": interface(TASK)})
    home = f"/api/projects/{project['id']}"
    taken = ask("POST", f"{home}/import", json.loads(path.read_text(encoding="utf-8")))
    assert (taken["task_count"], taken["annotation_count"], taken["prediction_count"]) == (3, 3, 2)

    def back():
        rows = ask("GET", f"{home}/export?exportType=JSON&download_all_tasks=true")
        path.write_text(json.dumps(rows), encoding="utf-8")
        found = import_annotations(path, "label-studio", IDS, TASK)
        assert not found.rejected
        return rows, {(a.message, a.annotator): a for a in found.annotations}

    rows, found = back()
    people = {(a.message, a.annotator): a for a in ANNOTATIONS if a.role in ("reader", "gold")}
    assert {key: found[key] for key in people} == people

    # Somebody there labels the message that nobody had seen, and changes an answer of ours.
    fresh = next(row for row in rows if row["data"]["outreach_id"] == "<m3@x>")
    changed = next(row for row in rows if row["data"]["outreach_id"] == "m1")["annotations"][0]
    result = {"from_name": "asks", "to_name": "text", "type": "choices"}
    both = [
        {**result, "value": {"choices": ["influence", "job_lead"]}},
        {**result, "from_name": "primary", "value": {"choices": ["job_lead"]}},
    ]
    ask("POST", f"/api/tasks/{fresh['id']}/annotations/", {"result": both})
    edited = [{**changed["result"][0], "value": {"choices": ["influence"]}}]
    ask("PATCH", f"/api/annotations/{changed['id']}/", {"result": edited})
    _, found = back()
    who = f"label-studio {changed['completed_by']}"
    theirs = found["<m3@x>", who]
    assert (theirs.asks, theirs.primary) == (("influence", "job_lead"), "job_lead")
    assert found["m1", who].asks == ("influence",)
    assert found["m1", who].time > "2026-01-02"
    assert ("m1", "ada") not in found, "what was changed there is no longer Ada's"
