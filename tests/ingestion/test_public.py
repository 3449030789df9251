"""Public mail: cutting, fetching from a server that misbehaves, local copies, remembering."""

import hashlib
import json
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

import pytest
import yaml

from pipeline.errors import InputError
from pipeline.ingestion import fetch as fetching
from pipeline.ingestion import public
from pipeline.ingestion.cuts import CutError, cut
from pipeline.settings import parse_settings

COMMIT = "c" * 40
QMD = """---
title: "#jobs"
---

**Ada** (10:00:00):
> Is anyone hiring?<br>See <https://a.example/jobs|the list> &amp; tell me
> more
"""
CHAT = """######general

1/2/2017 2:24 AM

 **ada** :

 >Hello <!channel>, who could introduce me to <https://b.example>?

 >A second line
1/3/2017 2:24 AM
"""
FILES = {
    ("a/letters", "train/one.subject"): b"Could we   talk?\n\n\n\nAda\n@subject\nA talk\n@ann0\nB",
    ("a/kaminski", "ham/1.txt"): b"Subject: a talk\r\nvince ,\r\ncan we talk ?\r\n"
    b"- - - - - - - - forwarded by ada\r\nold words\r\n",
    ("a/lines", "jobs.qmd"): QMD.encode(),
    ("a/dated", "general chat.md"): CHAT.encode(),
    ("a/zulip", "t/q.E2.3F.json"): json.dumps(
        [{"id": 4, "content": "<p>How does <code>simp</code>\n work &amp; why?</p>"}]
    ).encode(),
}
WANTED = [
    ("a/letters", "train/one.subject", "", "Could we talk?\n\nAda"),
    ("a/kaminski", "ham/1.txt", "", "vince ,\ncan we talk ?"),
    ("a/lines", "jobs.qmd", "L6-L7",
     "Is anyone hiring?\nSee https://a.example/jobs & tell me\nmore"),
    ("a/dated", "general chat.md", "L7-L10",
     "Hello <!channel>, who could introduce me to https://b.example?\nA second line"),
    ("a/zulip", "t/q.E2.3F.json", "4", "How does simp work & why?"),
]  # fmt: skip
RULES = {
    "a/letters": "aeslc",
    "a/kaminski": "kaminski",
    "a/lines": "quoted_lines",
    "a/dated": "dated_lines",
    "a/zulip": "zulip",
}


class Server:
    """Serves FILES like an archive; `script` maps a path to answers given before the real one."""

    def __init__(self) -> None:
        self.script: dict[str, list[tuple[int, dict[str, str]]]] = {}
        self.asked: Counter[str] = Counter()
        self.agents: set[str] = set()
        self.files = {f"/{s}/{COMMIT}/{p}": data for (s, p), data in FILES.items()}
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                path = unquote(self.path)
                server.asked[path] += 1
                server.agents.add(self.headers["User-Agent"])
                if server.script.get(path):
                    status, headers = server.script[path].pop(0)
                    body = b"later"
                else:
                    body = server.files.get(path, b"")
                    status, headers = (200, {}) if path in server.files else (404, {})
                self.send_response(status)
                for name, value in {"Content-Length": str(len(body)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.http.server_port}/{{source}}/{{commit}}/{{path}}"

    def path(self, number: int) -> str:
        return f"/{WANTED[number][0]}/{COMMIT}/{WANTED[number][1]}"


class Notes:
    """A progress that keeps its lines."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, line: str) -> None:
        self.lines.append(line)

    def task(self, name, total=None):
        from pipeline.progress import SILENT

        return SILENT.task(name, total)


@pytest.fixture
def server():
    server = Server()
    yield server
    server.http.shutdown()
    server.http.server_close()


@pytest.fixture
def settings(tmp_path):
    """Settings whose public folder names the five synthetic texts; the url leads nowhere."""

    def build(url: str = "http://127.0.0.1:9/{path}", mode: str = "auto"):
        folder = tmp_path / "public"
        folder.mkdir(exist_ok=True)
        sources = {
            source: {"commit": COMMIT, "cut": rule, "channel": "forum"}
            for source, rule in RULES.items()
        }
        (folder / "sources.yaml").write_text(yaml.safe_dump({"url": url, "sources": sources}))
        lines = [
            {"id": f"q{n}", "source": source, "commit": COMMIT, "path": path, "loc": loc,
             "sha256": hashlib.sha256(text.encode()).hexdigest(), "asks": []}
            for n, (source, path, loc, text) in enumerate(WANTED)
        ]  # fmt: skip
        (folder / "labels.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        return parse_settings(
            {
                "name": "t",
                "task": {"labels": ["a", "b"]},
                "data": {
                    "messages": ["m.jsonl"],
                    "public": mode,
                    "public_dir": str(folder),
                    "processed": str(tmp_path / "processed"),
                },
            }
        )

    return build


@pytest.mark.parametrize(("source", "path", "loc", "text"), WANTED)
def test_every_cut(source, path, loc, text):
    assert cut(RULES[source], FILES[source, path], loc) == text


@pytest.mark.parametrize(
    ("rule", "data", "loc"),
    [("zulip", b"[]", "4"), ("zulip", b"<html>", "4"), ("zulip", b'{"id": 4}', "4"),
     ("quoted_lines", b"> x", "7"), ("dated_lines", b"> x", "")],
)  # fmt: skip
def test_a_place_that_is_not_there(rule, data, loc):
    with pytest.raises(CutError):
        cut(rule, data, loc)


def test_kaminski_mail_that_is_all_forward_stays_whole():
    mail = b"Subject: fw\n- - - - - original message - - - - -\nfrom : ada\nhello"
    assert cut("kaminski", mail, "").endswith("hello")


def test_fetches_all_and_then_asks_no_more(server, settings):
    notes = Notes()
    path = public.obtain(settings(server.url), progress=notes)
    found = list(public.messages(path))
    assert [m.text for m in found] == [text for *_, text in WANTED]
    assert [m.id for m in found] == ["q0", "q1", "q2", "q3", "q4"]
    assert found[2].source == "a/lines"
    assert found[2].position == "jobs.qmd#L6-L7"
    assert found[2].channel == "forum"
    assert found[2].extra == {"origin": "public"}
    assert notes.lines == ["Public mail: all 5 texts are there."]
    assert len(server.agents) == 1
    assert server.agents.pop().startswith("outreach-intent/")
    before = sum(server.asked.values())
    assert public.obtain(settings(server.url), progress=notes) == path
    assert sum(server.asked.values()) == before
    assert len(notes.lines) == 1


def test_a_busy_server_is_waited_for(server, settings):
    server.script[server.path(1)] = [(503, {}), (429, {"Retry-After": "1"})]
    server.script[server.path(2)] = [(429, {"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"})]
    path = public.obtain(settings(server.url))
    assert len(list(public.messages(path))) == 5
    assert server.asked[server.path(1)] == 3


def test_a_server_that_asks_for_too_long_a_wait_is_left(server, settings):
    server.script[server.path(3)] = [(429, {"Retry-After": "3600"})] * 9
    notes = Notes()
    path = public.obtain(settings(server.url), progress=notes)
    assert [m.id for m in public.messages(path)] == ["q0", "q1", "q2", "q4"]
    assert "4 of 5 texts are there (1 not there)" in notes.lines[0]
    assert server.asked[server.path(3)] == 1


def test_other_content_is_counted_and_asked_for_again(server, settings):
    good = server.files[server.path(0)]
    server.files[server.path(0)] = b"<html>Please log in</html>"
    del server.files[server.path(4)]
    notes = Notes()
    path = public.obtain(settings(server.url), progress=notes)
    assert [m.id for m in public.messages(path)] == ["q1", "q2", "q3"]
    assert "1 not there, 1 other content" in notes.lines[0]
    server.files[server.path(0)] = good
    asked = server.asked[server.path(1)]
    public.obtain(settings(server.url), now=True)
    assert [m.id for m in public.messages(path)] == ["q0", "q1", "q2", "q3"]
    assert server.asked[server.path(1)] == asked


def test_without_a_network_auto_goes_on_and_remembers(settings, monkeypatch):
    notes = Notes()
    assert public.obtain(settings(), progress=notes) is None
    assert "0 of 5 texts are there (5 unreachable)" in notes.lines[0]
    assert "macro-F1" in notes.lines[0]

    def fail(*_: object, **__: object) -> None:
        raise AssertionError("asked the network again")

    monkeypatch.setattr(fetching, "fetch", fail)
    assert public.obtain(settings(), progress=notes) is None


def test_asked_for_and_not_there_is_an_error(settings):
    with pytest.raises(InputError, match=r"0 of 5 texts .* --from"):
        public.obtain(settings(), now=True)
    with pytest.raises(InputError, match="0 of 5 texts"):
        public.obtain(settings(mode="yes"))


def test_public_no_does_not_try(settings, tmp_path):
    assert public.obtain(settings(mode="no")) is None
    assert not (tmp_path / "processed").exists()


def test_a_killed_fetch_goes_on(server, settings, monkeypatch):
    fetch = fetching._Fetcher.fetch

    def stop_at_third(self, file, attempts=fetching.ATTEMPTS):
        if sum(server.asked.values()) >= 3:
            raise KeyboardInterrupt
        return fetch(self, file, attempts)

    with monkeypatch.context() as patch:
        patch.setattr(fetching._Fetcher, "fetch", stop_at_third)
        patch.setattr(fetching, "CONNECTIONS", 1)
        with pytest.raises(KeyboardInterrupt):
            public.obtain(settings(server.url))
    path = public.obtain(settings(server.url))
    assert len(list(public.messages(path))) == 5
    assert set(server.asked.values()) == {1}


def test_from_a_file_and_from_a_folder(settings, tmp_path):
    copy = tmp_path / "texts.jsonl"
    rows = [{"id": f"q{n}", "text": text, "channel": "x"} for n, (*_, text) in enumerate(WANTED)]
    rows[1]["text"] += "!"
    copy.write_text("".join(json.dumps(row) + "\n" for row in rows[:4]))
    notes = Notes()
    path = public.obtain(settings(), local=copy, progress=notes)
    assert [m.id for m in public.messages(path)] == ["q0", "q2", "q3"]
    assert (
        "1 not there, 1 other content" in notes.lines[0]
        or "1 other content, 1 not there" in (notes.lines[0])
    )
    for (source, name), data in FILES.items():
        file = tmp_path / "copy" / source / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
    path = public.obtain(settings(), local=tmp_path / "copy")
    assert len(list(public.messages(path))) == 5


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("labels.jsonl", '{"id": "q0"}\n', "expected lines with id, source"),
        ("labels.jsonl", "no json\n", "expected lines with id, source"),
        ("sources.yaml", "url: x\n", "expected 'url' and 'sources'"),
    ],
)
def test_unusable_descriptions_are_refused(settings, tmp_path, name, content, said):
    made = settings()
    (tmp_path / "public" / name).write_text(content)
    with pytest.raises(InputError, match=said):
        public.obtain(made)


def test_a_path_out_of_the_archive_is_refused(settings, tmp_path):
    made = settings()
    labels = tmp_path / "public" / "labels.jsonl"
    labels.write_text(labels.read_text().replace("jobs.qmd", "../../../../etc/passwd"))
    with pytest.raises(InputError, match="leads out of its archive"):
        public.obtain(made)


def test_the_shipped_description_is_usable():
    folder = Path(__file__).parents[2] / "data" / "public"
    archives = public._archives(folder / "sources.yaml")
    assert len(public._wanted(folder / "labels.jsonl", archives)) == 2948
