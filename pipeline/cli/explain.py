"""`outreach explain`: which sentence makes each ask, and which words in it."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from pipeline.cli.predict import (
    DEFAULT_MODEL,
    Backend,
    BackendChoice,
    Column,
    Lines,
    Model,
    Rejections,
    columns_of,
)

if TYPE_CHECKING:
    from pipeline.inference.explain import Explanation

T = TypeVar("T")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(explain)


def explain(
    inputs: Annotated[
        list[str],
        typer.Argument(
            help="Texts, files or folders of any format `ingest` reads, or - for stdin."
        ),
    ],
    model: Model = DEFAULT_MODEL,
    html: Annotated[
        Path | None, typer.Option(help="Write a page with the sentences highlighted.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="Messages explained at most.")] = 100,
    column: Column = None,
    lines: Lines = False,
    backend: Backend = BackendChoice.auto,
) -> None:
    """Show the sentence that makes each ask.

    Every sentence is left out, and kept alone, and scored again; the one whose absence
    costs most and which says most on its own is shown, with the words it rests on. For
    whole files as data, use `outreach predict --explain`.

    Examples:

        outreach explain "I loved your talk. Could you introduce me to your editor?"

        outreach explain inbox.mbox --limit 20 --html why.html

        pbpaste | outreach explain -
    """
    from pipeline.cli.answers import write_explanations
    from pipeline.inference.classifier import load
    from pipeline.inference.stream import incoming_from, predict_stream

    classifier = load(model, backend.value)
    refused = Rejections(None)
    records = incoming_from(inputs, columns_of(column), lines)
    entries = refused.out_of(predict_stream(classifier, _first(records, limit), explain=True))
    found: Iterator[Explanation] = (entry.explanation for entry in entries)
    if html is None:
        write_explanations(found, sys.stdout)
        sys.stdout.flush()
    else:
        from pipeline.inference.explain_page import to_html
        from pipeline.store import atomic_path

        with atomic_path(html) as temporary:
            temporary.write_text(to_html(list(found)), encoding="utf-8")
        typer.echo(f"Written: {html}", err=True)
    refused.report()


def _first(records: "Iterator[T]", limit: int) -> "Iterator[T]":
    from itertools import islice

    yield from islice(records, limit)
    if next(records, None) is not None:
        typer.echo(f"Only the first {limit} messages are explained; see --limit.", err=True)
