"""Does the machine have what training takes, and what to say when it does not after all."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.errors import PipelineError

KEPT_COPIES = 12
"""Copies of the weights at the worst moment: three checkpoints, each with two moments of the
optimizer, the best weights, and the model folder with its graph."""


class ResourceError(PipelineError):
    """The machine has not enough disk or memory for what was asked."""


def check_disk(folder: Path, weights: Path) -> None:
    """See that training has room for its checkpoints before it begins.

    Raises:
        ResourceError: it has not.
    """
    needed = KEPT_COPIES * weights.stat().st_size
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise ResourceError(
            f"{folder}: training needs about {_size(needed)} here for its checkpoints and the "
            f"model, but only {_size(free)} are free. Free some, or set `models` to a folder on "
            "another disk."
        )


@contextmanager
def explained(folder: Path) -> Iterator[None]:
    """Turn a full disk and memory that ran out into words; what was finished is kept.

    Raises:
        ResourceError: instead of them.
    """
    try:
        yield
    except PipelineError:
        raise
    except Exception as error:
        if _is_out_of_memory(error):
            raise ResourceError(_OUT_OF_MEMORY) from None
        if _is_full_disk(error, folder):
            raise ResourceError(
                f"{folder}: the disk is full ({_size(shutil.disk_usage(folder).free)} free). Free "
                "some and run the same command again: it goes on from the last whole checkpoint."
            ) from None
        raise


_OUT_OF_MEMORY = (
    "training ran out of memory. Halve training.batch_size and double training.accumulate, which "
    "learns nearly the same; or set training.batch_tokens, lower training.max_length, or set "
    "training.lora_rank. With other settings training begins anew."
)


def _is_out_of_memory(error: Exception) -> bool:
    import torch

    # On a CPU, torch raises a plain RuntimeError.
    words = ("out of memory", "can't allocate memory", "not enough memory")
    known = isinstance(error, torch.OutOfMemoryError | MemoryError)
    return known or any(w in str(error).lower() for w in words)


def _is_full_disk(error: Exception, folder: Path) -> bool:
    if isinstance(error, OSError):
        return error.errno in (errno.ENOSPC, errno.EDQUOT)
    # safetensors and torch hide the number, each in its own way.
    words = ("no space left on device", "pytorchstreamwriter", "unexpected pos", "quota exceeded")
    return any(word in str(error).lower() for word in words)


def _size(size: float) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e8 else f"{size / 1e6:.0f} MB"
