"""`outreach serve`: the model behind an HTTP API and a page."""

from typing import Annotated

import typer

from pipeline.cli.predict import BackendChoice


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(serve)


def serve(
    model: Annotated[str, typer.Option("--model", "-m", help="Model folder or hub id@commit.")] = (
        "models/default"
    ),
    host: Annotated[
        str, typer.Option(help="Address to serve at; others than local ones need a token.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8000,
    token: Annotated[
        str,
        typer.Option(
            envvar="OUTREACH_TOKEN",
            help="What clients must know. The variable is safer: options show in process lists.",
        ),
    ] = "",
    rate: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Requests a minute from one address; 0: no limit.",
            show_default="0 at a local address, else 600",
        ),
    ] = None,
    max_body: Annotated[int, typer.Option(min=1, help="Bytes of a request.")] = 8_000_000,
    backend: Annotated[BackendChoice, typer.Option(help="What runs the network.")] = (
        BackendChoice.auto
    ),
) -> None:
    """Serve the model: an HTTP API, and a page to paste a message into.

    Examples:

        outreach serve

        curl -s localhost:8000/predict -H 'Content-Type: application/json'
        -d '{"messages": [{"text": "Are you hiring?"}]}'

        OUTREACH_TOKEN=… outreach serve --host 0.0.0.0 --port 80
    """
    from pipeline.cli.console import TerminalProgress
    from pipeline.inference.classifier import load

    try:
        from pipeline.inference.serve.server import serve as run
    except ModuleNotFoundError as error:
        from pipeline.errors import InputError

        raise InputError(
            f"serving needs the package {error.name}: pip install 'outreach-intent[serve]'"
        ) from None

    run(
        load(model, backend.value),
        host=host,
        port=port,
        token=token,
        rate=rate,
        max_body=max_body,
        progress=TerminalProgress(),
    )
