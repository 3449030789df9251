"""Options that several commands share."""

import json
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

Base = Annotated[
    str | None,
    typer.Option(
        metavar="NAME[@COMMIT]",
        help="Base model: a package that carries one, a folder, or a hub id with its commit.",
        show_default="what the settings name",
    ),
]

DEFAULT = Path("configs/default.yaml")


def settings_from(config: Path, overrides: list[str] | None, base: str | None = None) -> "Settings":
    """The settings that `--config`, `--set` and `--base` describe."""
    from pipeline.settings import load_settings

    return load_settings(config, [*_base_settings(base), *(overrides or ())])


def _base_settings(base: str | None) -> list[str]:
    """What another base changes: the pinned commit and hash were those of the old one."""
    if base is None:
        return []
    name, _, commit = base.partition("@") if not Path(base).exists() else (base, "", "")
    values = {"base": name, "revision": commit, "sha256": ""}
    return [f"training.{key}={json.dumps(value)}" for key, value in values.items()]
