"""A running average of the weights: steadier than the last step's, at no cost in prediction.

Exponential, with a decay that grows while there are few steps (Izmailov et al., UAI 2018, for why
averages do well; the warm-up is that of TensorFlow's ExponentialMovingAverage).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

FILE = "average.safetensors"


class Average:
    """The average of a model's trainable weights; with a decay of 0 it does nothing."""

    def __init__(self, model: torch.nn.Module, decay: float) -> None:
        """Start from the model's weights as they are."""
        self._decay = decay
        self._weights = {n: p for n, p in model.named_parameters() if p.requires_grad}
        self._average = {n: p.detach().clone() for n, p in self._weights.items()} if decay else {}

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the weights after so many steps."""
        decay = min(self._decay, (1 + step) / (10 + step))
        for name, average in self._average.items():
            average.lerp_(self._weights[name], 1 - decay)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """The average stands in the model while the block runs."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    @torch.no_grad()
    def _swap(self) -> None:
        for name, average in self._average.items():
            kept = self._weights[name].clone()
            self._weights[name].copy_(average)
            average.copy_(kept)

    def save(self, folder: Path) -> None:
        """Write it into a checkpoint."""
        if self._average:
            save_file({n: t.contiguous() for n, t in self._average.items()}, folder / FILE)

    @torch.no_grad()
    def load(self, folder: Path) -> None:
        """Go on from what `save` wrote there."""
        if self._average:
            for name, saved in load_file(folder / FILE).items():
                self._average[name].copy_(saved)
