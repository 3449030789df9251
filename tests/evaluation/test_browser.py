"""The report in a real browser: nothing runs, nothing overflows, axe-core finds nothing."""

import json
import shutil

import pytest

from pipeline.evaluation.stage import evaluate

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(
        shutil.which("chromium") is None,
        reason="Debian's chromium is not installed (apt-get install chromium)",
    ),
]

INJECTION = (
    "<script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\"> "
    "</blockquote><svg onload=\"document.title='owned'\"> are you hiring?"
)


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(
            executable_path=shutil.which("chromium"),
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        yield opened
        opened.close()


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 390)])
def test_the_report_fits_and_is_accessible(browser, report, width, scheme):
    from axe_playwright_python.sync_playwright import Axe

    with browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme, bypass_csp=True
    ) as context:
        page = context.new_page()
        page.set_default_timeout(100_000)  # a busy machine may take its time
        asked = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto(f"file://{report / 'index.html'}")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert len(asked) == 1  # the page itself
        found = Axe().run(page).response["violations"]
        assert [(v["id"], v["nodes"][0]["html"][:120]) for v in found] == []


def test_markup_in_a_message_is_harmless(browser, settings, tmp_path):
    data = tmp_path / "hostile.jsonl"
    data.write_text(json.dumps({"id": INJECTION, "text": INJECTION, "asks": []}) + "\n")
    quick = settings.evaluation.model_copy(update={"bootstrap": 0, "swapped_messages": 0})
    settings = settings.model_copy(update={"evaluation": quick})
    folder = evaluate(settings, data=data, output=tmp_path / "report").output_dir
    with browser.new_context() as context:
        page = context.new_page()
        page.set_default_timeout(100_000)  # a busy machine may take its time
        page.goto(f"file://{folder / 'index.html'}")
        assert page.title().startswith("How well")
        assert page.locator("blockquote").count() == 1
        assert page.locator("script, img, svg[onload]").count() == 0
        assert "<script>" in page.locator("blockquote").inner_text()
