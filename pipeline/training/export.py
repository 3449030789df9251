"""Writing the model folder: calibrated weights, tokenizer, ONNX graph and the contract."""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer
from transformers import AutoTokenizer, PreTrainedModel

from pipeline import __version__
from pipeline.errors import DataError, PipelineError
from pipeline.inference.backends import OnnxBackend
from pipeline.inference.encoding import pad
from pipeline.inference.folder import (
    CONTRACT,
    FORMAT,
    ONNX,
    TOKENIZER,
    CleaningFacts,
    Contract,
    TaskFacts,
)
from pipeline.settings import Settings
from pipeline.training.calibrate import Array, Calibration

PARITY = 1e-4
"""How far probabilities of the ONNX graph may be from torch's."""


def fold(model: PreTrainedModel, calibration: Calibration) -> None:
    """Fold an affine change of the logits into the model's last linear layer, in place.

    Raises:
        DataError: the model has no such layer.
    """
    layer = output_layer(model)
    scale = torch.from_numpy(calibration.scale).float()
    shift = torch.from_numpy(calibration.shift).float()
    with torch.no_grad():
        layer.weight.mul_(scale[:, None])
        layer.bias.mul_(scale).add_(shift)


def output_layer(model: PreTrainedModel) -> torch.nn.Linear:
    """The model's last linear layer, whose outputs are the logits.

    Raises:
        DataError: the model has no such layer.
    """
    layers = [m for m in model.modules() if isinstance(m, torch.nn.Linear)]
    last = next((m for m in reversed(layers) if m.out_features == model.config.num_labels), None)
    if last is None or last.bias is None:
        raise DataError(
            f"{type(model).__name__} has no linear output layer with a bias, so its calibration "
            "cannot be folded into its weights. Choose another base."
        )
    return last


def write_folder(
    folder: Path, model: PreTrainedModel, base: Path, settings: Settings, thresholds: Array
) -> None:
    """Write everything a loader needs into `folder`.

    Raises:
        PipelineError: the ONNX graph does not give torch's answers.
    """
    model.save_pretrained(folder)
    _write_tokenizer(folder, base, settings.training.max_length)
    contract = Contract(
        format=FORMAT,
        version=__version__,
        task=TaskFacts(settings.task.labels, settings.task.multi_label),
        thresholds=tuple(float(t) for t in thresholds),
        max_length=settings.training.max_length,
        cleaning=CleaningFacts(**settings.ingest.cleaning.model_dump()),
        long_messages=settings.training.long_messages,
    )
    (folder / CONTRACT).write_text(contract.to_json(), encoding="utf-8")
    export_onnx(model, folder)


def _write_tokenizer(folder: Path, base: Path, max_length: int) -> None:
    """The base's tokenizer, reading what this model reads.

    A base's file may pad and cut at a length of its own, which whoever opens it without
    transformers would get.
    """
    tokenizer = AutoTokenizer.from_pretrained(base, local_files_only=True)
    tokenizer.model_max_length = max_length
    tokenizer.save_pretrained(folder)
    plain = Tokenizer.from_file(str(folder / TOKENIZER))
    plain.no_padding()
    plain.enable_truncation(max_length)
    plain.save(str(folder / TOKENIZER))


class _Logits(torch.nn.Module):
    """The part of a model that the graph holds: ids and mask in, logits out."""

    def __init__(self, model: PreTrainedModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Logits, shape (batch, labels)."""
        logits: torch.Tensor = self.model(input_ids=input_ids, attention_mask=attention_mask).logits
        return logits


def export_onnx(model: PreTrainedModel, folder: Path) -> None:
    """Write ``onnx/model.onnx`` with free batch and length, fused, and check it against torch.

    Raises:
        PipelineError: probabilities differ by more than `PARITY`.
    """
    (folder / ONNX).parent.mkdir(exist_ok=True)
    attention = model.config._attn_implementation
    model.set_attn_implementation("eager")  # the form that the fusion knows
    try:
        with tempfile.TemporaryDirectory() as work:
            plain = Path(work) / "plain.onnx"
            _trace(model, plain)
            _fuse(plain, folder / ONNX, model.config)
    finally:
        model.set_attn_implementation(attention)
    _check_parity(model, folder)


def _trace(model: PreTrainedModel, path: Path) -> None:
    ids, mask = (torch.from_numpy(a) for a in pad([[1, 2, 3, 4, 5], [1, 2, 3]]))
    axes = {0: "batch", 1: "tokens"}
    # The tracing exporter: what the newer one writes, the fusion of attention does not recognise.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            _Logits(model).eval(),
            (ids, mask),
            path,
            dynamo=False,
            opset_version=17,
            input_names=["input_ids", "attention_mask"],
            output_names=["logits"],
            dynamic_axes={"input_ids": axes, "attention_mask": axes, "logits": {0: "batch"}},
        )


def _fuse(plain: Path, path: Path, config: Any) -> None:
    """Merge attention, layer norms and activations into ONNX Runtime's own fast operators.

    What the optimiser does not recognise in an architecture, it leaves as it was.
    """
    from onnxruntime.transformers import optimizer
    from onnxruntime.transformers.fusion_options import FusionOptions

    fused = optimizer.optimize_model(
        str(plain),
        model_type="bert",
        num_heads=config.num_attention_heads,
        hidden_size=config.hidden_size,
        optimization_options=FusionOptions("bert"),
        opt_level=1,
        use_gpu=False,
    )
    fused.save_model_to_file(str(path))


def _check_parity(model: PreTrainedModel, folder: Path) -> None:
    backend = OnnxBackend(folder)
    rng = np.random.default_rng(0)
    longest = min(64, model.config.max_position_embeddings)
    for lengths in ([1], [13, 2, 5], [longest, 7]):
        rows = [rng.integers(0, model.config.vocab_size, n).tolist() for n in lengths]
        ids, mask = pad(rows)
        with torch.inference_mode():
            expected = model(
                input_ids=torch.from_numpy(ids), attention_mask=torch.from_numpy(mask)
            ).logits
        found = torch.from_numpy(backend.logits(ids, mask)).float()
        gap = (expected.sigmoid() - found.sigmoid()).abs().max().item()
        if gap > PARITY:
            raise PipelineError(
                f"the ONNX graph differs from torch by {gap:.1e} (allowed {PARITY:.0e}) on "
                f"messages of {lengths} tokens; this is a defect of the export."
            )
