"""The device that trains the network, and whether its recurrent layers take the fused GPU path."""

from __future__ import annotations

import contextlib
import os
from typing import Any, Final, Literal

import keras
import numpy as np

from forecasting.config.training import Train
from forecasting.errors import ConfigError
from forecasting.runtime.processes import cores

__all__ = ["chosen", "compiled", "describe", "gpus", "seed_round", "set_up"]


def set_up(config: Train) -> None:
    """Seed every generator, choose the precision of the layers, and ask for deterministic kernels unless told not to.

    TensorFlow keeps that wish until its process ends. Raises ConfigError if there are fewer devices than configured.
    """
    _halve_threads()
    _share(chosen(config.devices))
    keras.utils.set_random_seed(config.seed)
    keras.config.set_dtype_policy(config.precision)
    if config.deterministic and keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        tf.config.experimental.enable_op_determinism()


def _halve_threads() -> None:
    """Let each operator of TensorFlow use half of the cores, since two of them can run at the same time.

    A recurrent step has small products; cores that share one wait for each other. TF_NUM_INTRAOP_THREADS in the
    environment overrides it, and a TensorFlow that runs already keeps its threads.
    """
    if keras.backend.backend() != "tensorflow" or "TF_NUM_INTRAOP_THREADS" in os.environ:
        return
    import tensorflow as tf

    with contextlib.suppress(RuntimeError):
        tf.config.threading.set_intra_op_parallelism_threads(max(1, cores() // 2))


def compiled(network: keras.Model, jit: bool | Literal["auto"]) -> bool:
    """Whether XLA is to compile the train step of `network`.

    `auto` compiles on JAX, which is slow without. On TensorFlow, the fused kernels of a GPU and the graph on a CPU are
    faster than XLA. Raises ConfigError where XLA was asked for and Keras would leave it out in silence.
    """
    if jit == "auto":
        return keras.backend.backend() == "jax"
    if jit and keras.backend.backend() == "tensorflow" and _deterministic():
        raise ConfigError(
            "train.jit and train.deterministic are both true: on TensorFlow, XLA has no deterministic kernels; "
            "set one of them to false"
        )
    if jit and (without := [layer.name for layer in network.layers if not layer.supports_jit]):
        raise ConfigError(f"train.jit is true, but XLA cannot compile {', '.join(without)}; set it to auto")
    return jit


def _deterministic() -> bool:
    from tensorflow.python.framework.config import is_op_determinism_enabled

    return bool(is_op_determinism_enabled())


def seed_round(network: keras.Model, seed: int, number: int) -> None:
    """Let what `network` draws, its dropout, depend on `seed` and the round alone: a resumed fit draws the same.

    Keras keeps the state of these generators in no weights file.
    """
    states = [variable for variable in network.variables if variable.name == "seed_generator_state"]
    drawn = np.random.SeedSequence([seed, number]).generate_state(2 * len(states)).reshape(-1, 2)
    for state, value in zip(states, drawn, strict=True):
        state.assign(value)


def describe(network: keras.Model, config: Train) -> list[str]:
    """One line for the device and its compiler, one for each recurrent layer: fused, or the reason why not.

    Raises ConfigError where `train.jit` or `train.devices` cannot be had.
    """
    cards, backend, count = gpus(), keras.backend.backend(), len(chosen(config.devices))
    compiler = f"{backend}, compiled by XLA" if compiled(network, config.jit) else backend
    device = cards[0] if cards else "CPU"
    lines = [f"device: {f'{count} × ' if count > 1 else ''}{device} ({compiler})"]
    for layer in network.layers:
        reason = _not_fused(layer, bool(cards))
        if reason is not None:
            lines.append(f"{layer.name}: {'fused cuDNN kernel' if reason == '' else f'generic loop, {reason}'}")
    return lines


def gpus() -> list[str]:
    """What the backend calls its GPUs, or other accelerators."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return [
            str(tf.config.experimental.get_device_details(gpu).get("device_name", gpu.name))
            for gpu in tf.config.list_physical_devices("GPU")
        ]
    return [name for name in keras.distribution.list_devices() if not name.startswith("cpu")]


def chosen(wanted: int | Literal["auto"]) -> list[str]:
    """The names of the devices that share every batch; `auto` takes all accelerators, and else the one CPU.

    Raises ConfigError if there are fewer than `wanted`, or if the backend is neither TensorFlow nor JAX.
    """
    there = _there()
    count = wanted if wanted != "auto" else max(len(gpus()), 1)
    if count > 1 and keras.backend.backend() not in ("tensorflow", "jax"):
        raise ConfigError(f"train.devices is {wanted}, which needs TensorFlow or JAX; set it to 1")
    if count > len(there):
        raise ConfigError(f"train.devices is {count}, but there are {len(there)}: {', '.join(there)}")
    return there[:count]


def _share(devices: list[str]) -> None:
    """Let JAX place weights on all these devices and split every batch among them; one device shares nothing.

    TensorFlow does it in the train step, see `replicas`.
    """
    if keras.backend.backend() == "jax":
        several = len(devices) > 1
        keras.distribution.set_distribution(keras.distribution.DataParallel(devices=devices) if several else None)


def _there() -> list[str]:
    """All devices of the best kind that the backend has."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        found = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
        return [device.name for device in found]
    there = keras.distribution.list_devices() if keras.backend.backend() == "jax" else ["the only one"]
    return [name for name in there if not name.startswith("cpu")] or list(there)


# layers that Keras gives to cuDNN, by backend
_FUSED: Final = {"tensorflow": ("LSTM", "GRU"), "torch": ("LSTM", "GRU"), "jax": ("LSTM",)}


def _not_fused(layer: Any, gpu: bool) -> str | None:
    """Why a recurrent layer cannot use cuDNN; empty if it can; none if the layer is not recurrent.

    The conditions are those of Keras's own LSTM and GRU layers.
    """
    cell = layer.forward_layer if isinstance(layer, keras.layers.Bidirectional) else layer
    if not isinstance(cell, keras.layers.RNN):
        return None
    backend = keras.backend.backend()
    if type(cell).__name__ not in _FUSED.get(backend, ()):
        return f"no fused kernel for {type(cell).__name__} on {backend}"
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
