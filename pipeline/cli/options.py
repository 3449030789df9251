"""Options that several commands share."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from pipeline.settings import Settings

Config = Annotated[
    Path, typer.Option("--config", "-c", help="Settings file.", show_default="configs/default.yaml")
]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change one setting; may be repeated."),
]
Force = Annotated[bool, typer.Option("--force", help="Run even if nothing has changed.")]

DEFAULT = Path("configs/default.yaml")


def settings_from(config: Path, overrides: list[str] | None) -> "Settings":
    """The settings that `--config` and `--set` describe."""
    from pipeline.settings import load_settings

    return load_settings(config, overrides or ())
