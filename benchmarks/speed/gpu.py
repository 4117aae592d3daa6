"""Training steps on whatever accelerator is there: recurrent networks in float32 and bfloat16, windows a second.

    KERAS_BACKEND=jax python benchmarks/speed/gpu.py
    KERAS_BACKEND=torch python benchmarks/speed/gpu.py --networks lstm-64 gru-64 --steps 20

It needs Keras and one of JAX, PyTorch, and TensorFlow, and nothing of this project: copy it to the machine. It prints
JSON: the device, `tflops` of one large matrix product by precision, and by network and precision the windows a second
of Keras's train step (context 96, horizon 24, AdamW) and, where PyTorch is installed, of a bare loop around its own
layers (`torch`) on the same device. Figures are medians of `--runs`, in turns, after one that warms up.
"""

import argparse
import json
import statistics
import time

import keras
import numpy as np

CONTEXT, HORIZON, QUANTILES = 96, 24, (0.1, 0.5, 0.9)
SEGMENT, PLACES = 12, 16
PRECISIONS = {"float32": "float32", "bfloat16": "mixed_bfloat16"}


def recurrent(layer, units, both=False):
    """Two recurrent layers and one dense layer for all steps and levels."""

    def build():
        inputs = hidden = keras.Input((CONTEXT, 1))
        for sequences in (True, False):
            made = layer(units, return_sequences=sequences)
            hidden = (keras.layers.Bidirectional(made) if both else made)(hidden)
        return inputs, hidden

    return build


def segrnn(units):
    """Segments, a projection, and a GRU (Lin et al. 2023); the decoder is the dense layer that all have here."""

    def build():
        inputs = keras.Input((CONTEXT, 1))
        segments = keras.layers.Reshape((CONTEXT // SEGMENT, SEGMENT))(inputs)
        return inputs, keras.layers.GRU(units)(keras.layers.Dense(units, activation="relu")(segments))

    return build


def conv_lstm(filters):
    """A ConvLSTM over a line of places (Shi et al. 2015)."""

    def build():
        inputs = keras.Input((CONTEXT, PLACES, 1))
        return inputs, keras.layers.Flatten()(keras.layers.ConvLSTM1D(filters, 3, padding="same")(inputs))

    return build


NETWORKS = {
    "lstm-64": recurrent(keras.layers.LSTM, 64),
    "lstm-512": recurrent(keras.layers.LSTM, 512),
    "gru-64": recurrent(keras.layers.GRU, 64),
    "gru-512": recurrent(keras.layers.GRU, 512),
    "bidirectional-64": recurrent(keras.layers.LSTM, 64, both=True),
    "segrnn-512": segrnn(512),
    "conv_lstm-16": conv_lstm(16),
}
PEERS = {  # layer of PyTorch, units, both directions
    "lstm-64": ("LSTM", 64, False),
    "lstm-512": ("LSTM", 512, False),
    "gru-64": ("GRU", 64, False),
    "gru-512": ("GRU", 512, False),
    "bidirectional-64": ("LSTM", 64, True),
}


def main():
    """Measure the requested networks and print the figures as JSON."""
    options = arguments()
    figures = {name: {} for name in options.networks}
    for precision, policy in PRECISIONS.items():
        keras.config.set_dtype_policy(policy)
        for name in options.networks:
            contest = {"keras": keras_steps(NETWORKS[name], options), "torch": torch_steps(name, precision, options)}
            figures[name][precision] = measured(contest, options)
    ceiling = {precision: tflops(precision, options.side) for precision in PRECISIONS}
    report = {"device": device(), "backend": keras.backend.backend(), "date": time.strftime("%Y-%m-%d")}
    print(json.dumps({**report, "batch": options.batch, "tflops": ceiling, "networks": figures}, indent=1))


def measured(contest, options):
    """Windows a second of each, in turns."""
    ready = {name: step for name, step in contest.items() if step}
    turns = [{name: turn(step, options) for name, step in ready.items()} for _ in range(options.runs + 1)]
    return {name: round(statistics.median(rates[name] for rates in turns[1:])) for name in ready}


def turn(step, options):
    """Windows a second; the loss of the last step is read, so that all have ended."""
    begin = time.perf_counter()
    for _ in range(options.steps):
        loss = step()
    float(loss)
    return options.steps * options.batch / (time.perf_counter() - begin)


def keras_steps(build, options):
    """A train step of Keras, compiled where the backend compiles."""
    inputs, hidden = build()
    outputs = keras.layers.Reshape((HORIZON, -1))(keras.layers.Dense(HORIZON * len(QUANTILES))(hidden))
    network = keras.Model(inputs, outputs)
    network.compile(keras.optimizers.AdamW(global_clipnorm=1.0), loss=pinball, jit_compile="auto")
    x, y = examples(options.batch, inputs.shape[1:])
    return lambda: network.train_on_batch(x, y, return_dict=True)["loss"]


def torch_steps(name, precision, options):
    """A bare loop around PyTorch's own layers; none where there is no PyTorch, or no such layer."""
    try:
        import torch
    except ImportError:
        return None
    if name not in PEERS:
        return None
    kind, units, both = PEERS[name]
    place = "cuda" if torch.cuda.is_available() else "cpu"
    layers = getattr(torch.nn, kind)(1, units, 2, batch_first=True, bidirectional=both).to(place)
    dense = torch.nn.Linear(units * (1 + both), HORIZON * len(QUANTILES)).to(place)
    weights = [*layers.parameters(), *dense.parameters()]
    optimizer, levels = torch.optim.AdamW(weights), torch.tensor(QUANTILES, device=place)
    arrays = examples(options.batch, (CONTEXT, 1))

    def step():
        x, y = (torch.from_numpy(array).to(place) for array in arrays)
        with torch.autocast(place, torch.bfloat16, enabled=precision == "bfloat16"):
            output = dense(layers(x)[0][:, -1]).reshape(len(x), HORIZON, -1)
        error = y - output.float()
        loss = 2 * torch.maximum(levels * error, (levels - 1) * error).mean()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
        return loss

    return step


def pinball(y, quantiles):
    """Twice the pinball loss (Koenker & Bassett 1978)."""
    error = y - keras.ops.cast(quantiles, "float32")
    levels = keras.ops.convert_to_tensor(QUANTILES, dtype="float32")
    return 2 * keras.ops.mean(keras.ops.maximum(levels * error, (levels - 1) * error))


def tflops(precision, side):
    """Floating-point operations a second, in units of 10¹², in the product of two square matrices."""
    ops = keras.ops
    factor = ops.cast(ops.ones((side, side)), precision)

    def product():
        begin = time.perf_counter()
        result = factor
        for _ in range(10):
            result = ops.matmul(result, factor)
        float(ops.cast(result[0, 0], "float32"))
        return 10 * 2 * side**3 / (time.perf_counter() - begin) / 1e12

    product()
    return round(statistics.median(product() for _ in range(5)), 3)


def examples(batch, shape):
    """Inputs and targets of a batch."""
    draw = np.random.default_rng(1)
    return draw.normal(size=(batch, *shape)).astype("float32"), draw.normal(size=(batch, HORIZON, 1)).astype("float32")


def device():
    """What the backend calls its accelerator, or the CPU."""
    if keras.backend.backend() == "torch":
        import torch

        return torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"
    if keras.backend.backend() == "jax":
        import jax

        return jax.devices()[0].device_kind
    import tensorflow as tf

    cards = tf.config.list_physical_devices("GPU")
    return str(tf.config.experimental.get_device_details(cards[0]).get("device_name")) if cards else "CPU"


def arguments():
    """The command line."""
    command = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, prog="gpu.py"
    )
    command.add_argument("--networks", nargs="+", choices=NETWORKS, default=[*NETWORKS])
    command.add_argument("--batch", type=int, default=256, help="windows in a step")
    command.add_argument("--steps", type=int, default=50, help="of a turn")
    command.add_argument("--runs", type=int, default=5, help="turns of each")
    command.add_argument("--side", type=int, default=4096, help="of the matrices whose product is timed")
    return command.parse_args()


if __name__ == "__main__":
    main()
