"""What training took: time, and an estimate of the energy and carbon behind it."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass

WATTS_A_CORE = 10.0
"""A processor core at work, with its share of memory and fans: an upper middle of servers (4 to 6)
and laptops (8 to 15)."""
WATTS_A_GPU = 300.0
"""A data-centre accelerator at work; consumer cards take 150 to 450."""
KG_A_KWH = 0.473
"""Carbon dioxide a kilowatt hour, world mean of 2024 (Ember, Global Electricity Review 2025)."""


@dataclass(frozen=True)
class Cost:
    """What a training run took, all its processes together."""

    seconds: float
    device: str
    """In words."""
    watts: float
    """Estimated."""

    @property
    def kwh(self) -> float:
        """Estimated energy in kilowatt hours."""
        return self.watts * self.seconds / 3_600_000

    @property
    def kg(self) -> float:
        """Estimated carbon dioxide in kilograms."""
        return self.kwh * KG_A_KWH

    def as_counts(self) -> dict[str, object]:
        """For the manifest."""
        return {
            "device": self.device,
            "energy_kwh": round(self.kwh, 5),
            "co2_kg": round(self.kg, 5),
        }


def cost_of(seconds: float, device: str) -> Cost:
    """The cost of so many seconds on the device that the settings name."""
    import torch

    from pipeline.training.processes import count

    processes = count()
    if device in ("auto", "cuda") and torch.cuda.is_available():
        name = f"{processes} × {torch.cuda.get_device_name()}"
        return Cost(seconds, name, processes * WATTS_A_GPU)
    cores = min(torch.get_num_threads() * processes, os.cpu_count() or 1)
    return Cost(seconds, f"{cores} cores, {platform.machine()}", cores * WATTS_A_CORE)
