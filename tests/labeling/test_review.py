"""The review page without a browser: sessions, forms, safety."""

import re

import pytest

from pipeline.errors import DataError, InputError
from pipeline.labeling import log
from pipeline.labeling.lists import Item, read_list, write_list
from pipeline.labeling.log import append, read_log
from pipeline.labeling.project import open_project
from pipeline.labeling.review.app import create_app
from pipeline.labeling.review.server import open_session, suggestions
from pipeline.records import Annotation, Message

from .projects import answer, make_project

testclient = pytest.importorskip("fastapi.testclient")


@pytest.fixture
def project(tmp_path):
    return make_project(tmp_path, count=6)


def browser(session, name="Ada", **options):
    app = create_app(session, hosts=("testserver",), **options)
    client = testclient.TestClient(app)
    if name:
        client.post("/name", data={"name": name})
    return client


def shown(page):
    found = re.search(r'name="message" value="([^"]+)"', page.text)
    return found[1] if found else None


def logged(project):
    path = project.settings.log
    return list(read_log(path, project.settings.task)) if path.exists() else []


def test_an_answer_is_in_the_log_before_the_next_message_shows(project):
    client = browser(open_session(project))
    assert shown(client.get("/message")) == "m0"
    page = client.post(
        "/message",
        data={"message": "m0", "asks": ["influence", "job_lead"], "primary": "job_lead",
              "unsure": "1", "note": " hm ", "action": "save"},
    )  # fmt: skip
    (found,) = logged(project)
    assert (found.message, found.annotator, found.role) == ("m0", "Ada", "reader")
    assert (found.asks, found.primary) == (("influence", "job_lead"), "job_lead")
    assert (found.sure, found.note, found.suggested) == (False, "hm", False)
    assert found.codebook == project.codebook.version
    assert found.codebook.startswith("1.2-")
    assert shown(page) == "m1"


def test_nothing_chosen_and_contradictions_are_asked_again(project):
    client = browser(open_session(project))
    for data in ({}, {"asks": "influence", "none": "1"}, {"asks": "money"}):
        page = client.post("/message", data={"message": "m0", "action": "save", **data})
        assert page.status_code == 422
        assert 'role="alert"' in page.text
    assert logged(project) == []


def test_undo_withdraws_and_shows_the_answer_again(project):
    client = browser(open_session(project))
    client.post("/message", data={"message": "m0", "none": "1", "note": "why", "action": "save"})
    page = client.post("/message", data={"message": "m1", "action": "undo"})
    assert shown(page) == "m0"
    assert "why</textarea>" in page.text
    assert re.search(r'name="none"[^>]* checked', page.text)
    assert [a.asks for a in logged(project)] == [(), None]


def test_skipped_messages_come_back_at_the_end(tmp_path):
    project = make_project(tmp_path, count=2)
    client = browser(open_session(project, overlap=0))
    assert shown(client.post("/message", data={"message": "m0", "action": "skip"})) == "m1"
    done = client.post("/message", data={"message": "m1", "none": "1", "action": "save"})
    assert "You skipped 1." in done.text
    assert shown(client.get("/message?skipped=true")) == "m0"
    assert "1 of 1 done, 1 skipped" in client.get("/message?skipped=true").text


def test_two_people_get_different_messages_but_for_the_overlap(tmp_path):
    project = make_project(tmp_path, count=20)
    session = open_session(project, overlap=0.2, readers=2)
    given = {"ada": [], "ben": []}
    while True:
        both = {name: session.next_for(name) for name in given}
        if not any(both.values()):
            break
        for name, message in both.items():
            if message:
                given[name].append(message.id)
                session.save(name, message.id, [])
    assert len(set(given["ada"]) & set(given["ben"])) == 4
    assert len(set(given["ada"]) | set(given["ben"])) == 20


def test_a_server_that_dies_loses_nothing(project):
    browser(open_session(project)).post(
        "/message", data={"message": "m0", "none": "1", "action": "save"}
    )
    again = open_session(open_project(project.settings))
    assert again.standing("Ada").done == 1
    assert again.next_for("Ada").id == "m1"


def test_two_servers_on_one_log_see_each_other(project):
    one, other = open_session(project, overlap=0), open_session(project, overlap=0)
    one.save("ada", "m0", [])
    assert other.next_for("ben").id == "m1"


def test_a_full_disk_is_said_and_the_form_is_kept(project, monkeypatch):
    client = browser(open_session(project))

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(log.os, "write", full)
    data = {"message": "m0", "asks": "influence", "note": "long note", "action": "save"}
    page = client.post("/message", data=data)
    assert page.status_code == 507
    assert "Not saved" in page.text
    assert "No space left" in page.text
    assert re.search(r'value="influence" checked', page.text)
    assert "long note</textarea>" in page.text
    monkeypatch.undo()
    assert shown(client.post("/message", data=data)) == "m1"


def test_suggestions_are_shown_only_when_asked_for_and_that_is_kept(project):
    said = [Annotation("m0", "rule:intro", ("influence",), "influence", role="rule")]
    append(project.settings.log, said)
    project = open_project(project.settings)
    client = browser(open_session(project), suggest=suggestions(project))
    assert "rule:intro" not in client.get("/message").text
    page = client.post("/message", data={"message": "m0", "asks": "job_lead", "action": "suggest"})
    assert "rule:intro</b>: influence" in page.text
    assert re.search(r'value="job_lead" checked', page.text)
    client.post("/message", data={"message": "m0", "none": "1", "suggested": "1", "action": "save"})
    assert logged(project)[-1].suggested
    assert suggestions(make_project(project.settings.data.processed.parent / "other")) is None


def test_text_and_names_are_escaped(tmp_path):
    project = make_project(tmp_path)
    evil = Message("<i>&m", "<script>alert(1)</script>", "<b>subject</b>", channel="<u>")
    project.messages.insert(0, evil)
    client = browser(open_session(project), name="")
    page = client.post("/name", data={"name": "<x>"})
    assert page.status_code == 422
    client.post("/name", data={"name": "Zoë @ home"})
    page = client.get("/message")
    assert "Zoë @ home" in page.text
    assert "<script>alert" not in page.text
    assert "<b>subject" not in page.text
    assert "default-src &#39;none" not in page.text
    assert page.headers["content-security-policy"].startswith("default-src 'none'")
    answered = client.post("/message", data={"message": evil.id, "none": "1", "action": "save"})
    assert answered.status_code == 200
    assert logged(project)[0].message == evil.id


def test_strangers_are_kept_out(project):
    client = browser(open_session(project), name="", token="secret")
    assert client.get("/").status_code == 401
    assert client.get("/?token=wrong").status_code == 401
    assert client.get("/?token=secret").status_code == 200
    assert client.get("/").status_code == 200, "the token is kept in a cookie"
    foreign = {"sec-fetch-site": "cross-site"}
    sent = client.post("/message", data={"action": "undo"}, headers=foreign)
    assert sent.status_code == 403
    assert client.get("/", headers={"host": "evil.example"}).status_code == 400


def test_nobody_passes_for_a_machine(project):
    client = browser(open_session(project), name="rule:x")
    assert client.get("/message", follow_redirects=False).headers["location"] == "/"


def test_a_list_is_asked_again_in_its_order(tmp_path):
    project = make_project(tmp_path, annotations=[answer(i, time="2026-01-01") for i in range(40)])
    with pytest.raises(DataError, match="Nothing is left"):
        open_session(make_project(tmp_path / "x", annotations=[answer(i) for i in range(40)]))
    path = tmp_path / "list.jsonl"
    write_list(path, [Item("m7", "label_error", 0.9), Item("gone", "x", 1), Item("m3", "x", 1)])
    assert [item.message for item in read_list(path)] == ["m7", "gone", "m3"]
    session = open_session(project, messages=path, gold=True)
    assert session.plan.order == ["m7", "m3"]
    session.save("judge", "m7", ["job_lead"])
    assert session.next_for("judge").id == "m3"
    assert logged(project)[0].role == "gold"
    path.write_text('{"message": "gone"}\n{"message": "lost"}\n')
    with pytest.raises(InputError, match=r"none of its 2 message\(s\) is in this project"):
        open_session(project, messages=path)
    path.write_text('{"reason": "?"}\n')
    with pytest.raises(InputError, match="line 1: expected an object"):
        read_list(path)


def test_a_changed_codebook_asks_again_what_is_outdated(tmp_path):
    project = make_project(tmp_path, count=4)
    session = open_session(project, overlap=0)
    for i in range(3):
        session.save("Ada", f"m{i}", [])
    codebook = project.settings.label.codebook
    codebook.write_text(codebook.read_text().replace("1.2", "1.3"))
    again = open_session(open_project(project.settings), outdated=True)
    assert again.plan.order == ["m0", "m1", "m2"]
    assert again.next_for("Ada").id == "m0"
    again.save("Ada", "m0", ["influence"])
    assert again.next_for("Ada").id == "m1"
    assert logged(project)[-1].codebook.startswith("1.3-")
