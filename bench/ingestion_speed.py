"""How fast is a mailbox ingested, and in how much memory?

    python -m bench ingestion_speed                        # 200,000 mails, ours and the library's
    python -m bench ingestion_speed --mails 20000          # a quick look
    python -m bench ingestion_speed --gigabytes 2 4        # peak memory on mailboxes of this size

Both sides run one after the other in one call, so a busy machine slows both: read the ratio, and the
rate a processor second (all processes together). Ours is the whole stage (hash the file, split,
parse, clean, redact, note language, group near-duplicates, write), by one process a core. The other
side iterates `mailbox.mbox`, takes the text with `get_content` and cleans it the same way; it does
not group or write, and reads only as many mails as `--library-mails` says. Mails of the mailboxes
for `--gigabytes` carry attachments of about 50 kB, as most of a real mailbox is.
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

from pipeline.ingestion.parallel import workers_for
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


def measured(path: Path, folder: Path) -> tuple[int, float, float, float]:
    """Ours: messages, seconds, processor seconds, peak megabytes of all processes together."""
    before = processor()
    with PeakMemory() as memory:
        count, seconds = run_ours(path, folder)
    return count, seconds, processor() - before, memory.peak / 1000


def compare(path: Path, folder: Path, mails: int, library_mails: int) -> None:
    """Print ours beside the library's."""
    write_mailbox(path, mails, 0)
    print(f"{mails:,} mails, {path.stat().st_size / 1e6:,.0f} MB, {workers_for(10**9)} processes")
    print("| reader | mails | seconds | a second | a processor second | peak memory |")
    print("| --- | --- | --- | --- | --- | --- |")
    ours, seconds, spent, peak = measured(path, folder)
    print(
        f"| outreach ingest | {ours:,} | {seconds:.1f} | {ours / seconds:,.0f} "
        f"| {ours / spent:,.0f} | {peak:.0f} MB |",
        flush=True,
    )
    before = processor()
    theirs, their_seconds = run_library(path, library_mails)
    their_spent = processor() - before
    print(
        f"| mailbox.mbox | {theirs:,} | {their_seconds:.1f} | {theirs / their_seconds:,.0f} "
        f"| {theirs / their_spent:,.0f} | |"
    )
    print(
        f"ratio: {ours / seconds / theirs * their_seconds:.1f} by the clock, "
        f"{ours / spent / theirs * their_spent:.1f} by processor time"
    )


def weigh(path: Path, folder: Path, gigabytes: list[float]) -> None:
    """Print the peak memory for mailboxes of these sizes."""
    print("| mailbox | mails | seconds | processor seconds | peak memory |")
    print("| --- | --- | --- | --- | --- |")
    for size in gigabytes:
        write_mailbox(path, int(size * 1e9 / 51_500), 50_000)
        count, seconds, spent, peak = measured(path, folder / str(size))
        print(
            f"| {path.stat().st_size / 1e9:.2f} GB | {count:,} | {seconds:.0f} | {spent:.0f} "
            f"| {peak:.0f} MB |",
            flush=True,
        )


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mails", type=int, default=200_000)
    parser.add_argument("--library-mails", type=int, default=20_000)
    parser.add_argument("--gigabytes", type=float, nargs="*")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        path, folder = Path(name) / "all.mbox", Path(name) / "out"
        if arguments.gigabytes:
            weigh(path, folder, arguments.gigabytes)
        else:
            compare(path, folder, arguments.mails, arguments.library_mails)


if __name__ == "__main__":
    main()
