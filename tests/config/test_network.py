"""The parameters of each network and cell: what is wrong is told with its place and with what is valid."""

from collections.abc import Callable
from typing import Any, get_args

import pytest

from forecasting.config.cells import OPTIONS, Cell, ConvLSTMOptions, ConvLSTMPeepholeOptions, PeepholeLSTMOptions
from forecasting.config.job import Job
from forecasting.config.network import NETWORKS, Stacked
from forecasting.errors import ConfigError

Refusal = Callable[..., str]


@pytest.fixture
def refusal(make_job: Callable[..., Job]) -> Refusal:
    """What is said of a network with these parameters."""

    def call(name: str, params: dict[str, Any]) -> str:
        with pytest.raises(ConfigError) as caught:
            make_job(model={"name": name, "params": params})
        return str(caught.value)

    return call


def test_parameters_become_the_class_of_their_network(make_job: Callable[..., Job]) -> None:
    """By the name of the network; where there is none, by that of the default."""
    for name, network in NETWORKS.items():
        symbols = {"head": {"name": "categorical"}} if name == "in_step" else {}
        assert type(make_job(model={"name": name}, **symbols).model.params) is network
    job = make_job(model={"params": {"units": [4, 3], "bidirectional": [True, False]}})
    assert job.model.params == Stacked(units=(4, 3), bidirectional=(True, False))
    assert job.model.name == "stacked"


def test_all_violations_are_listed_at_once(refusal: Refusal) -> None:
    """An unknown key, a wrong type, a value out of range and one inside a list stand in one message."""
    message = refusal("stacked", {"unit": [3], "dropout": 1.5, "highway": "far", "units": [4, 0], "cell": "lsmt"})
    assert message.splitlines() == [
        "configuration has 5 violations:",
        (
            "  - model.params.cell: must be one of simple, lstm, gru, peephole_lstm, coupled_lstm, conv_lstm,"
            " conv_lstm_peephole, got 'lsmt' (did you mean lstm?)"
        ),
        "  - model.params.highway: must be a whole number of at least 0, got 'far'",
        "  - model.params.units.1: must be a whole number of at least 1, got 0",
        "  - model.params.dropout: must be a number of at least 0 and below 1, got 1.5",
        (
            "  - model.params.unit: unknown key (did you mean units?); valid keys: cell, cell_options, highway,"
            " highway_start, cycle, units, bidirectional, activation, dropout, normalise, embedding, decoder"
        ),
    ]


@pytest.mark.parametrize(
    ("name", "params", "sentence"),
    [
        (
            "stacked",
            {"units": []},
            "units: must be a list of one or more whole numbers of at least 1, got []",
        ),
        ("stacked", {"units": [4, 4], "bidirectional": [True]}, "one for each of the 2 layers, got 1"),
        ("stacked", {"bidirectional": "yes please"}, "bidirectional: must be true or false or a list of true or false"),
        (
            "stacked",
            {"cell": "gru", "activation": "relu"},
            "activation: relu is only for the cell simple; gru uses",
        ),
        ("in_step", {"activation": "relu"}, "activation: relu is only for the cell simple; lstm uses tanh"),
        ("stacked", {"normalise": "min"}, "normalise: must be one of window, last, none, got 'min'"),
        ("seq2seq", {"cell": "conv_lstm"}, "cell: must be one of simple, lstm, gru, peephole_lstm, coupled_lstm, got"),
        ("deepar", {"cell": "conv_lstm"}, "cell: must be one of simple, lstm, gru, peephole_lstm, coupled_lstm, got"),
        ("in_step", {"cell": "conv_lstm"}, "cell: must be one of simple, lstm, gru, peephole_lstm, coupled_lstm, got"),
        ("segrnn", {"segment": 0}, "segment: must be a whole number of at least 1, got 0"),
        ("segrnn", {"units": True}, "units: must be a whole number of at least 1, got true"),
        ("stacked", {"units": [True]}, "units: must be a list of one or more whole numbers of at least 1, got [true]"),
        ("conv_lstm", {"cell": "lstm"}, "cell: must be one of conv_lstm, conv_lstm_peephole, got 'lstm'"),
        ("conv_lstm", {"cell_options": {"size": 3}}, "cell_options.size: unknown key; valid keys: kernel"),
        ("in_step", {"inputs": "both"}, "inputs: must be one of one_hot, embedding, got 'both'"),
        (
            "transformer",
            {},
            "name: must be one of auto, stacked, seq2seq, deepar, segrnn, conv_lstm, in_step, got",
        ),
        ("staked", {}, "got 'staked' (did you mean stacked?)"),
    ],
)
def test_wrong_parameter_is_named(name: str, params: dict[str, Any], sentence: str, refusal: Refusal) -> None:
    """Each gives a sentence that says what came and what is valid."""
    assert sentence in refusal(name, params)


@pytest.mark.parametrize(
    ("cell", "values", "options"),
    [
        ("peephole_lstm", {"squash": "identity"}, PeepholeLSTMOptions(squash="identity")),
        ("conv_lstm", {"kernel": 5}, ConvLSTMOptions(kernel=5)),
        ("conv_lstm_peephole", {"kernel": 5}, ConvLSTMPeepholeOptions(kernel=5)),
        ("conv_lstm_peephole", {}, ConvLSTMPeepholeOptions()),
        ("gru", None, None),
    ],
)
def test_options_are_those_of_the_cell(cell: str, values: Any, options: Any) -> None:
    """Not those of another cell that would take the same values."""
    assert Stacked.model_validate({"cell": cell, "cell_options": values}).cell_options == options
    assert type(Stacked.model_validate({"cell": cell, "cell_options": values}).cell_options) is type(options)


@pytest.mark.parametrize("cell", [cell for cell in get_args(Cell) if cell not in OPTIONS])
def test_options_of_a_cell_without_any_are_refused(cell: str, refusal: Refusal) -> None:
    """The cells that have some are named."""
    message = refusal("stacked", {"cell": cell, "cell_options": {"kernel": 3}})
    assert f"cell_options: {cell} has no options; only these cells do: peephole_lstm, conv_lstm," in message


def test_options_of_a_cell_are_told_with_their_place(refusal: Refusal) -> None:
    """Each of them; of a cell that there is not, nothing is said but that."""
    message = refusal("stacked", {"cell": "conv_lstm_peephole", "cell_options": {"kernel": 0, "output_gate": "nw"}})
    assert "model.params.cell_options.kernel: must be a whole number of at least 1, got 0" in message
    assert "model.params.cell_options.output_gate: must be one of new, old, got 'nw' (did you mean new?)" in message
    assert "cell_options" not in refusal("stacked", {"cell": "rnn", "cell_options": {"kernel": 0}})
