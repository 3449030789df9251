"""`outreach predict`: from new messages to predictions."""

import typer


def register(app: typer.Typer) -> None:
    app.command()(predict)


def predict() -> None:
    """Tell what new messages ask for."""
