"""How fast is a mailbox ingested, and in how much memory?

    python bench/ingestion_speed.py                        # 200,000 mails, ours and the library's
    python bench/ingestion_speed.py --mails 20000          # a quick look
    python bench/ingestion_speed.py --gigabytes 2          # peak memory on a 2 GB mailbox

Both sides run one after the other in one call, so a busy machine slows both: read the ratio. Ours is
the whole stage (split, parse, clean, redact, hash, note language, group near-duplicates, write). The
other side iterates `mailbox.mbox`, takes the text with `get_content` and cleans it the same way; it
does not group or write, and reads only as many mails as `--library-mails` says.
"""

from __future__ import annotations

import argparse
import email.policy
import mailbox
import os
import random
import tempfile
import threading
import time
from email import message_from_binary_file
from pathlib import Path

from pipeline.ingestion.prepare import prepare
from pipeline.ingestion.stage import ingest
from pipeline.records import Message
from pipeline.settings import Cleaning, parse_settings

WORDS = [
    "time",
    "work",
    "team",
    "project",
    "meeting",
    "board",
    "school",
    "paper",
    "archive",
    "lab",
    "garden",
    "course",
    "office",
    "river",
    "door",
    "train",
    "summer",
    "grant",
    "report",
    "teacher",
    "nurse",
    "editor",
    "market",
    "bridge",
    "winter",
    "letter",
    "harbour",
    "student",
]


def sentence(rng: random.Random) -> str:
    """Some words with an end."""
    words = rng.choices(WORDS, k=rng.randint(6, 14))
    return f"I would like to hear about the {' '.join(words)}{rng.choice('.?')}"


def mail(rng: random.Random, number: int, size: int) -> str:
    """One mail: a reply with quotation and signature, half of them with an HTML part."""
    own = "\n".join(sentence(rng) for _ in range(rng.randint(2, 6)))
    old = "\n".join(f"> {sentence(rng)}" for _ in range(rng.randint(3, 12)))
    who = f"person{rng.randint(1, 5000)}@mail{rng.randint(1, 50)}.example"
    plain = (
        f"Hi {rng.choice(WORDS).title()},\n\n{own}\n\nBest regards,\nRobin\n+44 20 7946 0{rng.randint(100, 999)}"
        f"\n\nOn Tue, Mar 3, 2026 at 10:12 AM Ann <{who}> wrote:\n\n{old}\n"
    )
    head = (
        f"From {who} Tue Mar  3 10:12:00 2026\nReceived: by mail.example with SMTP id {number}\n"
        f"From: Ann <{who}>\nTo: Robin <robin@home.example>\nSubject: Re: {rng.choice(WORDS)}\n"
        f"Date: Tue, 3 Mar 2026 10:12:00 +0000\nMessage-ID: <{number}@mail.example>\nMIME-Version: 1.0\n"
    )
    if number % 2:
        body = f"Content-Type: text/plain; charset=utf-8\n\n{plain}"
    else:
        html = "".join(f"<div>{line}</div>" for line in plain.split("\n"))
        body = (
            'Content-Type: multipart/alternative; boundary="b"\n\n--b\nContent-Type: text/plain; '
            f"charset=utf-8\n\n{plain}\n--b\nContent-Type: text/html; charset=utf-8\n\n{html}\n--b--\n"
        )
    missing = size - len(body)
    if missing > 500:
        line = "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWZnaGlqa2xtbm9wcXJzdHV2d3h5ejAx\n"
        body = (
            f'Content-Type: multipart/mixed; boundary="m"\n\n--m\n{body}\n--m\nContent-Type: '
            "application/pdf\nContent-Transfer-Encoding: base64\nContent-Disposition: attachment\n\n"
            f"{line * (missing // len(line))}--m--\n"
        )
    return f"{head}{body}\n"


def write_mailbox(path: Path, mails: int, size: int) -> None:
    """A mailbox of so many mails of about this size."""
    rng = random.Random(7)
    with path.open("w", encoding="utf-8") as out:
        for number in range(mails):
            out.write(mail(rng, number, size))


def run_ours(path: Path, folder: Path) -> tuple[int, float]:
    """Messages and seconds of the whole stage."""
    settings = parse_settings(
        {
            "name": "bench",
            "task": {"labels": ["a", "b"]},
            "data": {"messages": [str(path)], "processed": str(folder)},
        }
    )
    started = time.perf_counter()
    result = ingest(settings)
    return result.counts["messages"], time.perf_counter() - started


def run_library(path: Path, limit: int) -> tuple[int, float]:
    """The same with the standard library: mails and seconds, of as many mails as `limit`."""

    def parse(stream):
        return message_from_binary_file(stream, policy=email.policy.default)

    started = time.perf_counter()
    cleaning = Cleaning()
    count = 0
    for item in mailbox.mbox(path, factory=parse, create=False):
        part = item.get_body(preferencelist=("plain", "html"))
        text = part.get_content() if part else ""
        prepare(Message(id=str(count), text=text, subject=str(item["Subject"])), cleaning)
        count += 1
        if count >= limit:
            break
    return count, time.perf_counter() - started


def _status(pid: str) -> tuple[int, int]:
    """A process's parent and its memory in kB: its own pages and its share of shared ones."""
    parent = int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return parent, next(int(line.split()[1]) for line in rollup.split("\n") if line[:4] == "Pss:")


class PeakMemory:
    """The most memory that this process and its children held together, looked at often."""

    def __init__(self) -> None:
        self.peak = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> PeakMemory:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(0.2):
            self.peak = max(self.peak, self._now())

    def _now(self) -> int:
        found = {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    found[int(entry.name)] = _status(entry.name)
                except (OSError, StopIteration, PermissionError):
                    continue
        mine = {os.getpid()}
        for _ in range(4):
            mine |= {pid for pid, (parent, _) in found.items() if parent in mine}
        return sum(memory for pid, (_, memory) in found.items() if pid in mine)


def processor() -> float:
    """Processor seconds of this process and of its finished children, whatever else is running."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mails", type=int, default=200_000)
    parser.add_argument("--library-mails", type=int, default=20_000)
    parser.add_argument("--gigabytes", type=float, default=0.0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = folder / "all.mbox"
        size = 50_000 if arguments.gigabytes else 0
        mails = int(arguments.gigabytes * 1e9 / 51_500) if size else arguments.mails
        write_mailbox(path, mails, size)
        print(f"mailbox: {mails:,} mails, {path.stat().st_size / 1e9:.2f} GB")
        before = processor()
        with PeakMemory() as memory:
            count, seconds = run_ours(path, folder / "out")
        spent = processor() - before
        rate = count / seconds
        print(f"ours: {count:,} messages, {seconds:.1f} s, {rate:,.0f} a second")
        print(f"  {count / spent:,.0f} a processor second")
        print(f"peak memory of all processes together: {memory.peak / 1000:,.0f} MB")
        if not size:
            before = processor()
            count, seconds = run_library(path, arguments.library_mails)
            spent = processor() - before
            print(
                f"mailbox.mbox: {count:,} mails, {seconds:.1f} s, {count / seconds:,.0f} a second"
            )
            print(f"  {count / spent:,.0f} a processor second")
            print(f"ratio: {rate / (count / seconds):.1f}")


if __name__ == "__main__":
    main()
