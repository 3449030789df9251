"""The example page: Transformers.js loads the model folder in a real browser, and agrees."""

import functools
import http.server
import shutil
import threading
from pathlib import Path

import pytest
from tokenizers import Tokenizer

import pipeline
from pipeline.inference.backends import has_int8
from pipeline.inference.folder import ONNX_INT8
from pipeline.settings import Settings
from pipeline.training.quantize import quantize

EXAMPLE = Path(__file__).parent.parent.parent / "examples" / "browser"
CHROMIUM = shutil.which("chromium")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed"),
    pytest.mark.skipif(
        not (EXAMPLE / "node_modules" / "@huggingface" / "transformers").exists(),
        reason="Transformers.js is not installed; `make examples/browser/node_modules` does it",
    ),
]
TEXTS = [
    "could you introduce me to the museum?",
    "Hello, are you hiring in the clinic? what is it like to work in the clinic?",
    "See you.",
]


class Quiet(http.server.SimpleHTTPRequestHandler):
    """A file server that does not talk."""

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def with_both_graphs(model: Path, to: Path) -> Path:
    """A copy that has the graph of whole numbers, which training may not have found good enough."""
    shutil.copytree(model, to)
    if not (to / ONNX_INT8).exists():
        tokenizer = Tokenizer.from_file(str(to / "tokenizer.json"))
        quantize(to, [tokenizer.encode(text).ids for text in TEXTS])
    return to


@pytest.mark.parametrize("dtype", ["fp32", "q8"])
def test_the_page_gives_the_scores_of_python(dtype: str, trained: Settings, tmp_path: Path) -> None:
    from playwright.sync_api import sync_playwright

    model = with_both_graphs(trained.model_dir, tmp_path / "model")
    (tmp_path / "examples").mkdir()
    (tmp_path / "examples" / "browser").symlink_to(EXAMPLE)
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "default").symlink_to(model)
    handler = functools.partial(Quiet, directory=tmp_path)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}/"
    elsewhere: list[str] = []
    flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=flags, timeout=120_000)
        page = browser.new_page()
        page.set_default_timeout(400_000)
        local = (address, "data:", "blob:")
        page.on("request", lambda r: r.url.startswith(local) or elsewhere.append(r.url))
        page.goto(f"{address}examples/browser/?dtype={dtype}")
        page.wait_for_selector("button:not([disabled]), #answer:not(:empty)")
        assert page.inner_text("#answer") == "", "it says here what is wrong"
        found = []
        for text in TEXTS:
            page.fill("#text", text)
            page.evaluate("document.querySelector('#answer').replaceChildren()")
            page.click("button")
            page.wait_for_selector("#answer li")
            found.append(
                page.evaluate(
                    "Object.fromEntries([...document.querySelectorAll('#answer li')]"
                    ".map(li => [li.dataset.label, Number(li.dataset.score)]))"
                )
            )
        headline = page.inner_text("#answer h2")
        page.screenshot(path=tmp_path / "page.png")
        browser.close()
    server.shutdown()
    server.server_close()
    assert elsewhere == [], "nothing comes from another machine"
    assert headline == "It asks for none of them."
    backend = "onnx-int8" if dtype == "q8" and has_int8() else "onnx"
    clf = pipeline.load(model, backend)
    for text, scores in zip(TEXTS, found, strict=True):  # alone, as the page asks
        (ours,) = clf.predict([text])
        assert scores == pytest.approx(ours.scores, abs=1e-3 if dtype == "fp32" else 0.05)
