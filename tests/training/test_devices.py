"""The line on the device, and the reasons why a recurrent layer does not take the fused GPU kernel."""

from typing import Any

import keras
import pytest

from forecasting.config.head import NumberHead
from forecasting.config.network import Stacked
from forecasting.nn import heads, models
from forecasting.nn.models import Shapes
from forecasting.training import devices


def network(**params: Any) -> keras.Model:
    """A `stacked` network over 6 steps of one input."""
    shapes = Shapes(context=6, horizon=2, past=1, future=0, static=0, codes=(), mask=False)
    return models.build(Stacked(**{"units": [4], **params}), shapes, heads.build(NumberHead(quantiles=(0.5,))))


def on_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if a GPU were there: this looks at the layers' own conditions."""
    monkeypatch.setattr(devices, "_gpus", lambda: ["H200"])


def test_without_a_gpu_every_layer_says_so() -> None:
    """One line for the device, one for each recurrent layer and none for any other."""
    lines = devices.describe(network(cell="lstm", units=[4, 3], dropout=0.1))
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
    lines = devices.describe(network(cell=cell, bidirectional=bidirectional))
    assert lines[0].startswith("device: H200")
    assert [line.split(": ")[1] for line in lines[1:]] == ["fused cuDNN kernel"]


def test_simple_cell_has_no_fused_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever its activation."""
    on_gpu(monkeypatch)
    for activation in ("tanh", "relu"):
        lines = devices.describe(network(cell="simple", activation=activation))
        assert lines[1:] == ["simple_1: generic loop, no fused kernel for SimpleRNN"]


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
    assert devices.describe(one)[1:] == [f"gru: generic loop, {reason}"]

    monkeypatch.setattr(devices, "_gpus", list)
    assert devices.describe(one)[1:] == [f"gru: generic loop, {reason}; no GPU"]
