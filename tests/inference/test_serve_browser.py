"""The page in a real headless Chromium: by keyboard, on a phone, for a screen reader."""

import shutil

import pytest

import pipeline
from tests.inference.conftest import running

CHROMIUM = shutil.which("chromium")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.timeout(300),
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed"),
]
ASKING = "Hello Ms Vale,\n\ncould you introduce me to the museum? It rained all week.\n\nSee you."


@pytest.fixture
def chromium():
    from playwright.sync_api import sync_playwright

    flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=flags, timeout=120_000)
        yield browser
        browser.close()


def test_paste_and_read_the_answer_with_keys_only_at_two_widths(
    clf: pipeline.Classifier, chromium, tmp_path
) -> None:
    from axe_playwright_python.sync_playwright import Axe

    from pipeline.inference.serve.app import create_app

    problems = []
    looks = {
        "desktop": {"color_scheme": "light", "viewport": {"width": 1200, "height": 900}},
        "phone": {"color_scheme": "dark", "viewport": {"width": 390, "height": 844}},
    }
    with running(create_app(clf)) as address:
        for name, look in looks.items():
            page = chromium.new_context(**look).new_page()
            page.set_default_timeout(120_000)
            page.on("pageerror", lambda error: problems.append(str(error)))
            page.on("console", lambda line: problems.append(line.text))
            page.on("request", lambda r: problems.append(r.url) if address not in r.url else None)
            page.goto(address)
            assert page.evaluate("document.activeElement.id") == "text"
            page.keyboard.insert_text(ASKING)
            page.keyboard.press("Control+Enter")
            page.wait_for_selector("#answer")
            assert page.inner_text("#headline") == "It asks for influence."
            assert "introduce me to the museum?" in page.inner_text("mark")
            page.wait_for_selector("#answer:focus")
            assert (
                page.evaluate("document.documentElement.scrollWidth") <= look["viewport"]["width"]
            )
            found = Axe().run(page)
            assert found.violations_count == 0, found.generate_report()
            page.screenshot(path=tmp_path / f"{name}.png", full_page=True)
    assert [p for p in problems if not p.startswith("data:")] == []


def test_it_works_without_scripts(clf: pipeline.Classifier, chromium) -> None:
    from pipeline.inference.serve.app import create_app

    with running(create_app(clf)) as address:
        page = chromium.new_context(java_script_enabled=False).new_page()
        page.set_default_timeout(120_000)
        page.goto(address)
        page.fill("#text", "any openings in the harbour?")
        page.press("#subject", "Enter")
        page.wait_for_selector("#answer")
        assert page.inner_text("#headline") == "It asks for job lead."
