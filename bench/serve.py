"""The server under load: requests a second, p99 and lost requests, with batching and without.

Many clients, each with a connection of its own, ask one message at a time for as long as asked;
every answer is compared with the classifier's own: the same id, and the same scores to 0.001.
The two servers take turns, round after round;
what to quote is the median.
"""

import argparse
import asyncio
import contextlib
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline import load
from pipeline.ingestion.prepare import prepare
from pipeline.records import Message, Prediction, render

SERVER = (
    "import sys; from pipeline.inference import batching; batching.MAX_BATCH = int(sys.argv[2]);"
    "from functools import partialmethod;"
    "init = batching.AsyncClassifier.__init__;"
    "batching.AsyncClassifier.__init__ = partialmethod(init, max_batch=int(sys.argv[2]));"
    "from pipeline import load; from pipeline.cli.console import TerminalProgress;"
    "from pipeline.inference.serve.server import serve;"
    "serve(load(sys.argv[1]), port=0, progress=TerminalProgress())"
)


@dataclass
class Seen:
    """What the clients saw."""

    seconds: list[float] = field(default_factory=list)
    wrong: int = 0
    lost: int = 0


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=Path("models/default"))
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--rounds", type=int, default=1)
    given = parser.parse_args()
    asked = _messages(given.model)
    rates: dict[str, list[float]] = {}
    for _ in range(given.rounds):
        for name, batch in (("batches", 64), ("one at a time", 1)):
            with _server(given.model, batch) as port:
                seen = asyncio.run(_load(port, asked, given.clients, given.seconds))
            done = sorted(seen.seconds)
            rates.setdefault(name, []).append(len(done) / given.seconds)
            print(
                f"{name:<14} {len(done) / given.seconds:7.0f} requests a second, "
                f"p50 {1000 * done[len(done) // 2]:.0f} ms, "
                f"p99 {1000 * done[int(len(done) * 0.99)]:.0f} ms, "
                f"{len(done)} answered, {seen.wrong} wrong, {seen.lost} lost",
                flush=True,
            )
    ratio = statistics.median(
        a / b for a, b in zip(rates["batches"], rates["one at a time"], strict=True)
    )
    print(f"batching gives {ratio:.2f} times the requests ({given.clients} clients)")


def _messages(model: Path) -> list[tuple[bytes, Prediction]]:
    """Requests, and what each must be answered with."""
    lines = Path("data/raw/messages.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines[:: len(lines) // 512]]
    classifier = load(model)
    prepared = (
        prepare(Message("", row["text"], row["subject"]), classifier.cleaning) for row in rows
    )
    found = classifier.predict([render(message.subject, message.text) for message in prepared])
    bodies = (
        json.dumps({"messages": [{"id": str(i), "text": row["text"], "subject": row["subject"]}]})
        for i, row in enumerate(rows)
    )
    return [
        (_request(body.encode()), prediction)
        for body, prediction in zip(bodies, found, strict=True)
    ]


def _request(body: bytes) -> bytes:
    head = "POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


@contextlib.contextmanager
def _server(model: Path, batch: int) -> Iterator[int]:
    command = [sys.executable, "-c", SERVER, str(model), str(batch)]
    environment = {**os.environ, "COLUMNS": "300"}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as process:
        try:
            assert process.stderr is not None
            yield int(re.search(r"127\.0\.0\.1:(\d+)", process.stderr.readline())[1])  # type: ignore[index]
        finally:
            process.send_signal(signal.SIGTERM)


async def _load(
    port: int, asked: list[tuple[bytes, Prediction]], clients: int, seconds: float
) -> Seen:
    seen = Seen()
    while True:  # until it listens
        try:
            (await asyncio.open_connection("127.0.0.1", port))[1].close()
            break
        except ConnectionRefusedError:
            await asyncio.sleep(0.1)
    until = time.perf_counter() + seconds
    await asyncio.gather(*(_client(port, asked, i, until, seen) for i in range(clients)))
    return seen


async def _client(
    port: int, asked: list[tuple[bytes, Prediction]], number: int, until: float, seen: Seen
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    at = number * 31
    while time.perf_counter() < until:
        request, expected = asked[at % len(asked)]
        at += 1
        started = time.perf_counter()
        try:
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(re.search(rb"(?i)content-length: (\d+)", head)[1])  # type: ignore[index]
            answer = json.loads(await reader.readexactly(length))
        except (OSError, asyncio.IncompleteReadError):
            seen.lost += 1
            return
        seen.seconds.append(time.perf_counter() - started)
        if not head.startswith(b"HTTP/1.1 200"):
            seen.lost += 1
        elif not _agree(answer["predictions"][0], expected):
            seen.wrong += 1
    writer.close()


def _agree(answer: dict[str, Any], expected: Prediction) -> bool:
    apart = max(abs(answer["scores"][name] - score) for name, score in expected.scores.items())
    return answer["id"] == expected.id and apart <= 1e-3


if __name__ == "__main__":
    main()
