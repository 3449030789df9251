"""What tests of use share: the tiny trained model, loaded once, and an app around it."""

import contextlib
import threading
import time
from collections.abc import Iterator

import pytest

import pipeline
from pipeline.settings import Settings


@pytest.fixture(scope="session")
def clf(trained: Settings) -> pipeline.Classifier:
    return pipeline.load(trained.model_dir)


@contextlib.contextmanager
def running(app: object) -> Iterator[str]:
    """The address of an application that a real server serves while the block runs."""
    from pipeline.web import listen

    server, listening = listen(app, "127.0.0.1", 0)  # type: ignore[arg-type]
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    until = time.monotonic() + 60
    while not server.started and time.monotonic() < until:
        time.sleep(0.02)
    yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    server.should_exit = True
    thread.join(60)
