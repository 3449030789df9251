"""Where the base model comes from, and whether its weights are the ones they should be."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from pipeline.errors import InputError
from pipeline.inference.folder import WEIGHTS
from pipeline.settings import Training
from pipeline.store import sha256_file


def resolve_base(training: Training) -> Path:
    """The folder of the base model that the settings name, its weights checked.

    A base is an installed package that carries a model folder, a local folder, or a hub id with a
    pinned revision (fetched once, into the hub's own cache).

    Raises:
        InputError: there is no such base, it lacks files, or its weights are not the pinned ones.
    """
    folder = _in_package(training.base) or _local(training.base) or _from_hub(training)
    missing = [n for n in ("config.json", "tokenizer.json", WEIGHTS) if not (folder / n).is_file()]
    if missing:
        raise InputError(
            f"training.base: {folder} lacks {', '.join(missing)}. A base needs its config, a fast "
            "tokenizer and safetensors weights."
        )
    if training.sha256:
        found = sha256_file(folder / WEIGHTS)
        if found != training.sha256:
            raise InputError(
                f"training.base: {folder / WEIGHTS} hashes to {found[:12]}…, expected "
                f"{training.sha256[:12]}…. Install the pinned base again, or change "
                "training.sha256 if you mean to use other weights."
            )
    return folder


def _in_package(name: str) -> Path | None:
    if not name.isidentifier() or (spec := find_spec(name)) is None:
        return None
    for place in spec.submodule_search_locations or ():
        for folder in (Path(place) / "model", Path(place)):
            if (folder / "config.json").is_file():
                return folder
    return None


def _local(name: str) -> Path | None:
    folder = Path(name).expanduser()
    return folder if folder.is_dir() else None


def _from_hub(training: Training) -> Path:
    if not training.revision:
        raise InputError(
            f"training.base: {training.base!r} is neither an installed package with a model nor a "
            "folder here. For a model of the hub also set training.revision to a commit, so that "
            "the same weights come every time."
        )
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    wanted = ["config.json", "tokenizer*", "special_tokens_map.json", "vocab*", "*.model", WEIGHTS]
    try:
        return Path(
            snapshot_download(training.base, revision=training.revision, allow_patterns=wanted)
        )
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        raise InputError(
            f"training.base: {training.base} at {training.revision} could not be fetched from the "
            f"hub ({type(error).__name__}). Check the name, the commit and the network, or name a "
            "local folder."
        ) from None
