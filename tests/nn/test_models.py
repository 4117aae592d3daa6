"""The single place that turns parameters into a network's Config."""

import pytest

from forecasting.errors import ConfigError
from forecasting.nn import heads, models
from forecasting.nn.models import Shapes


@pytest.mark.parametrize("name", models.MODELS)
def test_every_network_builds_with_its_defaults(name: str) -> None:
    """Default parameters give a network whose output is (B, H, Q), or one that answers at every step (B, T, Q)."""
    model = models.build(name, {}, Shapes(6, 3, 1), heads.build("quantile", (0.1, 0.5)))
    assert tuple(model.output.shape) == (None, None if name == "in_step" else 3, 2)


def test_unknown_model_is_refused_with_the_valid_ones() -> None:
    """The error names what came and what is valid."""
    with pytest.raises(ConfigError, match=r"'transformer'; valid models: stacked"):
        models.check("transformer", {})


def test_all_violations_are_listed_at_once() -> None:
    """An unknown key, a wrong type and a value out of range stand in one message, with the valid keys."""
    with pytest.raises(ConfigError) as caught:
        models.check("stacked", {"unit": [3], "dropout": 1.5, "highway": "far"})
    message = str(caught.value)
    assert "3 violation(s)" in message
    assert (
        "params.unit: unknown key; did you mean units? valid keys: cell, cell_options, units, bidirectional" in message
    )
    assert "params.dropout: " in message
    assert "(got 1.5)" in message
    assert "params.highway: " in message


@pytest.mark.parametrize(
    ("params", "sentence"),
    [
        ({"cell": "rnn"}, "valid cells: simple, lstm, gru"),
        ({"units": []}, "params.units"),
        ({"units": [4, 0]}, "params.units.1"),
        ({"units": [4, 4], "bidirectional": [True]}, "bidirectional has 1 entries, units has 2"),
        ({"cell": "gru", "activation": "relu"}, "activation relu is for cell simple"),
        ({"normalise": "min"}, "'window', 'last' or 'none'"),
    ],
)
def test_wrong_parameter_is_named(params: dict[str, object], sentence: str) -> None:
    """Each wrong parameter gives a sentence that says what is expected."""
    with pytest.raises(ConfigError, match="violation") as caught:
        models.check("stacked", params)
    assert sentence in str(caught.value)


def test_highway_longer_than_the_context_is_refused() -> None:
    """It cannot look back further than the window does."""
    with pytest.raises(ConfigError, match=r"highway is 9, more than the context of 6"):
        models.build("stacked", {"highway": 9}, Shapes(6, 3, 1), heads.build("quantile", (0.5,)))
