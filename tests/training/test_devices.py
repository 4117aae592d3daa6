"""What a fit says of its device is what Keras does: fused kernels, and a train step that XLA compiles or not."""

import importlib
import itertools
import os
import subprocess
import sys
from typing import Any

import keras
import numpy as np
import pytest

from forecasting.config.head import NumberHead
from forecasting.config.network import Stacked
from forecasting.config.training import Train
from forecasting.errors import ConfigError
from forecasting.nn import heads, models
from forecasting.nn.models import Shapes
from forecasting.training import devices


def network(**params: Any) -> keras.Model:
    """A `stacked` network over 6 steps of one input."""
    shapes = Shapes(context=6, horizon=2, past=1, future=0, static=0, codes=(), mask=False)
    return models.build(Stacked(**{"units": [4], **params}), shapes, heads.build(NumberHead(quantiles=(0.5,))))


def on_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if a GPU were there: this looks at the layers' own conditions."""
    monkeypatch.setattr(devices, "gpus", lambda: ["H200"])


def test_without_a_gpu_every_layer_says_so() -> None:
    """One line for the device, one for each recurrent layer and none for any other."""
    lines = devices.describe(network(cell="lstm", units=[4, 3], dropout=0.1), Train())
    assert lines == [
        f"device: CPU ({keras.backend.backend()})",
        "lstm_1: generic loop, no GPU",
        "lstm_2: generic loop, no GPU",
    ]


@pytest.mark.parametrize("cell", ["lstm", "gru"])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_gated_cells_take_the_fused_kernel_on_a_gpu(
    monkeypatch: pytest.MonkeyPatch, cell: str, bidirectional: bool
) -> None:
    """The networks are built so that nothing stands in the way, in both directions."""
    on_gpu(monkeypatch)
    lines = devices.describe(network(cell=cell, bidirectional=bidirectional), Train())
    assert lines[0].startswith("device: H200")
    assert [line.split(": ")[1] for line in lines[1:]] == ["fused cuDNN kernel"]


def test_simple_cell_has_no_fused_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever its activation."""
    on_gpu(monkeypatch)
    for activation in ("tanh", "relu"):
        lines = devices.describe(network(cell="simple", activation=activation), Train())
        assert lines[1:] == ["simple_1: generic loop, no fused kernel for SimpleRNN on tensorflow"]


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"activation": "relu"}, "its activation is not tanh"),
        ({"recurrent_activation": "hard_sigmoid"}, "its gate activation is not sigmoid"),
        ({"recurrent_dropout": 0.1}, "it has recurrent dropout"),
        ({"unroll": True}, "it is unrolled"),
        ({"use_bias": False}, "it has no bias"),
        ({"reset_after": False}, "its reset gate is applied before the product"),
    ],
)
def test_every_condition_of_the_kernel_is_named(
    monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], reason: str
) -> None:
    """One condition broken, one reason given; two broken, both."""
    on_gpu(monkeypatch)
    inputs = keras.Input((6, 1))
    one = keras.Model(inputs, keras.layers.GRU(2, name="gru", **options)(inputs))
    assert devices.describe(one, Train())[1:] == [f"gru: generic loop, {reason}"]

    monkeypatch.setattr(devices, "gpus", list)
    assert devices.describe(one, Train())[1:] == [f"gru: generic loop, {reason}; no GPU"]


@pytest.mark.parametrize("layer", [keras.layers.LSTM, keras.layers.GRU])
def test_keras_decides_the_same(monkeypatch: pytest.MonkeyPatch, layer: Any) -> None:
    """Keras's own predicate, told that there is a GPU, agrees for every combination of options."""
    rnn = importlib.import_module("keras.src.backend.tensorflow.rnn")
    monkeypatch.setattr(rnn, "_is_gpu_available", lambda: True)
    on_gpu(monkeypatch)
    reset = {"reset_after": True} if layer is keras.layers.GRU else {}
    for activation, gate, unroll, bias in itertools.product(
        ("tanh", "relu"), ("sigmoid", "hard_sigmoid"), (False, True), (False, True)
    ):
        options = {"activation": activation, "recurrent_activation": gate, "unroll": unroll, "use_bias": bias}
        inputs = keras.Input((6, 1))
        made = layer(2, **options, **reset)
        said = devices.describe(keras.Model(inputs, made(inputs)), Train())[1].endswith("fused cuDNN kernel")
        assert said == rnn.cudnn_ok(made.activation, made.recurrent_activation, unroll, bias, **reset)


ON_JAX = """
import importlib, keras, numpy as np
from forecasting.config.training import Train
from forecasting.training import devices
from tests.training.test_devices import network
rnn = importlib.import_module("keras.src.backend.jax.rnn")
rnn._is_gpu_available = lambda: True
devices.gpus = lambda: ["H200"]
lines = [devices.describe(network(cell=cell), Train()) for cell in ("lstm", "gru")]
import jax
x, h, w, u, b = (np.zeros(shape, np.float32) for shape in ((2, 6, 1), (2, 3), (1, 9), (3, 9), (2, 9)))
print("scan[" in str(jax.make_jaxpr(lambda *given: rnn.gru(
    given[0], given[1], None, *given[2:], keras.activations.tanh, keras.activations.sigmoid))(x, h, w, u, b)))
print([line[1].split(": ")[1] for line in lines])
print(lines[0][0])
rnn._is_gpu_available = lambda: False
one = network(cell="lstm")
one.compile(loss="mae", jit_compile=devices.compiled(one, "auto"))
one.train_on_batch({"past": np.zeros((3, 6, 1), np.float32)}, np.zeros((3, 2, 1), np.float32))
print(any(hasattr(cell.cell_contents, "lower") for cell in one.train_function.__closure__))
"""


def test_on_jax_only_the_lstm_is_fused_and_the_step_is_compiled() -> None:
    """Keras's GRU is a scan over the steps there; its train step is a compiled function of JAX."""
    environment = {**os.environ, "KERAS_BACKEND": "jax"}
    done = subprocess.run(
        [sys.executable, "-c", ON_JAX], env=environment, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.stdout.splitlines() == [
        "True",
        "['fused cuDNN kernel', 'generic loop, no fused kernel for GRU on jax']",
        "device: H200 (jax, compiled by XLA)",
        "True",
    ], done.stderr


ON_TENSORFLOW = """
import sys
import numpy as np
from forecasting.config.training import Train
from forecasting.training import devices
from tests.training.test_devices import network, step_is_compiled
config = Train(deterministic=sys.argv[1] == "deterministic", jit={"auto": "auto", "true": True}[sys.argv[2]])
devices.set_up(config)
one = network(cell="lstm")
print(devices.describe(one, config)[0])
one.compile(loss="mae", jit_compile=devices.compiled(one, config.jit))
print(step_is_compiled(one))
"""


def step_is_compiled(one: keras.Model) -> bool:
    """Whether TensorFlow has made a function of the train step that XLA must compile."""
    from tensorflow.python.eager import context

    one.train_on_batch({"past": np.zeros((3, 6, 1), np.float32)}, np.zeros((3, 2, 1), np.float32))
    made = context.context()
    functions = [made.get_function_def(name) for name in made.list_function_names()]
    return any(function.attr["_XlaMustCompile"].b for function in functions if "_XlaMustCompile" in function.attr)


@pytest.mark.parametrize(
    ("jit", "said", "found"), [("auto", "tensorflow", "False"), ("true", "tensorflow, compiled by XLA", "True")]
)
def test_on_tensorflow_xla_compiles_when_it_is_asked_to(jit: str, said: str, found: str) -> None:
    """The graph of the step tells, not the argument; kernels need not be deterministic."""
    done = subprocess.run(
        [sys.executable, "-c", ON_TENSORFLOW, "free", jit], capture_output=True, text=True, check=False, timeout=300
    )
    assert done.stdout.splitlines() == [f"device: CPU ({said})", found], done.stderr


THREADS = """
import os
import tensorflow as tf
from forecasting.config.training import Train
from forecasting.training import devices
if "late" in os.environ:
    tf.constant(1.0) + 1.0
devices.set_up(Train())
devices.set_up(Train(seed=2))
print(tf.config.threading.get_intra_op_parallelism_threads(), len(os.sched_getaffinity(0)))
"""


@pytest.mark.parametrize("given", [{}, {"TF_NUM_INTRAOP_THREADS": "3"}, {"late": "yes"}])
def test_an_operator_has_half_of_the_cores(given: dict[str, str]) -> None:
    """Unless the environment says otherwise, or TensorFlow has begun before; a second fit asks once more."""
    done = subprocess.run(
        [sys.executable, "-c", THREADS],
        env=os.environ | given,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    threads, cores = map(int, done.stdout.split())
    assert threads == (0 if given else max(1, cores // 2)), done.stderr


def test_xla_and_determinism_contradict() -> None:
    """Keras would train without XLA and say nothing: the error says which of the two to give up."""
    devices.set_up(Train())
    with pytest.raises(ConfigError, match=r"train.jit and train.deterministic are both true.*set one of them to false"):
        devices.compiled(network(cell="lstm"), True)
