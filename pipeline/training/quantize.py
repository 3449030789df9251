"""The 8-bit graph: weights per channel, activations by what each batch holds.

A few channels behind a layer norm are far larger than the others and would leave those few of the
256 steps. So where a linear layer reads a layer norm (attention's projections, the first of the
feed-forward part), its input is divided and its weights multiplied, channel by channel, until both
are about equally large (SmoothQuant; Xiao et al., ICML 2023): the product stays the same. Where
that is not enough, the layers that narrow again stay in 32 bits: activation functions have the
widest outputs (Bondarenko, Nagel and Blankevoort, EMNLP 2021). Word embeddings stay in 32 bits, as
ONNX Runtime knows only one scale for all of them.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.inference.encoding import batches, pad
from pipeline.inference.folder import ONNX, ONNX_INT8
from pipeline.training.calibrate import Array

RUNGS = ("every linear layer", "every linear layer but the narrowing ones")
"""Ways to quantise, the fastest first."""
CALIBRATION_TEXTS = 64
_SHARE = 0.5
"""How much of the unevenness moves from activations to weights (SmoothQuant's alpha)."""
_SMALLEST = 1e-5


def quantize(folder: Path, ids: Sequence[Sequence[int]], rung: int = 0) -> None:
    """Write ``onnx/model_quantized.onnx`` from ``onnx/model.onnx``.

    Args:
        folder: the model folder.
        ids: encoded training texts, from which the usual size of each channel is read.
        rung: which of `RUNGS`.
    """
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    model = onnx.load(str(folder / ONNX))
    narrowing = [
        node.name for node, weights in _layers(model) if weights.dims[0] >= 2 * weights.dims[1]
    ]
    smooth(model, ids)
    with tempfile.TemporaryDirectory() as work:
        smoothed = Path(work) / "smoothed.onnx"
        onnx.save(model, str(smoothed))
        quantize_dynamic(
            smoothed,
            folder / ONNX_INT8,
            per_channel=True,
            weight_type=QuantType.QInt8,
            op_types_to_quantize=["MatMul", "Attention"],
            nodes_to_exclude=narrowing if rung else [],
            extra_options={"MatMulConstBOnly": True, "DefaultTensorType": onnx.TensorProto.FLOAT},
        )


def smooth(model: Any, ids: Sequence[Sequence[int]]) -> None:
    """Even out what linear layers read, in place; the graph's answers stay the same.

    Args:
        model: an ONNX graph.
        ids: encoded training texts, from which the usual size of each channel is read.
    """
    uses = Counter(name for node in model.graph.node for name in node.input)
    norms = {
        name
        for node in model.graph.node
        if "LayerNormalization" in node.op_type
        for name in node.output
    }
    layers = [
        (node, weights)
        for node, weights in _layers(model)
        if (weights.dims[0] < weights.dims[1] or node.input[0] in norms) and uses[weights.name] == 1
    ]
    _scale(model, layers, _largest(model, [node.input[0] for node, _ in layers], ids))


def _layers(model: Any) -> list[tuple[Any, Any]]:
    """The linear layers of a graph, each with its weights, a tensor of (inputs, outputs)."""
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    return [
        (node, weights[node.input[1]])
        for node in model.graph.node
        if node.op_type in ("MatMul", "Attention") and node.input[1] in weights
    ]


def _largest(model: Any, inputs: Sequence[str], ids: Sequence[Sequence[int]]) -> dict[str, Array]:
    """Per named input of layers, the largest absolute value of each channel over real tokens."""
    import onnx
    import onnxruntime

    names = sorted(set(inputs))
    watched = onnx.ModelProto()
    watched.CopyFrom(model)
    watched.graph.output.extend(
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in names
    )
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        watched.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    wanted = {entry.name for entry in session.get_inputs()}
    largest: dict[str, Array] = {}
    for batch in batches([len(row) for row in ids], tokens=1024):
        padded, mask = pad([ids[i] for i in batch])
        feed = {"input_ids": padded, "attention_mask": mask}
        found = session.run(names, {k: v for k, v in feed.items() if k in wanted})
        for name, values in zip(names, found, strict=True):
            # The last layer may hold the first token alone (pipeline.inference.first_token).
            real = mask[:, : values.shape[1]].astype(bool)
            seen = np.abs(values[real]).max(axis=0)
            largest[name] = np.maximum(largest.get(name, 0.0), seen)
    return largest


def _scale(model: Any, layers: Sequence[tuple[Any, Any]], largest: dict[str, Array]) -> None:
    """Put a channel-wise factor before each layer, and its inverse into the layer's weights."""
    from onnx import helper, numpy_helper

    before: dict[str, Any] = {}
    for layer, tensor in layers:
        values = numpy_helper.to_array(tensor)
        rows = np.maximum(np.abs(values).max(axis=1), _SMALLEST)
        factor = np.maximum(largest[layer.input[0]], _SMALLEST) ** _SHARE / rows ** (1 - _SHARE)
        factor = (factor / np.exp(np.log(factor).mean())).astype(np.float32)
        tensor.CopyFrom(numpy_helper.from_array(values * factor[:, None], tensor.name))
        name = f"{layer.name or layer.output[0]}/smoothed"
        model.graph.initializer.append(numpy_helper.from_array(1 / factor, f"{name}/factor"))
        inputs = [layer.input[0], f"{name}/factor"]
        before[layer.output[0]] = helper.make_node("Mul", inputs, [name], name)
        layer.input[0] = name
    nodes = []
    for node in model.graph.node:
        if node.output[0] in before:
            nodes.append(before[node.output[0]])
        nodes.append(type(node).FromString(node.SerializeToString()))
    del model.graph.node[:]
    model.graph.node.extend(nodes)
