"""Keras network → ONNX model, layer by layer, in fp32 and without a GPU or a converter."""

from collections.abc import Callable
from typing import Any, Final

import keras
import numpy as np
import onnxruntime

from forecasting.errors import GatecastError
from forecasting.nn.cells.conv_lstm_peephole import ConvLSTMPeephole
from forecasting.nn.exporters import (
    attention,
    builtin,
    code_embedding,
    convolutional,
    cycle,
    frames,
    heads,
    highway,
    recurrent,
    reversible_norm,
    segments,
    symbols,
)
from forecasting.nn.exporters.graph import Graph
from forecasting.nn.heads.categorical import CategoricalHead
from forecasting.nn.heads.negative_binomial import NegativeBinomialHead
from forecasting.nn.heads.normal import NormalHead
from forecasting.nn.heads.quantile import QuantileHead
from forecasting.nn.heads.student_t import StudentTHead
from forecasting.nn.layers.attention import Attention
from forecasting.nn.layers.code_embedding import CodeEmbedding
from forecasting.nn.layers.cycle import CycleShift, KnownPast
from forecasting.nn.layers.frames import EveryPlace, EveryStep, LastFrame, Patches, Places
from forecasting.nn.layers.highway import Highway, WideHighway
from forecasting.nn.layers.lagged import Held, Lagged
from forecasting.nn.layers.reversible_norm import LocationScale, Normalise
from forecasting.nn.layers.segments import Segments, SharedRecurrence, Steps
from forecasting.nn.layers.symbols import Unscaled

__all__ = ["EXPORTERS", "parity", "to_onnx"]

# each writes one call of its layer: from the names of the call's inputs to the name of its output, or the
# list of names of its outputs; `graph.shapes` knows the shapes of the inputs
EXPORTERS: Final[dict[type[Any], Callable[[Graph, Any, list[str]], str | list[str]]]] = {
    keras.layers.SimpleRNN: recurrent.recurrent,
    keras.layers.LSTM: recurrent.recurrent,
    keras.layers.GRU: recurrent.recurrent,
    keras.layers.RNN: recurrent.recurrent,
    keras.layers.ConvLSTM1D: convolutional.conv_recurrent,
    keras.layers.ConvLSTM2D: convolutional.conv_recurrent,
    ConvLSTMPeephole: convolutional.conv_recurrent,
    keras.layers.Bidirectional: recurrent.bidirectional,
    keras.layers.Dense: builtin.dense,
    keras.layers.Dropout: builtin.identity,
    keras.layers.Concatenate: builtin.concatenate,
    keras.layers.Embedding: builtin.embedding,
    keras.layers.Permute: builtin.permute,
    keras.layers.RepeatVector: builtin.repeat_vector,
    keras.layers.Reshape: builtin.reshape,
    keras.layers.UpSampling1D: builtin.repeat_steps,
    LocationScale: reversible_norm.location_scale,
    Normalise: reversible_norm.normalise,
    Highway: highway.highway,
    WideHighway: highway.wide_highway,
    KnownPast: cycle.known_past,
    CycleShift: cycle.moved,
    CodeEmbedding: code_embedding.code_embedding,
    Segments: segments.segments,
    SharedRecurrence: segments.shared_recurrence,
    Steps: segments.steps,
    Patches: frames.patches,
    Places: frames.places,
    LastFrame: frames.last_step,
    EveryStep: frames.every_step,
    EveryPlace: frames.every_place,
    Attention: attention.attention,
    Lagged: attention.lagged,
    Held: attention.held,
    Unscaled: symbols.unscaled,
    QuantileHead: heads.quantile_head,
    NormalHead: heads.normal_head,
    StudentTHead: heads.student_t_head,
    NegativeBinomialHead: heads.negative_binomial_head,
    CategoricalHead: heads.categorical_head,
}


def to_onnx(model: keras.Model, output: str = "quantiles") -> bytes:
    """The serialized ONNX model of a functional network: same input names, dynamic batch.

    A single output is called `output`, those of a dict have their keys as names. An output with the name of an input, a
    state carried from call to call, becomes "next_" and that name, since names in ONNX are unique. Layers may be called
    several times. Weights are written in fp32 whatever the precision of training. Raises GatecastError that lists
    everything in the network without an entry in `EXPORTERS`.
    """
    calls = _calls(model)
    unknown = {call.operation.name: type(call.operation) for call in calls if type(call.operation) not in EXPORTERS}
    if unknown:
        listed = ", ".join(f"{name} ({kind.__name__})" for name, kind in unknown.items())
        raise GatecastError(f"no exporter for {listed}; add it to EXPORTERS")
    graph = Graph()
    names = {id(tensor): graph.input(tensor.name, tensor.shape, tensor.dtype) for tensor in model.inputs}
    for call in calls:
        made = EXPORTERS[type(call.operation)](graph, call.operation, [names[id(read)] for read in call.input_tensors])
        for tensor, name in zip(call.outputs, [made] if isinstance(made, str) else made, strict=True):
            names[id(tensor)], graph.shapes[name] = name, tuple(tensor.shape)
    for name, tensor in _outputs(model, output).items():
        graph.output(name, names[id(tensor)], tensor.shape)
    return bytes(graph.model().SerializeToString())


def parity(model: keras.Model, content: bytes, batch: dict[str, Any]) -> float:
    """The largest difference |a - b| / max(1, |b|) between ONNX Runtime (a) and Keras (b) on one batch, all outputs.

    Keras runs in fp32 on the CPU, like the exported model, whatever the precision of training. A value that is not
    finite in either makes the difference infinite.
    """
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    names = [value.name for value in session.get_outputs()]
    exported = dict(zip(names, session.run(None, batch), strict=True))
    with keras.device("cpu"):
        twin = type(model).from_config(_in_float32(model.get_config()))
        twin.set_weights(model.get_weights())
        expected = _outputs(model, names[0], twin(batch, training=False))
    pairs = ((exported[name], keras.ops.convert_to_numpy(tensor)) for name, tensor in expected.items())
    return max(_difference(np.asarray(a, np.float64), np.asarray(b, np.float64)) for a, b in pairs)


def _calls(model: keras.Model) -> list[Any]:
    """Every call of a layer that leads from the inputs to the outputs, each after those that it reads from.

    A layer does not know which of its calls belong to this network; the network does.
    """
    depths = model._nodes_by_depth
    return [call for depth in sorted(depths, reverse=True) for call in depths[depth] if not call.is_input]


def _outputs(model: keras.Model, output: str, values: Any = None) -> dict[str, Any]:
    """The network's outputs, or `values` of the same structure, by their names in ONNX."""
    values = model.output if values is None else values
    if not isinstance(values, dict):
        return {output: values}
    taken = {tensor.name for tensor in model.inputs}
    return {f"next_{name}" if name in taken else name: value for name, value in values.items()}


def _difference(exported: Any, expected: Any) -> float:
    relative = np.abs(exported - expected) / np.maximum(1.0, np.abs(expected))
    difference = float(np.max(relative, initial=0.0))
    return difference if np.isfinite(difference) else float("inf")


def _in_float32(config: Any) -> Any:
    """The same configuration with every mixed or half precision replaced by float32."""
    if isinstance(config, dict):
        if config.get("class_name") == "DTypePolicy":
            return {**config, "config": {"name": "float32"}}
        return {key: _in_float32(value) for key, value in config.items()}
    return [_in_float32(value) for value in config] if isinstance(config, list) else config
