"""Lower layers that stay as they are, and what they say of each message, computed once.

A frozen part has no dropout and does not change, so what it says of a message is the same in every
epoch. It is written to a file; then the part is taken out of the model and the rest is trained on
the file, which gives the same weights as training with the part in place.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import PreTrainedModel

from pipeline.progress import Progress, track
from pipeline.settings import Training
from pipeline.training.batches import Buckets, Rows, collate
from pipeline.training.examples import Examples
from pipeline.training.precision import mixed

TOKENS_PER_BATCH = 4096
_ALIKE = 1e-3
"""How far logits with and without the lower part may differ, from rounding."""


class LowerPart:
    """The embeddings and the lowest layers of an encoder, frozen."""

    def __init__(self, model: PreTrainedModel, layers: int) -> None:
        """Find and freeze them.

        Args:
            model: any encoder of transformers.
            layers: how many layers stay as they are; 0: only the embeddings.
        """
        self._model = model
        body = model.base_model
        holder, name, stack = longest_stack(body)
        self._holder, self._name, self._stack = holder, name, stack
        self._count = min(layers, len(stack))
        self._embeddings = {n: m for n, m in body.named_children() if "embed" in n}
        for module in [*self._embeddings.values(), *stack[: self._count]]:
            module.requires_grad_(False)
            module.register_forward_pre_hook(_keep_still)

    @property
    def can_be_cached(self) -> bool:
        """Whether taking the part out saves more than a look-up, and this encoder allows it."""
        return self._count > 0 and len(self._embeddings) == 1

    def take_out(self) -> None:
        """From here on the model takes the part's output as `inputs_embeds`."""
        for name in self._embeddings:
            setattr(self._model.base_model, name, _Through())
        setattr(self._holder, self._name, self._stack[self._count :])

    def put_back(self) -> None:
        """Make the model whole again."""
        for name, module in self._embeddings.items():
            setattr(self._model.base_model, name, module)
        setattr(self._holder, self._name, self._stack)

    @contextmanager
    def whole(self) -> Iterator[None]:
        """The whole model for a moment, to be saved."""
        out = getattr(self._holder, self._name) is not self._stack
        self.put_back()
        try:
            yield
        finally:
            if out:
                self.take_out()

    def states(self, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        """What the part says of a batch of ids, shape (batch, tokens, width)."""
        last = self._stack[self._count - 1]
        hook = last.register_forward_hook(_stop)
        try:
            self._model(**batch)
        except _Reached as reached:
            return reached.states
        finally:
            hook.remove()
        raise AssertionError("a layer of the model did not run")


def longest_stack(body: torch.nn.Module) -> tuple[torch.nn.Module, str, torch.nn.ModuleList]:
    """The encoder layers of a model, the module that holds them, and their name there."""
    stacks = [
        (holder, name, child)
        for holder in body.modules()
        for name, child in holder.named_children()
        if isinstance(child, torch.nn.ModuleList)
    ]
    return max(stacks, key=lambda found: len(found[2]))


class _Reached(Exception):  # noqa: N818 - not an error: the way out of a forward pass
    def __init__(self, states: torch.Tensor) -> None:
        self.states = states


def _stop(module: torch.nn.Module, inputs: Any, output: Any) -> None:
    raise _Reached(output[0] if isinstance(output, tuple) else output)


def _keep_still(module: torch.nn.Module, inputs: Any) -> None:
    """No dropout in what is frozen, although the Trainer puts the whole model into train mode."""
    if module.training:
        module.eval()


class _Through(torch.nn.Module):
    """Stands where the embeddings were and hands on what it is given."""

    def forward(
        self, *args: Any, inputs_embeds: torch.Tensor | None = None, **kwargs: Any
    ) -> torch.Tensor | None:
        return inputs_embeds


def cached(
    lower: LowerPart,
    model: PreTrainedModel,
    parts: dict[Path, Examples],
    training: Training,
    progress: Progress,
    *,
    going_on: bool = False,
) -> list[NDArray[Any]] | None:
    """What the lower part says of all examples, from files that are written if need be.

    Args:
        lower: the frozen part; taken out of the model if the answer is not None.
        model: the model, on the device it trains on.
        parts: per file the examples it is for.
        training: says whether, in which numbers and up to which size.
        progress: where to report.
        going_on: whether there is a checkpoint. It is one of the upper part alone if the files were
            used when it was written, else one of the whole model; it must go into the same.

    Returns:
        Per part an array of shape (all tokens, width), read from its file as it is needed; None
        where nothing is cached: it is off, too large, or this encoder does not allow it.
    """
    if training.cache == "off" or not lower.can_be_cached:
        return None
    width = model.config.hidden_size
    kind = np.dtype(training.cache)
    tokens = sum(int(examples.ids.lengths.sum()) for examples in parts.values())
    size = tokens * width * kind.itemsize
    here = next(iter(parts)).parent
    here.mkdir(parents=True, exist_ok=True)
    used = here.with_name("cached")  # outlives the large files, which may be removed for room
    if going_on and not used.is_file():
        return None
    there = all(path.is_file() for path in parts)  # an interrupted run wrote them
    if not there:
        for half_written in here.glob("*.tmp"):
            half_written.unlink()
    room = min(training.cache_gigabytes * 1e9, 0.8 * shutil.disk_usage(here).free)
    if not there and not going_on and size > room:
        progress.note(
            f"Not keeping what the frozen layers say: it takes {size / 1e9:.1f} GB, "
            f"training.cache_gigabytes allows {training.cache_gigabytes:g} GB and the disk has "
            f"{shutil.disk_usage(here).free / 1e9:.1f} GB. They run again in every epoch."
        )
        return None
    if not _works(lower, model, next(iter(parts.values()))):
        progress.note("Not keeping what the frozen layers say: this encoder does not allow it.")
        return None
    found: list[NDArray[Any]] = []
    for path, examples in parts.items():
        if not path.is_file():
            _write(lower, model, examples, path, training, progress)
        shape = (int(examples.ids.lengths.sum()), width)
        found.append(np.memmap(path, dtype=kind, mode="r", shape=shape))
    lower.take_out()
    used.touch()
    return found


def _write(
    lower: LowerPart,
    model: PreTrainedModel,
    examples: Examples,
    path: Path,
    training: Training,
    progress: Progress,
) -> None:
    shape = (int(examples.ids.lengths.sum()), model.config.hidden_size)
    temporary = path.with_suffix(".tmp")
    states = np.memmap(temporary, dtype=training.cache, mode="w+", shape=shape)
    if hasattr(os, "posix_fallocate"):  # else a disk that fills up later ends us by a signal
        with temporary.open("r+b") as out:
            os.posix_fallocate(out.fileno(), 0, states.nbytes)
    rows = Rows(examples)
    batches = Buckets(examples.ids.lengths, size=256, tokens=TOKENS_PER_BATCH)
    model.eval()  # type: ignore[no-untyped-call]
    with torch.inference_mode(), mixed(training, model.device):
        for places in track(batches, "frozen layers", len(batches), progress):
            batch = _on(model, collate([rows[i] for i in places]))
            said = lower.states(batch).float().cpu().numpy()
            for place, row in zip(places, said, strict=True):
                start, length = examples.ids.starts[place], examples.ids.lengths[place]
                states[start : start + length] = row[:length]
    states.flush()
    temporary.replace(path)


def _works(lower: LowerPart, model: PreTrainedModel, examples: Examples) -> bool:
    """Whether the upper part, fed with the lower part's output, says what the whole model says."""
    rows = Rows(examples)
    batch = _on(model, collate([rows[i] for i in range(min(4, len(rows)))]))
    model.eval()  # type: ignore[no-untyped-call]
    with torch.inference_mode():
        expected = model(**batch).logits
        try:
            states = lower.states(batch)
            lower.take_out()
            found = model(inputs_embeds=states, attention_mask=batch["attention_mask"]).logits
        except (TypeError, ValueError, RuntimeError, AttributeError, AssertionError):
            return False
        finally:
            lower.put_back()
    return bool(torch.allclose(expected, found, atol=_ALIKE, rtol=_ALIKE))


def order_is_free(model: PreTrainedModel, rows: Rows) -> bool:
    """Whether the upper part, on cached rows, knows tokens' places only by what their states say.

    Then tokens can be left out. Encoders with relative or rotary positions count them instead.
    """
    row = rows[int(rows.examples.ids.lengths.argmax())]
    states = row["inputs_embeds"]
    turned = {**row, "inputs_embeds": np.concatenate([states[:1], states[:0:-1]])}
    model.eval()  # type: ignore[no-untyped-call]
    with torch.inference_mode():
        first, second = (
            model.base_model(**_on(model, collate([r]))).last_hidden_state[:, 0]
            for r in (row, turned)
        )
    return bool(torch.allclose(first, second, atol=_ALIKE, rtol=_ALIKE))


def _on(model: PreTrainedModel, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: t.to(model.device) for name, t in batch.items() if name != "labels"}
