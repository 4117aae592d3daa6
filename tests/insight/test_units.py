"""Units: what was planted is found, what is slow and unrelated is not, and signals are what their names say."""

from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest

from forecasting.bundle.symbol_forecaster import SymbolForecaster
from forecasting.config.job import Job
from forecasting.config.network import InStep, Stacked
from forecasting.errors import DataError
from forecasting.evaluation.baselines import map_of_target
from forecasting.insight.signals import symbols, text_signals
from forecasting.insight.units import score, scored, units
from forecasting.series.clean import clean
from forecasting.series.vocabulary import Vocabulary
from tests.insight.conftest import LinearModel, random_model, symbol_model

Jobs = Callable[..., Job]
Tables = Callable[..., pd.DataFrame]
Array = np.ndarray


def slow(draw: np.random.Generator, channels: int, windows: int = 120, steps: int = 12) -> Array:
    """Autoregressive sequences (B, T, channels) that hardly change within a window."""
    found = np.zeros((windows * steps, channels))
    for row in range(1, len(found)):
        found[row] = 0.99 * found[row - 1] + draw.normal(size=channels)
    return found.reshape(windows, steps, channels)


def test_slow_units_do_not_track_slow_signals_by_chance() -> None:
    """Unrelated random walks correlate by more than 0.3 in places; over forty draws hardly a pair passes."""
    passed, largest, pairs = 0, 0.0, 0
    for seed in range(40):
        draw = np.random.default_rng(seed)
        found = score(slow(draw, 20), {f"signal {number}": slow(draw, 1) for number in range(5)})
        passed, pairs = passed + int(found.passed.sum()), pairs + found.passed.size
        largest = max(largest, float(found.correlation.max()))
    assert largest > 0.5
    assert passed <= 0.001 * pairs


def test_a_unit_that_follows_a_signal_passes() -> None:
    """Slow or periodic, also in the other direction and with noise; its neighbors do not."""
    draw = np.random.default_rng(3)
    states, signal = slow(draw, 8), slow(draw, 1)
    starts = np.sort(draw.choice(5000, 120, replace=False))
    phase = 2 * np.pi * (starts[:, None] + np.arange(12)) / 24
    hour = np.stack([np.sin(phase), np.cos(phase)], axis=-1)
    states[..., 2] = -signal[..., 0] + 0.3 * signal.std() * draw.normal(size=signal.shape[:2])
    states[..., 5] = np.sin(phase + 1.0) + 0.3 * draw.normal(size=phase.shape)
    found = score(states, {"level": signal, "hour": hour})
    assert np.argwhere(found.passed).tolist() == [[2, 0], [5, 1]]
    assert found.correlation[2, 0] == pytest.approx(1 / np.sqrt(1.09), abs=0.02)
    assert found.correlation[5, 1] == pytest.approx(np.sqrt(0.5 / 0.59), abs=0.03)


def test_signals_of_a_text_are_what_they_are_called() -> None:
    """Counted by hand in two lines."""
    text = 'Is "it\nso"(5)'
    found = text_signals(list(text), "character", pd.Series(list(text)))
    assert found["position in the line"].tolist() == [1, 2, 3, 4, 5, 6, 0, 1, 2, 3, 4, 5, 6]
    assert found["position in the word"].tolist() == [1, 2, 0, 0, 1, 2, 0, 1, 2, 0, 0, 0, 0]
    assert found["inside quotes"].tolist() == [0, 0, 0, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0]
    assert found["inside brackets"].tolist() == [0] * 10 + [1, 1, 0]
    assert found["upper case"].tolist() == [1] + [0] * 12
    assert found["vowel"].tolist() == [1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0]
    words = text_signals(["a", "b", "a"], "word", pd.Series(["a", "b", "a"]))
    assert {name: values.tolist() for name, values in words.items()} == {"is 'a'": [1, 0, 1], "is 'b'": [0, 1, 0]}


@pytest.fixture
def counting(tmp_path: Path) -> tuple[pd.DataFrame, SymbolForecaster]:
    """Lines of random lengths, and a network of one unit that counts from the end of a line on, and one that sleeps."""
    draw = np.random.default_rng(5)
    lines = ["".join(draw.choice(list("abc d"), draw.integers(5, 30))) for _ in range(80)]

    def count(network: keras.Model, vocabulary: Vocabulary) -> None:
        layer = network.get_layer("recurrent_1")
        kernel, recurrent, bias = (np.zeros_like(w) for w in layer.get_weights())
        bias[0], bias[2], bias[4] = 50, 50, 0.03  # input and forget gate of unit 0 are open, its candidate is small
        kernel[vocabulary.encode(["\n"])[0], 2] = -100  # the end of a line closes its forget gate
        layer.set_weights([kernel, recurrent, bias])

    params = InStep(cell="lstm", units=(2,), inputs="one_hot")
    table, model, _ = symbol_model("\n".join(lines), params, 60, tmp_path, count)
    return table, model


def test_a_unit_that_counts_is_found_in_a_text(counting: tuple[pd.DataFrame, SymbolForecaster]) -> None:
    """It tracks the position in the line, and nothing tracks that of another text."""
    table, model = counting
    found = units(model, table)
    (one,) = found.tracked
    assert (one.unit, one.signal, one.layer) == (0, "position in the line", 1)
    assert one.correlation > 0.99
    assert (found.total, found.share) == (2, 0.5)
    assert "inside quotes" not in found.signals  # the text has none
    assert found.plain()["tracked"][0]["signal"] == "position in the line"
    sampled = symbols(model, table, 256)
    other = symbols(model, table.assign(y=np.random.default_rng(1).permutation(table["y"])), 256)
    assert scored(model, sampled._replace(signals=other.signals)).tracked == ()


def test_units_of_numbers_track_the_clock_and_the_value(make_table: Tables, make_job: Jobs, tmp_path: Path) -> None:
    """Of three units, one reads the hour, one the last reading, and one nothing."""
    table = make_table({"a": np.random.default_rng(2).normal(size=900)})
    job = make_job(
        {"calendar": ["hour"]}, window={"context": 24, "horizon": 3}, backtest={"windows": 5}, train={"validation": 20}
    )

    def plant(network: keras.Model) -> None:
        layer = next(each for each in network.layers if isinstance(each, keras.layers.SimpleRNN))
        kernel, recurrent, bias = (np.zeros_like(weight) for weight in layer.get_weights())
        kernel[1, 0], kernel[0, 1] = 0.5, 0.3  # hour_sin, y
        layer.set_weights([kernel, recurrent, bias])

    params = Stacked(cell="simple", units=(3,), normalise="none")
    found = units(random_model(table, job, params, tmp_path, then=plant), clean(table, job.series).table)
    assert {(one.unit, one.signal) for one in found.tracked} == {(0, "hour"), (1, "value")}
    assert {"hour", "day of week", "weekend", "level", "trend", "spikes"} <= set(found.signals)
    assert "minute" not in found.signals


def test_too_few_windows_are_refused(make_table: Tables, make_job: Jobs, tmp_path: Path) -> None:
    """Chance would explain too much."""
    job = make_job(backtest={"windows": 5}, train={"validation": 20})
    long = make_table({"a": np.random.default_rng(2).normal(size=200)})
    model = random_model(long, job, Stacked(cell="gru", units=(3,)), tmp_path)
    with pytest.raises(DataError, match=r"at least 30 windows; the readings have 12"):
        units(model, clean(make_table({"a": np.arange(20.0)}), job.series).table)


def test_a_linear_map_has_no_units(make_table: Tables, make_job: Jobs, linear_model: LinearModel) -> None:
    """A sentence says so."""
    table, job = make_table({"a": np.random.default_rng(2).normal(size=200)}), make_job()
    found = units(linear_model(table, job, map_of_target(np.zeros((6, 3)))), clean(table, job.series).table)
    assert (found.total, found.share, found.notes) == (0, 0.0, ("ridge has no recurrent cells",))
