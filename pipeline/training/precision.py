"""Which numbers a network is trained in: 32-bit ones, or 16-bit ones beside them where that pays.

Weights and sums stay in 32 bits; only products are computed in 16 (mixed precision; Micikevicius et
al., ICLR 2018).
"""

from __future__ import annotations

from typing import Literal

import torch

from pipeline.errors import InputError
from pipeline.settings import Training

Half = Literal["", "bfloat16", "float16"]


def half(training: Training) -> Half:
    """The 16-bit numbers to compute in, as the settings say or as suits the device; "" for none.

    `auto` on a CPU takes bfloat16 only where the CPU has units for it (AMX), which are several
    times as fast; elsewhere it would be slower than 32 bits.
    """
    if training.precision != "auto":
        return "" if training.precision == "float32" else training.precision
    if on_cpu(training):
        return "bfloat16" if torch.cpu.get_capabilities().get("amx_bf16") else ""
    if training.device == "mps" or not torch.cuda.is_available():
        return ""
    return "bfloat16" if torch.cuda.is_bf16_supported() else "float16"


def on_cpu(training: Training) -> bool:
    """Whether training runs on the CPU, because it is asked for or there is nothing better.

    Raises:
        InputError: another device is asked for and not there, or cannot train in these numbers.
    """
    check_device(training)
    if training.device != "auto":
        return training.device == "cpu"
    return _devices() == ["cpu"]


def check_device(training: Training) -> None:
    """See that there is the device to train on; without it, the CPU would take over in silence.

    Raises:
        InputError: it is not there, or cannot train in these numbers.
    """
    there = _devices()
    if training.device not in ("auto", *there):
        raise InputError(
            f"training.device is {training.device}, but torch finds only {' and '.join(there)} "
            "here. Set training.device=auto to train on the best there is, or install a driver "
            f"and a torch that go with {training.device}."
        )
    if training.precision == "float16" and (training.device == "cpu" or there == ["cpu"]):
        raise InputError(
            "training.precision is float16, which a CPU cannot train in. Set "
            "training.precision=auto, which takes what suits the device."
        )


def _devices() -> list[str]:
    """What torch can train on here."""
    others = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    return [*(name for name, is_there in others.items() if is_there), "cpu"]


def mixed(training: Training, device: torch.device) -> torch.autocast:
    """A block in which a network on this device computes as it does in training."""
    numbers = half(training)
    kind = torch.float16 if numbers == "float16" else torch.bfloat16
    return torch.autocast(device.type, dtype=kind, enabled=bool(numbers))
