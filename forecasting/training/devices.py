"""The device that trains the network, and whether its recurrent layers take the fused GPU path."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

__all__ = ["describe", "make_deterministic", "seed_round"]


def make_deterministic(seed: int) -> None:
    """Seed every generator and, on TensorFlow, ask for deterministic kernels: two runs give the same numbers."""
    keras.utils.set_random_seed(seed)
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        tf.config.experimental.enable_op_determinism()


def seed_round(network: keras.Model, seed: int, number: int) -> None:
    """Let what `network` draws, its dropout, depend on `seed` and the round alone: a resumed fit draws the same.

    Keras keeps the state of these generators in no weights file.
    """
    states = [variable for variable in network.variables if variable.name == "seed_generator_state"]
    drawn = np.random.SeedSequence([seed, number]).generate_state(2 * len(states)).reshape(-1, 2)
    for state, value in zip(states, drawn, strict=True):
        state.assign(value)


def describe(network: keras.Model) -> list[str]:
    """One line for the device and one for each recurrent layer: fused, or the reason why not."""
    gpus = _gpus()
    lines = [f"device: {gpus[0] if gpus else 'CPU'} ({keras.backend.backend()})"]
    for layer in network.layers:
        reason = _not_fused(layer, bool(gpus))
        if reason is not None:
            lines.append(f"{layer.name}: {'fused cuDNN kernel' if reason == '' else f'generic loop, {reason}'}")
    return lines


def _gpus() -> list[str]:
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return [
            str(tf.config.experimental.get_device_details(gpu).get("device_name", gpu.name))
            for gpu in tf.config.list_physical_devices("GPU")
        ]
    return [name for name in keras.distribution.list_devices() if not name.startswith("cpu")]


def _not_fused(layer: Any, gpu: bool) -> str | None:
    """Why a recurrent layer cannot use cuDNN; empty if it can; none if the layer is not recurrent.

    The conditions are those of Keras's own LSTM and GRU layers.
    """
    cell = layer.forward_layer if isinstance(layer, keras.layers.Bidirectional) else layer
    if not isinstance(cell, keras.layers.RNN):
        return None
    if not isinstance(cell, keras.layers.LSTM | keras.layers.GRU):
        return f"no fused kernel for {type(cell).__name__}"
    conditions = {
        "its activation is not tanh": cell.activation is keras.activations.tanh,
        "its gate activation is not sigmoid": cell.recurrent_activation is keras.activations.sigmoid,
        "it has recurrent dropout": cell.recurrent_dropout == 0,
        "it is unrolled": not cell.unroll,
        "it has no bias": cell.use_bias,
        "its reset gate is applied before the product": getattr(cell, "reset_after", True),
        "no GPU": gpu,
    }
    return "; ".join(reason for reason, holds in conditions.items() if not holds)
