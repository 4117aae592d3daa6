"""Forecasts of a bundle: the same however the table comes, in the target's units and limits, with no heavy package."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from forecasting.bundle import quantile_forecaster as module
from forecasting.bundle.artifact import Origin
from forecasting.bundle.assemble import assemble, spec_for
from forecasting.bundle.engine import Graphs
from forecasting.bundle.forecaster import Forecaster, open_forecaster
from forecasting.bundle.forecasts import QuantileForecasts
from forecasting.config.job import Job, parse_job
from forecasting.errors import DataError, GatecastError
from forecasting.evaluation.baselines import Linear, to_onnx
from forecasting.series.folds import folds
from forecasting.series.prepare import prepare

Fitted = Any  # the fixture of that name
Tables = Callable[..., pd.DataFrame]
Jobs = Callable[..., Job]
Fit = Callable[..., Fitted]
HOUR = pd.Timedelta(1, "h")


@pytest.fixture
def ridge(fitted: Fitted) -> Forecaster:
    """The bundle of the rich table, open."""
    return open_forecaster(fitted.bundle)


@pytest.fixture
def future(fitted: Fitted) -> pd.DataFrame:
    """What is known ahead: three hours after the last reading of each series."""
    last = fitted.table.dropna(subset="y").groupby("unique_id").last().reset_index()
    steps = [last[["unique_id", "ds"]].assign(ds=last["ds"] + h * HOUR, f=np.cos(h)) for h in (1, 2, 3)]
    return pd.concat(steps, ignore_index=True)


def simple_job(make_job: Jobs, series: dict[str, Any] | None = None) -> Job:
    """A job of short windows."""
    return make_job(series, backtest={"windows": 5}, train={"validation": 12})


def walk(length: int, seed: int = 0) -> np.ndarray:
    """A random walk."""
    return np.random.default_rng(seed).normal(size=length).cumsum()


def test_forecast_is_at_the_last_reading(ridge: Forecaster, fitted: Fitted, future: pd.DataFrame) -> None:
    """Series of unequal ends, each from its own last reading on; both ways into the bundle agree."""
    table = ridge.forecast(fitted.table, future)
    last = fitted.table.dropna(subset="y").groupby("unique_id")["ds"].last()
    assert last.nunique() == 2
    assert table.groupby("unique_id")["cutoff"].unique().explode().to_dict() == last.to_dict()
    whole = pd.concat([fitted.table, future]).sort_values(["unique_id", "ds"], ignore_index=True)
    for name, cutoff in last.items():
        both = ridge.at(whole, pd.DatetimeIndex([cutoff])).table()
        one = both[both["unique_id"] == name].reset_index(drop=True)
        assert_frame_equal(table[table["unique_id"] == name].reset_index(drop=True), one, rtol=1e-5)
    assert table["ds"].tolist() == (table["cutoff"] + table["step"] * HOUR).tolist()
    assert list(table.columns) == ["unique_id", "ds", "cutoff", "step", "q0.1", "q0.5", "q0.9"]


def test_the_order_of_rows_and_where_the_future_stands_change_nothing(
    ridge: Forecaster, fitted: Fitted, future: pd.DataFrame
) -> None:
    """Shuffled, or with what is known ahead among the rows of the history."""
    expected = ridge.forecast(fitted.table, future)
    together = pd.concat([fitted.table, future], ignore_index=True)
    for history in (together, together.sample(frac=1, random_state=0)):
        assert_frame_equal(ridge.forecast(history), expected)


def test_later_rows_change_no_forecast_of_the_past(ridge: Forecaster, fitted: Fitted) -> None:
    """Only what is known ahead is read after the cutoff: all else may be missing or wrong there."""
    table, cutoff = fitted.table, fitted.fold.cutoffs[:1]
    later = table["ds"] > cutoff[0]
    expected = ridge.at(table, cutoff)
    wrong = table.assign(
        y=table["y"].mask(later, 1e9), p=table["p"].mask(later, -1e9), label=table["label"].mask(later)
    )
    hidden = table.assign(y=table["y"].mask(later), p=table["p"].mask(later), label=table["label"].mask(later))
    for other in (wrong, hidden):
        again = ridge.at(other, cutoff)
        assert again.unique_id.tolist() == expected.unique_id.tolist()
        np.testing.assert_array_equal(again.values, expected.values)
    changed = ridge.at(table.assign(f=table["f"].mask(later, 1.5)), cutoff)
    assert not np.array_equal(changed.values, expected.values)


def test_blocks_of_windows_change_nothing(ridge: Forecaster, fitted: Fitted, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many windows go through the engine at once."""
    expected = ridge.at(fitted.table, fitted.fold.cutoffs)
    monkeypatch.setattr(module, "BATCH", 5)
    again = ridge.at(fitted.table, fitted.fold.cutoffs)
    np.testing.assert_allclose(again.values, expected.values, rtol=1e-5)
    assert again.cutoff.tolist() == expected.cutoff.tolist()


def test_no_window_gives_an_empty_forecast(ridge: Forecaster, fitted: Fitted) -> None:
    """Before the first reading nothing can be forecast."""
    nothing = ridge.at(fitted.table, pd.DatetimeIndex(["2020-01-01"]))
    assert nothing.values.shape == (0, 3, 3)
    assert len(nothing.table()) == 0


def test_short_and_unknown_series_are_forecast(make_table: Tables, make_job: Jobs, fit_baseline: Fit) -> None:
    """Two readings where the context is six; a series that training never saw: naive still repeats its last reading."""
    fitted = fit_baseline(make_table({"a": walk(80)}), simple_job(make_job), "naive")
    history = make_table({"new": [500.0, 700.0], "a": [1.0, 2.0, 3.0], "single": [42.0]})
    table = open_forecaster(fitted.bundle).forecast(history).set_index("unique_id")
    assert table.loc["new", "q0.5"].to_numpy() == pytest.approx([700.0] * 3, rel=1e-6)
    assert table.loc["single", "q0.5"].to_numpy() == pytest.approx([42.0] * 3, rel=1e-5)
    assert table.loc["a", "q0.5"].to_numpy() == pytest.approx([3.0] * 3, rel=1e-6)
    assert np.isfinite(table[["q0.1", "q0.9"]]).all(axis=None)


def test_a_gap_as_long_as_the_context_is_bridged(make_table: Tables, make_job: Jobs, fit_baseline: Fit) -> None:
    """Naive repeats the last reading there is; before the first one there is no forecast, other series or not."""
    job = simple_job(make_job, {"max_gap": 9})
    fitted = fit_baseline(make_table({"a": walk(80), "b": walk(80)}), job, "naive")
    late = make_table({"b": [5.0] * 20}, start="2024-01-01 10:00")
    table = pd.concat([make_table({"a": [1.0, 2.0, *[np.nan] * 10, *[9.0] * 10]}), late], ignore_index=True)
    forecasts = open_forecaster(fitted.bundle).at(table, pd.DatetimeIndex(["2024-01-01 09:00", "2023-12-31"]))
    assert forecasts.unique_id.tolist() == ["a"]
    assert forecasts.values[0, :, 1] == pytest.approx([2.0] * 3, rel=1e-5)


def test_padding_is_read_as_unobserved(make_table: Tables, make_job: Jobs, fit_baseline: Fit) -> None:
    """A short series is forecast like the same readings after as many missing rows."""
    gaps = np.where(np.arange(80) % 9 == 4, np.nan, walk(80))
    fitted = fit_baseline(make_table({"a": gaps}), simple_job(make_job), "ridge")
    forecaster = open_forecaster(fitted.bundle)
    assert forecaster.spec.features.mask
    windows = make_table({"a": [1.0, 2.0]}, start="2024-01-01 04:00")
    scaled = (np.array([1.0, 2.0]) - forecaster.spec.scaler.location[0]) / forecaster.spec.scaler.scale[0]
    past = np.zeros((1, 6, 2), dtype=np.float32)
    past[0, 4:, 0], past[0, 4:, 1] = scaled, 1.0
    raw = forecaster.bundle.predictor.quantiles({"past": past})[0, :, 0]
    expected = raw * forecaster.spec.scaler.scale[0] + forecaster.spec.scaler.location[0]
    assert forecaster.forecast(windows)["q0.5"].to_numpy() == pytest.approx(expected, rel=1e-4)


def test_values_missing_ahead_are_named(ridge: Forecaster, fitted: Fitted, future: pd.DataFrame) -> None:
    """Which series lacks what, all of them at once; nothing is made up."""
    lacking = future[(future["unique_id"] != "b") | (future["ds"] < future["ds"].max() - 25 * HOUR)]
    lacking = lacking.drop(lacking[lacking["unique_id"] == "a"].index[1:2])
    with pytest.raises(DataError, match="1 series lack values that must be known for the next 3 steps") as error:
        ridge.forecast(fitted.table, lacking)
    assert error.value.violations == ("a: f",)
    with pytest.raises(DataError) as error:
        ridge.forecast(fitted.table)
    assert error.value.violations == ("a: f", "b: f", "c: f")


def test_fewer_steps_need_fewer_rows_of_what_is_known_ahead(
    ridge: Forecaster, fitted: Fitted, future: pd.DataFrame
) -> None:
    """So many steps, so many rows: later ones count as their mean, and an earlier one that is missing is named."""
    first = future["ds"] < future.groupby("unique_id")["ds"].transform("max")
    table = ridge.forecast(fitted.table, future[first], horizon=2)
    assert table.groupby("unique_id")["step"].apply(list).tolist() == [[1, 2]] * 3
    with pytest.raises(DataError, match="3 series lack values that must be known for the next 3 steps"):
        ridge.forecast(fitted.table, future[first], horizon=3)


def test_a_hole_in_the_history_stops_no_backtest(ridge: Forecaster, fitted: Fitted) -> None:
    """A row that the past lacks has no value known ahead either: taken as the mean, as in training."""
    cutoff = fitted.fold.cutoffs[:1]
    table = fitted.table.drop(fitted.table[fitted.table["ds"] == cutoff[0] + 2 * HOUR].index)
    mean = ridge.spec.scaler.covariates["f"][0]
    at_mean = fitted.table.assign(f=fitted.table["f"].mask(fitted.table["ds"] == cutoff[0] + 2 * HOUR, mean))
    np.testing.assert_allclose(ridge.at(table, cutoff).values, ridge.at(at_mean, cutoff).values, rtol=1e-5)


@pytest.mark.parametrize(
    ("series", "readings", "expected"),
    [
        ({}, [1, 2, 3, 4, 5, 6], [7.0, 8.0, 9.0]),
        ({"upper": 8}, [1, 2, 3, 4, 5, 6], [7.0, 8.0, 8.0]),
        ({"lower": 0}, [6, 5, 4, 3, 2, 1], [0.0, 0.0, 0.0]),
        ({"integer": True}, [0.0, 0.5, 1, 1.5, 2, 2.7], [3.0, 4.0, 4.0]),  # 3.24, 3.78, 4.32
    ],
)
def test_forecasts_keep_to_the_limits_of_the_series(
    series: dict[str, Any],
    readings: list[float],
    expected: list[float],
    make_table: Tables,
    make_job: Jobs,
    fit_baseline: Fit,
) -> None:
    """Drift continues a line; bounds clip it, whole numbers are rounded: quantiles too, and they stay in order."""
    fitted = fit_baseline(make_table({"a": 4 + np.sin(np.arange(80))}), simple_job(make_job, series), "drift")
    table = open_forecaster(fitted.bundle).forecast(make_table({"a": readings}))
    assert table["q0.5"].to_numpy() == pytest.approx(expected, abs=1e-4)
    values = table[["q0.1", "q0.5", "q0.9"]].to_numpy()
    assert (np.diff(values, axis=1) >= 0).all()
    assert values.min() >= series.get("lower", -np.inf)
    assert values.max() <= series.get("upper", np.inf)
    assert not series.get("integer") or (values % 1 == 0).all()


def test_log_scaled_forecasts_come_back_in_units(make_table: Tables, make_job: Jobs, fit_baseline: Fit) -> None:
    """Naive on the log scale repeats the reading itself."""
    job = simple_job(make_job, {"lower": 0, "transform": "log1p", "scale": "robust"})
    fitted = fit_baseline(make_table({"a": np.exp(walk(80) / 5)}), job, "naive")
    table = open_forecaster(fitted.bundle).forecast(make_table({"a": [3.0, 12345.0]}))
    assert table["q0.5"].to_numpy() == pytest.approx([12345.0] * 3, rel=1e-5)


def test_levels_choose_the_quantiles(ridge: Forecaster, fitted: Fitted, future: pd.DataFrame) -> None:
    """Central intervals of 50 and 90 percent and the median, each wider than the one inside it."""
    table = ridge.forecast(fitted.table, future, levels=(90, 50))
    names = ["q0.05", "q0.25", "q0.5", "q0.75", "q0.95"]
    assert list(table.columns[4:]) == names
    assert (np.diff(table[names].to_numpy(), axis=1) >= 0).all()
    assert table["q0.5"].tolist() == ridge.forecast(fitted.table, future)["q0.5"].tolist()
    with pytest.raises(GatecastError, match="between 0 and 1"):
        ridge.forecast(fitted.table, future, levels=(100,))


def _with(column: str, value: Any) -> Callable[[pd.DataFrame], pd.DataFrame]:
    """Puts `value` into the fourth row of a column."""
    return lambda table: table.assign(**{column: table[column].where(table.index != 3, value)})


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda table: table[:0], "no rows"),
        (lambda table: table.drop(columns="y"), "column y is missing"),
        (_with("y", np.inf), "column y: 1 infinite"),
        (_with("ds", pd.NaT), "column ds: 1 empty"),
        (_with("unique_id", None), "column unique_id: 1 empty"),
        (lambda table: pd.concat([table, table[3:4].assign(y=99.0)], ignore_index=True), "repeat a stamp"),
        (lambda table: table.assign(y=np.nan), r"no series has 1 reading\(s\) or more"),
        (lambda table: table.assign(ds=table["ds"].where(table.index != 3, table["ds"] + HOUR / 4)), "off the grid"),
        (lambda table: table.assign(y=table["y"].astype("str")), "column y is str, expected float64"),
        (lambda table: table.assign(ds=table["ds"].dt.tz_localize("UTC")), "column ds is datetime64"),
    ],
)
def test_bad_tables_give_one_clear_error(
    spoil: Callable[[pd.DataFrame], pd.DataFrame],
    message: str,
    make_table: Tables,
    make_job: Jobs,
    fit_baseline: Fit,
) -> None:
    """Never a forecast, never a foreign exception."""
    fitted = fit_baseline(make_table({"a": walk(80)}), simple_job(make_job), "naive")
    with pytest.raises(DataError, match=message):
        open_forecaster(fitted.bundle).forecast(spoil(make_table({"a": walk(20)})))


def test_the_calendar_of_a_forecast_is_local_time(make_table: Tables, tmp_path: Path) -> None:
    """A model that gives back the sine of the hour shows what it was told, through both changes of the clock."""
    content = {"name": "clock", "window": {"context": 6, "horizon": 30}, "backtest": {"windows": 5}}
    source = {"kind": "file", "path": "none.csv", "time_zone": "Europe/Berlin"}
    series = {"freq": "h", "calendar": ["hour"], "scale": "none"}
    job = parse_job({**content, "source": source, "series": series, "train": {"validation": 40}})
    table = make_table({"a": walk(200)})
    data = prepare(table, job, folds(table, job)[0])
    ahead = np.zeros((30 * 2, 30))
    ahead[np.arange(30) * 2, np.arange(30)] = 1.0
    linear = Linear(6, np.zeros((6 * 3, 30)), ahead, np.zeros(30))
    spec = spec_for(job, "clock", data.features, data.scaler, context=6, quantiles=(0.5,))
    path = assemble(tmp_path / "clock", spec, Graphs(to_onnx(linear, inputs=3, ahead=2)), data.valid, origin=Origin())
    for start in ("2024-03-30 12:00", "2024-10-26 12:00"):
        forecast = open_forecaster(path).forecast(make_table({"a": walk(8)}, start=start))
        local = [stamp.tz_localize("UTC").astimezone(ZoneInfo("Europe/Berlin")) for stamp in forecast["ds"]]
        assert len({stamp.utcoffset() for stamp in local}) == 2
        assert forecast["q0.5"].to_numpy() == pytest.approx([np.sin(2 * np.pi * t.hour / 24) for t in local], abs=1e-5)
        assert (forecast["ds"].diff()[1:] == HOUR).all()


def test_a_table_has_one_row_per_window_and_step() -> None:
    """Window by window, in order."""
    ds = np.arange(4).astype("datetime64[us]").reshape(2, 2)
    cutoff = np.array([7, 8]).astype("datetime64[us]")
    values = np.arange(8.0).reshape(2, 2, 2)
    table = QuantileForecasts(np.array(["a", "b"]), cutoff, ds, values, (0.5, 0.9)).table()
    assert table["unique_id"].tolist() == ["a", "a", "b", "b"]
    assert table["ds"].to_numpy().tolist() == ds.ravel().tolist()
    assert table["cutoff"].to_numpy().tolist() == cutoff.repeat(2).tolist()
    assert table["step"].tolist() == [1, 2, 1, 2]
    assert [table["q0.5"].tolist(), table["q0.9"].tolist()] == [[0, 2, 4, 6], [1, 3, 5, 7]]


def test_a_bundle_answers_without_any_training_package(
    fitted: Fitted, future: pd.DataFrame, ridge: Forecaster, tmp_path: Path
) -> None:
    """In a fresh process: the same forecast, and neither TensorFlow nor any other heavy package is loaded."""
    fitted.table.to_parquet(tmp_path / "history.parquet")
    future.to_parquet(tmp_path / "future.parquet")
    code = f"""
import sys
from pathlib import Path
import pandas as pd
from forecasting.bundle.forecaster import Forecaster, open_forecaster
folder = Path({str(tmp_path)!r})
tables = [pd.read_parquet(folder / f"{{name}}.parquet") for name in ("history", "future")]
open_forecaster(Path({str(fitted.bundle)!r})).forecast(*tables).to_parquet(folder / "forecast.parquet")
heavy = {{"tensorflow", "keras", "jax", "torch", "prefect", "mlflow", "sklearn", "onnx", "scipy"}}
print(*sorted(heavy & {{part for name in sys.modules for part in (name, name.partition(".")[0])}}))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.split()) == (0, []), done.stderr
    assert_frame_equal(pd.read_parquet(tmp_path / "forecast.parquet"), ridge.forecast(fitted.table, future))
