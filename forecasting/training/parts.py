"""Large batches in two halves, whose recurrent layers run side by side."""

from __future__ import annotations

from typing import Any, Final

import keras
from keras import ops

from forecasting.config.training import Train
from forecasting.training.devices import compiled, gpus
from forecasting.training.replicas import Replicas

__all__ = ["SMALLEST", "in_halves", "whole"]

SMALLEST: Final = 256  # windows of a batch: halves of fewer cost more than they win
_NAME: Final = "in_halves"


def in_halves(network: keras.Model, config: Train, size: int) -> keras.Model:
    """What learns in place of `network`: itself, or for batches of `size` windows the same weights on two halves.

    A recurrent layer is a chain of small operators. Two cores inside one of them wait for each other after each;
    TensorFlow runs two chains side by side. Both directions of a bidirectional layer are two chains already, a GPU has
    its fused kernels, the segments of SegRNN are few, and XLA runs its programs one by one: those stay whole.
    """
    alone = config.devices in (1, "auto")  # CPUs are never shared unless a number of them is given
    apart = keras.backend.backend() == "tensorflow" and alone and not gpus() and not compiled(network, config.jit)
    if not apart or size < SMALLEST or not _is_chain(network):
        return network
    halves = [network(keras.tree.map_structure(Half(second), network.input)) for second in (False, True)]
    return keras.Model(network.input, keras.layers.Concatenate(axis=0, dtype="float32")(halves), name=_NAME)


def whole(learner: keras.Model) -> keras.Model:
    """The network whose weights learn."""
    if isinstance(learner, Replicas):
        return learner.network
    if learner.name != _NAME:
        return learner
    return next(layer for layer in learner.layers if isinstance(layer, keras.Model))


def _is_chain(network: keras.Model) -> bool:
    kinds = {type(layer) for layer in network.layers}
    return keras.layers.Bidirectional not in kinds and any(issubclass(kind, keras.layers.RNN) for kind in kinds)


class Half(keras.layers.Layer):
    """The first half of a batch (B, …), or the second one, which is larger by one where B is odd."""

    def __init__(self, second: bool) -> None:
        super().__init__(dtype="float32")
        self.second = second

    def call(self, values: Any) -> Any:
        """(B, …) to about half as many rows."""
        middle = ops.shape(values)[0] // 2
        return values[middle:] if self.second else values[:middle]
