"""Training in several processes, one a device, as `torchrun` or `accelerate launch` start them.

The first process runs the stage. The others wait until it knows whether there is anything to do,
train with it, and are done.
"""

from __future__ import annotations

import atexit
import os
from datetime import timedelta
from typing import Any

_PATIENCE = timedelta(hours=12)
"""How long processes wait for the first one, which may have much to encode."""


def count() -> int:
    """How many processes train together."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def number() -> int:
    """Which of them this is; 0 is the first."""
    return int(os.environ.get("RANK", "0"))


def is_first() -> bool:
    """Whether this process is the one that writes and speaks."""
    return number() == 0


def join(device: str) -> None:
    """Connect the processes; does nothing if there is only one."""
    if count() == 1:
        return
    from accelerate import PartialState

    state = PartialState(cpu=device == "cpu", timeout=_PATIENCE)
    # Its threads must have ended before the interpreter does, or the process aborts.
    atexit.register(state.destroy_process_group)


def told(value: Any) -> Any:
    """In every process, the value that the first one gives; it waits until that is there."""
    if count() == 1:
        return value
    from accelerate.utils import broadcast_object_list

    values = [value]
    broadcast_object_list(values)
    return values[0]
