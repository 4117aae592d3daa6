"""Arrays in, arrays out: an ONNX Runtime session."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import NamedTuple

import onnxruntime as ort

from forecasting.columns import check_axes
from forecasting.errors import ArtifactError
from forecasting.series.windows import Batch

__all__ = ["Engine", "Graphs", "pieces"]

# where a graph looks for weights in other files, which no manifest lists; by default in the working directory
_OTHER_FILES = "session.model_external_initializers_file_folder_path"
_WINDOWS = 32  # in one call: all steps of a recurrent layer stay in the caches, a third faster than 1,024

_AXES = {"past": "BTD", "future": "BHF", "static": "BS", "codes": "BK", "symbols": "BT", "memory": "BTE"}  # else states


class Graphs(NamedTuple):
    """The serialized ONNX models of a bundle: all at once, or a reader of the context and one step after it."""

    model: bytes
    step: bytes | None = None


class Engine:
    """A network, or a baseline: named arrays to named arrays."""

    def __init__(self, model: bytes, *, threads: int = 0) -> None:
        """Open the content of an ONNX file; raises ArtifactError if it cannot, or if the graph names other files.

        `threads` share every operator; 0 means one per core. They synchronize after each step of a recurrent layer: for
        many windows, single-threaded pieces are faster.
        """
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        options.add_session_config_entry(_OTHER_FILES, os.devnull)
        try:
            self._session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime raises its own unrelated classes, all mean the same here
            raise ArtifactError(f"model.onnx cannot be opened: {error}") from error
        self.inputs = {value.name: value.shape for value in self._session.get_inputs()}
        self.outputs = {value.name: value.shape for value in self._session.get_outputs()}
        self._axes = {name: _axes(name, shape) for name, shape in self.inputs.items()}

    def run(self, batch: Batch) -> Batch:
        """All outputs of a batch by name; raises GatecastError if an input has the wrong shape."""
        missing = sorted(self.inputs.keys() - batch.keys())
        if missing:
            raise ArtifactError(f"the model needs the input(s) {', '.join(missing)}, got {', '.join(sorted(batch))}")
        for name, (axes, sizes) in self._axes.items():
            check_axes(batch[name], axes, sizes, name=name)
        results = self._session.run(None, {name: batch[name] for name in self.inputs})
        return dict(zip(self.outputs, results, strict=True))


def pieces(batch: Batch, size: int = _WINDOWS) -> Iterator[Batch]:
    """A batch of windows in pieces of `size`, by default the size that one call reads fastest."""
    count = len(next(iter(batch.values())))
    for begin in range(0, max(1, count), size):
        yield {name: values[begin : begin + size] for name, values in batch.items()}


def _axes(name: str, shape: list[int | str]) -> tuple[str, dict[str, int]]:
    """The axis letters of an input, a grid before the last one, and the sizes of those that are fixed."""
    axes = _AXES.get(name.partition("_")[0], "BU")
    axes = (axes[:-1] + "YX"[max(0, 2 + len(axes) - len(shape)) :] + axes[-1])[: len(shape)]
    return axes, {axis: size for axis, size in zip(axes, shape, strict=False) if isinstance(size, int)}
