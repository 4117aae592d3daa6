"""Parts of many-to-many networks: no normalization, and states carried from batch to batch."""

from typing import Any

import keras
from keras import ops

__all__ = ["Carried", "Unscaled"]


@keras.saving.register_keras_serializable("gatecast")
class Unscaled(keras.layers.Layer):
    """Features (B, M, W) to location 0 and scale 1 (B, M, 2): a pair of all steps would know the future."""

    def call(self, features: Any) -> Any:
        """(B, M, W) to (B, M, 2)."""
        zero = ops.zeros_like(features[..., :1])
        return ops.concatenate([zero, zero + 1.0], axis=-1)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """(B, M, 2)."""
        return (*input_shape[:-1], 2)


class Carried(keras.layers.Layer):
    """A network with states, called on one chunk of every lane after the other (truncated backpropagation in time).

    `reader` takes and returns `state_0, …` beside its own input and output. The states after a batch are kept for the
    next one; no gradient goes back into the batch before (Williams & Peng 1990). For training only: it is never saved.
    """

    def __init__(self, reader: keras.Model, lanes: int, *, name: str | None = None) -> None:
        super().__init__(name=name)
        self.reader = reader
        self.kept = {
            tensor.name: self.add_weight(
                shape=(lanes, *tensor.shape[1:]), initializer="zeros", trainable=False, name=tensor.name
            )
            for tensor in reader.inputs
            if tensor.name.startswith("state_")
        }

    def call(self, arrays: dict[str, Any], training: bool | None = None) -> Any:
        """The reader's inputs and `fresh` (B, 1), 1 where a lane begins anew, to the reader's output (B, T, P)."""
        given = {name: values for name, values in arrays.items() if name != "fresh"}
        before = {name: kept * (1.0 - arrays["fresh"]) for name, kept in self.kept.items()}
        outputs = dict(self.reader({**given, **before}, training=training))
        for name, kept in self.kept.items():
            kept.assign(ops.stop_gradient(outputs.pop(name)))
        (output,) = outputs.values()
        return output
