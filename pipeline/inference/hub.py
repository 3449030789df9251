"""Where a model's folder is: on this disk, or on the Hugging Face hub at a pinned commit."""

from __future__ import annotations

import re
from pathlib import Path

from pipeline.errors import ModelFolderError

_HUB_ID = re.compile(r"(?P<name>[\w.-]+/[\w.-]+)@(?P<commit>[0-9a-f]{40})")
_LIKE_ONE = re.compile(r"[\w.-]+/[\w.-]+(@.*)?")
FILES = ("*.json", "*.md", "*.safetensors", "onnx/*", "student/*")
"""What is fetched of a hub folder: nothing that could run."""


def local_folder(path_or_id: str | Path) -> Path:
    """The folder itself, or the local copy of a hub model, fetched when it is not there yet.

    Args:
        path_or_id: a folder, or ``OWNER/NAME@COMMIT`` with the full commit, so that what runs
            tomorrow is what ran today.

    Raises:
        ModelFolderError: a hub id without a commit, or a model that cannot be fetched.
    """
    given = str(path_or_id)
    folder = Path(path_or_id)
    if folder.exists():
        return folder
    found = _HUB_ID.fullmatch(given)
    if found is None:
        if "@" in given and _LIKE_ONE.fullmatch(given):
            raise ModelFolderError(
                f"{given}: a hub model is named OWNER/NAME@COMMIT with the commit's 40 characters, "
                "so that what runs tomorrow is what ran today; a branch or tag is not enough."
            )
        return folder
    return _fetched(found["name"], found["commit"])


def _fetched(name: str, commit: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(name, revision=commit, allow_patterns=list(FILES)))
    except (HfHubHTTPError, LocalEntryNotFoundError) as error:
        answer = getattr(error, "response", None) or getattr(error.__cause__, "response", None)
        reason = (
            f"the hub answered {answer.status_code}: no such model or commit, or it is private"
            if answer is not None
            else "it is not on this machine and the hub cannot be reached"
        )
    except OSError as error:
        reason = f"{type(error).__name__} while fetching"
    raise ModelFolderError(f"{name}@{commit}: {reason}.")
