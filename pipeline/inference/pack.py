"""`outreach export`: a model folder as others may have it, ready for a hub or as one zip file.

What a loader needs goes along, and what the report says in figures. What tells of the messages or
of this machine stays: the report's pages and predictions, training logs, the paths in the manifest.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

from pipeline.errors import InputError
from pipeline.inference.folder import check_files, read_contract, recorded_files
from pipeline.inference.hub import FILES
from pipeline.store import MANIFEST, atomic_path, sha256_file, write_json

CARD = "README.md"
FIGURES = Path("report") / "card.md"
"""The figures of the report, as a chapter for the card."""
_SAME_TIME = (1980, 1, 1, 0, 0, 0)
"""In the zip, so that the same folder always gives the same file."""


def export(folder: Path, output: Path) -> list[Path]:
    """Write a copy of a model folder that may leave this machine; returns its files' names.

    Args:
        folder: a model folder.
        output: a file whose name ends in ``.zip``, or a new or empty folder.

    Raises:
        ModelFolderError: the folder is incomplete, or a file is not what training wrote.
        InputError: `output` is a folder that holds something, or cannot be written.
    """
    read_contract(folder)
    check_files(folder, recorded_files(folder))
    try:
        return (_to_zip if output.suffix == ".zip" else _to_folder)(folder, output)
    except OSError as error:
        raise InputError(f"{output}: cannot be written ({error.strerror or error}).") from None


def _to_zip(folder: Path, output: Path) -> list[Path]:
    with tempfile.TemporaryDirectory() as scratch:
        copied = _copy(folder, Path(scratch))
        with atomic_path(output) as temporary:
            _zip(Path(scratch), copied, folder.name, temporary)
    return copied


def _to_folder(folder: Path, output: Path) -> list[Path]:
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise InputError(f"{output}: expected a new or empty folder, or a name ending in .zip.")
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=output.parent, prefix=f".{output.name}.") as scratch:
        whole = Path(scratch) / "whole"
        copied = _copy(folder, whole)
        if output.exists():
            output.rmdir()
        whole.replace(output)
    return copied


def _copy(folder: Path, to: Path) -> list[Path]:
    names = sorted(_names(folder))
    for name in names:
        (to / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(folder / name, to / name)
    (to / CARD).write_text(_card(folder), encoding="utf-8")
    outputs = {
        name.as_posix(): {"sha256": sha256_file(to / name), "bytes": (to / name).stat().st_size}
        for name in sorted({*names, Path(CARD)})
    }
    versions = _read(folder / MANIFEST).get("versions", {})
    write_json(to / MANIFEST, {"stage": "export", "outputs": outputs, "versions": versions})
    return [*map(Path, outputs), Path(MANIFEST)]


def _names(folder: Path) -> Iterator[Path]:
    for pattern in FILES:
        for path in folder.glob(pattern):
            if path.is_file() and path.name != MANIFEST:
                yield path.relative_to(folder)


def _card(folder: Path) -> str:
    """The model card with the report's figures in place of the pointer to the report."""
    card = (folder / CARD).read_text(encoding="utf-8") if (folder / CARD).exists() else ""
    if not (folder / FIGURES).exists():
        return card
    pointer = "The figures on messages it has not seen are in `report/index.html`.\n"
    figures = (folder / FIGURES).read_text(encoding="utf-8").strip()
    return f"{card.replace(pointer, '').rstrip()}\n\n{figures}\n"


def _read(path: Path) -> dict[str, dict[str, str]]:
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def _zip(folder: Path, names: list[Path], inside: str, to: Path) -> None:
    with zipfile.ZipFile(to, "w", zipfile.ZIP_STORED) as archive:  # weights do not compress
        for name in names:
            entry = zipfile.ZipInfo(f"{inside}/{name.as_posix()}", _SAME_TIME)
            entry.external_attr = 0o644 << 16
            with (folder / name).open("rb") as source, archive.open(entry, "w") as target:
                shutil.copyfileobj(source, target, 1 << 20)
