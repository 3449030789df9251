"""The review page in a real headless Chromium: two people, keys only, nothing lost."""

import contextlib
import re
import shutil
import socket
import threading
import time

import pytest

from pipeline.labeling.log import append, read_log
from pipeline.labeling.project import open_project
from pipeline.labeling.review.app import create_app
from pipeline.labeling.review.server import open_session, suggestions
from pipeline.records import Annotation

from .projects import make_project

CHROMIUM = shutil.which("chromium")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.timeout(300),
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed"),
]


@contextlib.contextmanager
def served(app):
    import uvicorn

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = uvicorn.Server(uvicorn.Config(app, "127.0.0.1", port, log_level="error", ws="none"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    until = time.monotonic() + 60
    while not server.started and time.monotonic() < until:
        time.sleep(0.05)
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join(30)


@pytest.fixture
def chromium():
    from playwright.sync_api import sync_playwright

    flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=flags, timeout=120_000)
        yield browser
        browser.close()


def test_two_people_in_two_browsers_with_keys_only(tmp_path, chromium):
    project = make_project(tmp_path, count=4)
    rule = Annotation("m0", "rule:intro", ("influence",), "influence", role="rule")
    append(project.settings.log, [rule])
    project = open_project(project.settings)
    session = open_session(project, overlap=1.0, readers=2)
    problems = []

    def enter(name, **options):
        page = chromium.new_context(**options).new_page()
        page.set_default_timeout(60_000)
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda line: problems.append(line.text))
        page.goto(address)
        page.wait_for_selector("input:focus")  # keys typed before it has the focus are lost
        page.keyboard.type(name)
        page.keyboard.press("Enter")
        settle(page, "m0")
        return page

    def settle(page, message, there=""):
        """Wait until the message stands there, and `there` too, and the page listens to keys."""
        page.wait_for_selector(f'[name="message"][value="{message}"]', state="attached")
        if there:
            page.wait_for_selector(there)
        page.wait_for_selector('#answer[data-keys="ready"]')

    with served(create_app(session, suggest=suggestions(project))) as address:
        ada = enter("Ada", color_scheme="light")
        ben = enter("Ben", color_scheme="dark", viewport={"width": 390, "height": 844})
        for key in ("1", "2", "p", "d"):
            ada.keyboard.press(key)
        ada.keyboard.press("n")
        ada.keyboard.type("1 of those 2")
        ada.keyboard.press("Escape")
        ada.keyboard.press("Enter")
        settle(ada, "m1")
        ada.keyboard.press("Enter")
        settle(ada, "m1", '[role="alert"]')
        ada.keyboard.press("3")
        ada.keyboard.press("0")
        assert not ada.is_checked('[value="job_lead"][name="asks"]'), "0 clears the asks"
        ada.keyboard.press("u")
        settle(ada, "m0")
        assert ada.is_checked('[value="influence"][name="primary"]')
        assert ada.input_value('[name="note"]') == "1 of those 2"
        ada.keyboard.press("Enter")
        settle(ada, "m1")

        ben.keyboard.press("Enter")
        settle(ben, "m0", '[role="alert"]:focus')  # a phone shows what went wrong
        ben.keyboard.press("s")
        settle(ben, "m0", ".suggestion:focus")
        assert "rule:intro" in ben.inner_text(".suggestion")
        ben.keyboard.press("2")
        ben.keyboard.press("Enter")
        settle(ben, "m1")
        ben.keyboard.press("k")
        settle(ben, "m2")
        wide = ben.evaluate("document.documentElement.scrollWidth")
        assert wide <= 390, "nothing is wider than a phone"
        assert re.search("1 skipped", ben.inner_text("header"))
    assert problems == [] or all("422" in line for line in problems)
    log = [a for a in read_log(project.settings.log, project.settings.task) if a.role == "reader"]
    mine = [a for a in log if a.annotator == "Ada"]
    assert [(a.message, a.asks) for a in mine] == [
        ("m0", ("information", "influence")),
        ("m0", None),
        ("m0", ("information", "influence")),
    ]
    assert (mine[-1].primary, mine[-1].sure, mine[-1].note) == ("influence", False, "1 of those 2")
    theirs = [a for a in log if a.annotator == "Ben"]
    assert [(a.asks, a.suggested) for a in theirs] == [(("influence",), True), (None, False)]
