"""Two ways to run a model folder's network: ONNX Runtime (no torch needed) and torch."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import ModelFolderError
from pipeline.inference.encoding import Ids
from pipeline.inference.folder import ONNX, WEIGHTS

BackendName = Literal["auto", "onnx", "torch"]


class Backend(Protocol):
    """Runs the network on one padded batch."""

    def logits(self, ids: Ids, mask: Ids) -> NDArray[np.float64]:
        """Logits of shape (batch, labels) for ids and mask of shape (batch, tokens)."""


class OnnxBackend:
    """ONNX Runtime on the CPU."""

    def __init__(self, folder: Path) -> None:
        """Open the folder's graph; raises `ModelFolderError` if it is missing or damaged."""
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = len(os.sched_getaffinity(0)) if _linux() else 0
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(
                folder / ONNX, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # noqa: BLE001 - its own exception types are not public
            raise ModelFolderError(
                f"{folder / ONNX}: not a graph that ONNX Runtime can run "
                f"({type(error).__name__}); copy or train it again."
            ) from None
        self._inputs = {entry.name for entry in self._session.get_inputs()}

    def logits(self, ids: Ids, mask: Ids) -> NDArray[np.float64]:
        """See `Backend.logits`."""
        feed = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        (logits,) = self._session.run(
            ["logits"], {name: value for name, value in feed.items() if name in self._inputs}
        )
        return np.asarray(logits, dtype=np.float64)


class TorchBackend:
    """The folder's own weights through transformers and torch, on the best device there is."""

    def __init__(self, folder: Path) -> None:
        """Load the weights; raises `ModelFolderError` if they are missing or damaged."""
        import torch
        from transformers import AutoModelForSequenceClassification

        try:
            model = AutoModelForSequenceClassification.from_pretrained(
                folder, local_files_only=True, attn_implementation="sdpa"
            )
        except Exception as error:  # noqa: BLE001 - safetensors, OSError, ValueError …
            raise ModelFolderError(
                f"{folder / WEIGHTS}: cannot be loaded ({type(error).__name__}); "
                "copy or train it again."
            ) from None
        self._torch = torch
        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        self._model = model.to(self._device).eval()

    def logits(self, ids: Ids, mask: Ids) -> NDArray[np.float64]:
        """See `Backend.logits`."""
        torch = self._torch
        with torch.inference_mode():
            output = self._model(
                input_ids=torch.from_numpy(ids).to(self._device),
                attention_mask=torch.from_numpy(mask).to(self._device),
            )
        return np.asarray(output.logits.float().cpu().numpy(), dtype=np.float64)


def open_backend(folder: Path, name: BackendName = "auto") -> Backend:
    """The named backend; `auto` takes ONNX Runtime where the folder has a graph for it."""
    if name == "torch" or (name == "auto" and not (folder / ONNX).exists()):
        return TorchBackend(folder)
    return OnnxBackend(folder)


def _linux() -> bool:
    return hasattr(os, "sched_getaffinity")
