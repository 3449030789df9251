"""The server without a browser: answers, refusals, limits, metrics, and nothing said of a text."""

import json
import logging
import re
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

import pipeline
from pipeline.errors import InputError
from pipeline.settings import Settings

testclient = pytest.importorskip("fastapi.testclient")

ASKING = "Hello, could you introduce me to the museum? It rained all week."
QUOTED = f"{ASKING}\n\nOn Mon, 3 Mar 2025 at 09:12, Joss wrote:\n> are you hiring in the clinic?\n"


def client(clf: pipeline.Classifier, **options: object):
    from pipeline.inference.serve.app import create_app

    return testclient.TestClient(create_app(clf, hosts=("testserver",), **options))


def post(server, path: str, *texts: str, **more: object):
    return server.post(path, json={"messages": [{"text": text} for text in texts], **more})


def test_predictions_are_those_of_the_classifier(clf: pipeline.Classifier) -> None:
    asked = {"messages": [{"text": ASKING, "id": "a", "subject": "A question"}, {"text": "Hi."}]}
    with client(clf) as server:
        found = server.post("/predict", json=asked).json()["predictions"]
    ours = clf.predict([f"A question\n\n{ASKING}", "Hi."], ["a", "1"])
    assert [p["id"] for p in found] == ["a", "1"]
    assert [(p["primary"], tuple(p["asks"])) for p in found] == [(p.primary, p.asks) for p in ours]
    assert found[0]["scores"] == pytest.approx(ours[0].scores, abs=1e-5)


def test_messages_are_prepared_as_in_training(clf: pipeline.Classifier) -> None:
    with client(clf) as server:
        (found,) = post(server, "/explain", QUOTED).json()["explanations"]
    assert "wrote" not in found["text"]
    assert found["prediction"]["asks"] == ["influence"]
    (reason,) = found["reasons"]
    assert (
        found["text"][reason["sentence"]["start"] : reason["sentence"]["end"]]
        == (reason["sentence"]["text"])
    )
    assert "introduce me" in reason["sentence"]["text"]


def test_little_confidence_is_unsure(clf: pipeline.Classifier) -> None:
    with client(clf) as server:
        (found,) = post(server, "/predict", ASKING, min_confidence=1.0).json()["predictions"]
    assert (found["primary"], found["asks"]) == ("unsure", [])


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({}, "messages: Field required"),
        ({"messages": []}, "messages"),
        ({"messages": [{"text": ""}]}, "messages.0.text"),
        ({"messages": [{"text": 5}]}, "messages.0.text: Input should be a valid string"),
        ({"messages": [{"text": "SECRET \ud800"}]}, "messages.0.text"),
        ({"messages": [{"text": "SECRET", "sender": "x"}]}, "messages.0.sender"),
        ({"messages": [{"text": "SECRET"}] * 300}, "at most 256"),
        ({"messages": [{"text": "SECRET"}], "min_confidence": 2}, "min_confidence"),
    ],
)
def test_a_wrong_body_is_explained_and_never_repeated(
    clf: pipeline.Classifier, body: object, words: str
) -> None:
    with client(clf) as server:
        headers = {"content-type": "application/json"}
        answer = server.post("/predict", content=json.dumps(body), headers=headers)
    assert answer.status_code == 422
    assert words in answer.json()["detail"]
    assert "SECRET" not in answer.text


def test_what_is_no_json_is_refused(clf: pipeline.Classifier) -> None:
    with client(clf) as server:
        for content in (b"{", b"\xff\xfe\x00", b""):
            headers = {"content-type": "application/json"}
            answer = server.post("/predict", content=content, headers=headers)
            assert answer.status_code in (400, 422), content
            assert "detail" in answer.json()


def test_bodies_have_a_limit_with_and_without_a_length(clf: pipeline.Classifier) -> None:
    with client(clf, max_body=2000) as server:
        large = post(server, "/predict", "x" * 3000)
        streamed = server.post(
            "/predict",
            content=iter([b"x" * 1500] * 2),
            headers={"content-type": "application/json"},
        )
        form = server.post("/", data={"text": "x" * 3000})
        assert post(server, "/predict", "are you hiring?").status_code == 200
    assert [a.status_code for a in (large, streamed, form)] == [413, 413, 413]
    assert large.text == "Content Too Large"


def test_who_asks_too_often_is_told_when_to_come_again(clf: pipeline.Classifier) -> None:
    with client(clf, rate=3) as server:
        answers = [post(server, "/predict", "are you hiring?") for _ in range(5)]
        assert [a.status_code for a in answers] == [200, 200, 200, 429, 429]
        assert 1 <= int(answers[-1].headers["retry-after"]) <= 60
        assert server.get("/health").status_code == 200, "only what costs is limited"


def test_a_token_keeps_strangers_out(clf: pipeline.Classifier) -> None:
    with client(clf, token="secret") as server:
        for path in ("/", "/metrics", "/openapi.json"):
            assert server.get(path).status_code == 401, path
        refused = post(server, "/predict", ASKING)
        assert refused.status_code == 401
        assert refused.headers["www-authenticate"] == "Bearer"
        assert server.get("/health").status_code == 200
        for given, status in (("Bearer secret", 200), ("Bearer wrong", 401), ("Basic secret", 401)):
            asked = {"messages": [{"text": ASKING}]}
            headers = {"authorization": given}
            assert server.post("/predict", json=asked, headers=headers).status_code == status
        assert server.get("/?token=wrong").status_code == 401
        assert server.get("/?token=secret").status_code == 200
        assert server.get("/").status_code == 200, "a cookie keeps it"


def test_foreign_pages_cannot_reach_a_local_server(clf: pipeline.Classifier) -> None:
    with client(clf) as server:
        assert server.get("/", headers={"host": "evil.example"}).status_code == 400
        sent = server.post("/", data={"text": "x"}, headers={"sec-fetch-site": "cross-site"})
        assert sent.status_code == 403


def test_without_a_token_only_this_machine_is_served(clf: pipeline.Classifier) -> None:
    from pipeline.inference.serve.server import serve

    with pytest.raises(InputError, match="Choose a token"):
        serve(clf, host="0.0.0.0")


def test_the_page_marks_the_sentence_and_escapes_the_text(clf: pipeline.Classifier) -> None:
    with client(clf) as server:
        assert "<textarea" in server.get("/").text
        text = f"{ASKING} <script>See you.</script>"  # words the tiny model knows
        page = server.post("/", data={"text": text, "subject": '"><b>'})
        empty = server.post("/", data={"text": " "})
    assert "It asks for influence." in page.text
    assert re.search(r"<mark>[^<]*introduce me to the museum\?</mark>", page.text)
    assert "<script>See you." not in page.text
    assert '"><b>' not in page.text
    assert page.headers["content-security-policy"].startswith("default-src 'none'")
    assert (empty.status_code, "Paste a message first." in empty.text) == (422, True)


def test_metrics_count_requests_messages_and_batches(clf: pipeline.Classifier) -> None:
    with client(clf) as server:
        post(server, "/predict", ASKING, "Hi.")
        post(server, "/predict")
        server.get("/nowhere/at/all")
        page = server.get("/metrics")
    primaries = Counter(p.primary for p in clf.predict([ASKING, "Hi."]))
    assert page.headers["content-type"].startswith("text/plain; version=0.0.4")
    for line in (
        'outreach_requests_total{path="/predict",status="200"} 1.0',
        'outreach_requests_total{path="/predict",status="422"} 1.0',
        'outreach_requests_total{path="other",status="404"} 1.0',
        *(f'outreach_messages_total{{primary="{p}"}} {n}.0' for p, n in primaries.items()),
        "outreach_batch_messages_sum 2.0",
        "outreach_waiting_messages 0.0",
    ):
        assert line in page.text


def test_a_defect_is_said_without_the_message(
    clf: pipeline.Classifier, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("about SECRET")

    monkeypatch.setattr(type(clf), "predict", broken)
    with client(clf) as server, caplog.at_level(logging.ERROR):
        answer = post(server, "/predict", "SECRET")
    assert (answer.status_code, "SECRET" in answer.text) == (500, False)
    assert "RuntimeError at" in caplog.text
    assert "SECRET" not in caplog.text


def test_requests_that_come_together_are_scored_together_and_none_is_mixed_up(
    clf: pipeline.Classifier,
) -> None:
    from tests.conftest import invented_messages

    texts = [str(row["text"]) for row in invented_messages(120, seed=5)]
    expected = [p.primary for p in clf.predict(texts)]
    with client(clf) as server, ThreadPoolExecutor(24) as clients:
        answers = list(clients.map(lambda text: post(server, "/predict", text).json(), texts))
        batches = float(re.search(r"batch_messages_count (\S+)", server.get("/metrics").text)[1])
    assert [a["predictions"][0]["primary"] for a in answers] == expected
    assert batches < len(texts)


def test_openapi_says_what_is_there(clf: pipeline.Classifier) -> None:
    with client(clf) as server:
        document = server.get("/openapi.json").json()
    assert set(document["paths"]) == {"/predict", "/explain", "/health", "/metrics"}
    assert {"200", "413", "422", "429", "503"} <= set(
        document["paths"]["/predict"]["post"]["responses"]
    )


def test_a_stopped_server_answers_what_has_come(trained: Settings) -> None:
    command = [sys.executable, "-m", "pipeline", "serve", "--port", "0"]
    command += ["--model", str(trained.model_dir)]
    body = json.dumps({"messages": [{"text": ASKING}] * 50}).encode()
    head = (
        "POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n"
    )
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            port = int(re.search(r"127\.0\.0\.1:(\d+)", process.stderr.readline())[1])
            with connected(port) as stream:
                stream.sendall(head.encode())
                assert b"100 Continue" in stream.recv(1000), "the request is under way"
                process.send_signal(signal.SIGTERM)
                time.sleep(0.5)
                stream.sendall(body)
                answer = b"".join(iter(lambda: stream.recv(1 << 16), b""))
            assert answer.startswith(b"HTTP/1.1 200")
            assert answer.count(b'"primary":"influence"') == 50
            assert process.wait(30) == 0
            assert "every request that had come was answered" in process.stderr.read()
        finally:
            process.kill()


def connected(port: int) -> socket.socket:
    """A connection to a server that is starting."""
    until = time.monotonic() + 60
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port), timeout=60)
        except ConnectionRefusedError:
            assert time.monotonic() < until
            time.sleep(0.1)
