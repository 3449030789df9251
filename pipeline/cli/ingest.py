"""`outreach ingest`: from files to messages."""

import itertools
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipeline.cli.options import DEFAULT, Config, Force, Overrides, settings_from

if TYPE_CHECKING:
    from pipeline.records import Message


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(ingest)


def ingest(
    config: Config = DEFAULT,
    overrides: Overrides = None,
    force: Force = False,
    public: Annotated[
        bool, typer.Option("--public", help="Fetch the public mail's texts now, or fail.")
    ] = False,
    from_: Annotated[
        Path | None,
        typer.Option("--from", help="Take the public texts from this folder or JSONL file."),
    ] = None,
    owner: Annotated[
        list[str] | None,
        typer.Option(metavar="ADDRESS", help="Keep only messages sent to you; may be repeated."),
    ] = None,
    show_cleaning: Annotated[
        int, typer.Option(metavar="N", min=0, help="Show N messages before and after cleaning.")
    ] = 0,
) -> None:
    """Read messages from files into one clean table.

    Reads mailboxes (mbox, maildir, .eml, .emlx), exports of LinkedIn, Slack and WhatsApp, tables
    (JSON Lines, CSV, Parquet, XLSX) and text files, also inside .gz and .zip and whole folders.

    Examples:

        outreach ingest

        outreach ingest --set data.messages=[Takeout.zip,linkedin.zip] --owner me@example.org

        outreach ingest --show-cleaning 5

        outreach ingest --public

        outreach ingest --from ~/copies/texts.jsonl
    """
    from pipeline.cli.console import TerminalProgress
    from pipeline.cli.words import say_stage
    from pipeline.ingestion.stage import ingest as ingest_stage

    owned = [f"ingest.owner={json.dumps(owner)}"] if owner else []
    settings = settings_from(config, [*(overrides or []), *owned])
    result = ingest_stage(
        settings, force=force, public=public, public_from=from_, progress=TerminalProgress()
    )
    say_stage(result)
    _say_counts(result.counts)
    if show_cleaning:
        _show_cleaning(result.output_dir, show_cleaning)


def _say_counts(counts: Mapping[str, Any]) -> None:
    """Why records were rejected, what was cleaned off, and which languages were found."""
    from pipeline.cli.console import out

    titles = {"reasons": "rejected", "removed": "cleaned off", "languages": "languages"}
    for name, title in titles.items():
        listed = ", ".join(f"{k.replace('_', ' ')} {v:,}" for k, v in counts[name].items())
        if listed:
            out.print(f"  {title:<12} {listed}", markup=False)


def _show_cleaning(folder: Path, number: int) -> None:
    """Messages before and after cleaning, evenly drawn from those that it changed."""
    from pipeline.cli.console import out
    from pipeline.ingestion.stage import MESSAGES

    total = sum(1 for _ in _changed(folder / MESSAGES))
    every = itertools.islice(_changed(folder / MESSAGES), 0, None, max(total // number, 1))
    for message in itertools.islice(every, number):
        removed = ", ".join(message.extra["removed"]) or "private data"
        out.rule(f"{message.id} ({removed})", align="left")
        out.print(message.extra["original"], markup=False)
        out.rule("becomes", align="left", style="dim")
        out.print(message.text, markup=False)
    out.print(f"{total:,} messages were changed by cleaning.")


def _changed(path: Path) -> "Iterator[Message]":
    """The messages whose text cleaning changed, a thousand at a time in memory."""
    import pyarrow.parquet as pq

    from pipeline.records import Message

    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(batch_size=1000):
            messages = map(Message.from_row, batch.to_pylist())
            yield from (message for message in messages if "original" in message.extra)
