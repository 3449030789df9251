"""Two ways to run a model folder's network: ONNX Runtime (no torch needed) and torch."""

from __future__ import annotations

import os
import platform
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal, Protocol, get_args

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import InputError, ModelFolderError
from pipeline.inference.encoding import Ids
from pipeline.inference.folder import ONNX, ONNX_INT8, WEIGHTS, check_files

BackendName = Literal["auto", "onnx-int8", "onnx", "torch"]

_CUDA = "CUDAExecutionProvider"
_INT8_FLAGS = frozenset({"avx512_vnni", "avx_vnni", "asimddp"})
"""CPU features with which 8-bit products are exact in ONNX Runtime, and fast."""


TOKENS_PER_BATCH = 2048
"""Padded tokens a batch: more of them no longer pay on a CPU, and take memory."""


class Backend(Protocol):
    """Runs the network on one padded batch; several threads may do so at once."""

    name: str
    batch_tokens: int
    """How many padded tokens a batch should hold at most."""
    abreast: int
    """How many batches should run at the same time, in threads of the caller's."""

    def logits(self, ids: Ids, mask: Ids) -> NDArray[np.float64]:
        """Logits of shape (batch, labels) for ids and mask of shape (batch, tokens)."""


class OnnxBackend:
    """ONNX Runtime, on a GPU where its GPU build is installed and finds one, else on the CPU."""

    def __init__(self, folder: Path, graph: Path = ONNX, threads: int = 0) -> None:
        """Open one of the folder's graphs.

        Args:
            folder: the model folder.
            graph: the graph's place in it.
            threads: 0: as many as there are cores for this process.

        Raises:
            ModelFolderError: the graph is missing or damaged.
        """
        import onnxruntime

        eight_bits, threads = graph == ONNX_INT8, threads or cores()
        self.name = "onnx-int8" if eight_bits else "onnx"
        # The 8-bit graph scales a batch as a whole: alone, a message scores the same in any
        # company, and sooner than in a batch. Then a core works on a message of its own, since
        # one message is too little work to share.
        self.batch_tokens = 1 if eight_bits else TOKENS_PER_BATCH
        self.abreast = threads if eight_bits else 1
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1 if eight_bits else threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        # A thread that waits must not burn the core that another program needs.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        providers = [_CUDA] if _on_gpu() and graph == ONNX else []
        try:
            self._session = onnxruntime.InferenceSession(
                folder / graph, options, providers=[*providers, "CPUExecutionProvider"]
            )
        except Exception as error:  # noqa: BLE001 - its own exception types are not public
            raise ModelFolderError(
                f"{folder / graph}: not a graph that ONNX Runtime can run "
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

    name = "torch"
    batch_tokens = TOKENS_PER_BATCH
    abreast = 1

    def __init__(self, folder: Path) -> None:
        """Load the weights; raises `ModelFolderError` if they are missing or damaged."""
        import torch
        from transformers import AutoModelForSequenceClassification

        from pipeline.inference.first_token import read_first_token_only

        try:
            model = AutoModelForSequenceClassification.from_pretrained(
                folder, local_files_only=True
            )
        except Exception as error:  # noqa: BLE001 - safetensors, OSError, ValueError …
            raise ModelFolderError(
                f"{folder / WEIGHTS}: cannot be loaded ({type(error).__name__}); "
                "copy or train it again."
            ) from None
        self._torch = torch
        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        read_first_token_only(model)
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


def open_backend(folder: Path, name: BackendName = "auto", threads: int = 0) -> Backend:
    """The named backend; `auto` takes the fastest that the folder and the machine have.

    Raises:
        ModelFolderError: the folder lacks its file, or the file is altered or damaged.
        InputError: the CPU cannot run the 8-bit graph exactly.
    """
    if name not in get_args(BackendName):
        known = ", ".join(get_args(BackendName))
        raise ValueError(f"backend: expected one of {known}, found {name!r}")
    if name == "auto":
        name = _fastest(folder)
    graph = {"onnx-int8": ONNX_INT8, "onnx": ONNX, "torch": Path(WEIGHTS)}[name]
    if not (folder / graph).is_file():
        raise ModelFolderError(f"{folder}: has no {graph.as_posix()}{_WHY_MISSING.get(name, '')}.")
    if name == "onnx-int8" and not has_int8():
        raise InputError(
            "backend 'onnx-int8': this CPU has no 8-bit dot product (AVX-VNNI, AVX-512 VNNI or "
            "ARM's), without which its answers would be neither fast nor exact. Use backend "
            "'onnx', or 'auto', which chooses by itself."
        )
    with ThreadPoolExecutor(1) as beside:  # hashing takes about as long as opening
        whole = beside.submit(check_files, folder, [graph])
        try:
            return TorchBackend(folder) if name == "torch" else OnnxBackend(folder, graph, threads)
        finally:
            whole.result()  # that a file was altered explains more than that it does not load


_WHY_MISSING = {
    "onnx-int8": "; training writes it only where it loses almost nothing. Use backend 'onnx'",
    "onnx": "; train or copy it again, or use backend 'torch'",
}


def _fastest(folder: Path) -> BackendName:
    if not (folder / ONNX).is_file() and not (folder / ONNX_INT8).is_file():
        return "torch"
    if not (folder / ONNX_INT8).is_file() or not has_int8() or _on_gpu():
        return "onnx"
    return "onnx-int8"


def cores() -> int:
    """The cores that this process may use; OMP_NUM_THREADS, which clusters set, may allow less."""
    allowed = os.environ.get("OMP_NUM_THREADS", "")
    if allowed.isdigit() and int(allowed) > 0:
        return int(allowed)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def has_int8() -> bool:
    """Whether this CPU multiplies 8-bit numbers exactly and fast."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:  # not Linux: all of Apple's ARM cores can; of others nothing is known
        return platform.system() == "Darwin" and platform.machine() == "arm64"
    lines = (line for line in text.splitlines() if line.startswith(("flags", "Features")))
    return bool(_INT8_FLAGS & set(next(lines, "").split()))


def _on_gpu() -> bool:
    import onnxruntime

    return _CUDA in onnxruntime.get_available_providers()
