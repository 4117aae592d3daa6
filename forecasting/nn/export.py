"""Keras network → ONNX model, layer by layer, in fp32 and without a GPU or a converter."""

from collections.abc import Callable
from typing import Any, Final

import keras
import numpy as np
import onnxruntime

from forecasting.errors import GatecastError
from forecasting.nn.exporters import builtin, own, recurrent
from forecasting.nn.exporters.graph import Graph
from forecasting.nn.heads.quantile import QuantileHead
from forecasting.nn.layers.code_embedding import CodeEmbedding
from forecasting.nn.layers.highway import Highway
from forecasting.nn.layers.reversible_norm import Normalise, WindowFrame

__all__ = ["EXPORTERS", "parity", "to_onnx"]

EXPORTERS: Final[dict[type[Any], Callable[[Graph, Any, list[str]], str]]] = {
    keras.layers.SimpleRNN: recurrent.recurrent,
    keras.layers.LSTM: recurrent.recurrent,
    keras.layers.GRU: recurrent.recurrent,
    keras.layers.Bidirectional: recurrent.bidirectional,
    keras.layers.Dense: builtin.dense,
    keras.layers.Dropout: builtin.identity,
    keras.layers.Concatenate: builtin.concatenate,
    keras.layers.Embedding: builtin.embedding,
    keras.layers.RepeatVector: builtin.repeat_vector,
    keras.layers.Reshape: builtin.reshape,
    WindowFrame: own.window_frame,
    Normalise: own.normalise,
    Highway: own.highway,
    CodeEmbedding: own.code_embedding,
    QuantileHead: own.quantile_head,
}


def to_onnx(model: keras.Model, output: str = "quantiles") -> bytes:
    """The serialised ONNX model of a functional network: same input names, its output named `output`, dynamic batch.

    Weights are written in fp32 whatever the precision of training. Raises GatecastError that names every layer
    which has no entry in `EXPORTERS`, or a layer that is used twice.
    """
    unknown = [
        f"{layer.name} ({type(layer).__name__})"
        for layer in model.layers
        if type(layer) not in EXPORTERS and not isinstance(layer, keras.layers.InputLayer)
    ]
    if unknown:
        raise GatecastError(f"no ONNX form is known for {', '.join(unknown)}; add it to EXPORTERS")
    graph = Graph()
    names = {id(tensor): graph.input(name, tensor.shape, tensor.dtype) for name, tensor in _inputs(model).items()}
    pending = [layer for layer in model.layers if not isinstance(layer, keras.layers.InputLayer)]
    while pending:  # the order of `model.layers` is not promised: take whichever layer has all its inputs
        ready = [layer for layer in pending if all(id(tensor) in names for tensor in _tensors(layer.input))]
        if not ready:
            raise GatecastError(f"layer {pending[0].name} is used more than once, which cannot be exported")
        for layer in ready:
            sources = [names[id(tensor)] for tensor in _tensors(layer.input)]
            names[id(layer.output)] = EXPORTERS[type(layer)](graph, layer, sources)
        pending = [layer for layer in pending if layer not in ready]
    result = model.outputs[0]
    return bytes(graph.model(names[id(result)], output, result.shape).SerializeToString())


def parity(model: keras.Model, content: bytes, batch: dict[str, Any]) -> float:
    """The largest absolute difference between Keras and ONNX Runtime on one batch; infinite where one is not finite.

    Keras runs in fp32 on the CPU, as the exported model does, whatever it was trained in.
    """
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    exported = np.asarray(session.run(None, batch)[0])
    with keras.device("cpu"):
        twin = type(model).from_config(_in_float32(model.get_config()))
        twin.set_weights(model.get_weights())
        expected = keras.ops.convert_to_numpy(twin(batch, training=False))
    difference = float(np.max(np.abs(exported - expected), initial=0.0))
    return difference if np.isfinite(difference) else float("inf")


def _inputs(model: keras.Model) -> dict[str, Any]:
    return {tensor.name: tensor for tensor in model.inputs}


def _tensors(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _in_float32(config: Any) -> Any:
    """The same configuration with every mixed or half precision replaced by float32."""
    if isinstance(config, dict):
        if config.get("class_name") == "DTypePolicy":
            return {**config, "config": {"name": "float32"}}
        return {key: _in_float32(value) for key, value in config.items()}
    return [_in_float32(value) for value in config] if isinstance(config, list) else config
