"""The narrow door for online requests: the same numbers as the careful way, and only where it fits."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from forecasting.bundle.artifact import Origin, write
from forecasting.bundle.calibration import Calibration
from forecasting.bundle.engine import Graphs
from forecasting.bundle.fast_path import Readings, panel_of
from forecasting.bundle.forecaster import Forecaster, open_forecaster
from forecasting.bundle.spec import Spec, TableSpec
from forecasting.evaluation.baselines import Linear, to_onnx
from forecasting.series.features import Features
from forecasting.series.scaling import Scaler
from forecasting.series.windows import Windows, at_rows

CONTEXT, HORIZON = 6, 3


def spec_of(freq: str, *, past: tuple[str, ...] = (), upper: float | None = None, time_zone: str | None = None) -> Spec:
    """A model of readings and of the day of the week."""
    features = Features(freq=freq, calendar=("day_of_week",), past=past, time_zone=time_zone)
    return Spec(
        job="job",
        model="ridge",
        table=TableSpec(freq=freq, calendar=("day_of_week",), past=past, upper=upper),
        features=features,
        scaler=Scaler(),
        context=CONTEXT,
        horizon=HORIZON,
        quantiles=(0.5,),
        wanted=(0.1, 0.5, 0.9),
    )


@pytest.fixture(scope="module")
def forecaster(tmp_path_factory: pytest.TempPathFactory) -> Forecaster:
    """A linear model of every input."""
    return make(tmp_path_factory.mktemp("online") / "bundle", spec_of("h"))


def make(directory: Path, spec: Spec) -> Forecaster:
    """A bundle with random weights."""
    random, channels, ahead = np.random.default_rng(3), len(spec.features.inputs), len(spec.features.known_ahead)
    weights = random.normal(size=(CONTEXT * channels, HORIZON))
    linear = Linear(CONTEXT, weights, random.normal(size=(HORIZON * ahead, HORIZON)), np.zeros(HORIZON))
    golden = {"past": random.normal(size=(2, CONTEXT, channels)), "future": random.normal(size=(2, HORIZON, ahead))}
    residuals = np.sort(random.normal(size=(HORIZON, 1, 20)).astype(np.float32))
    write(
        directory,
        spec,
        Graphs(to_onnx(linear, inputs=channels, ahead=ahead)),
        calibration=Calibration((0.5,), residuals),
        golden={name: values.astype(np.float32) for name, values in golden.items()},
        origin=Origin(),
    )
    return open_forecaster(directory)


def readings(values: dict[str, list[float]], start: str = "2026-01-01", step: str = "1h") -> Readings:
    """Whole, regular histories."""
    begin, width = np.datetime64(start, "us"), pd.Timedelta(step).to_timedelta64().astype("timedelta64[us]")
    ids = [name for name, y in values.items() for _ in y]
    ds = np.concatenate([begin + np.arange(len(y)) * width for y in values.values()])
    return Readings(ids, ds, np.concatenate([np.array(y, dtype=float) for y in values.values()]), {})


def last(spec: Spec, given: Readings) -> Windows:
    """The windows behind the narrow door."""
    panel = panel_of(given, spec)
    assert panel is not None
    return at_rows(panel, panel.offsets[1:] - HORIZON - 1, context=CONTEXT, horizon=HORIZON)


numbers = st.floats(-1e6, 1e6, width=32)
histories = st.dictionaries(
    st.text("abcé\U0001f600 <>", min_size=1, max_size=6), st.lists(numbers, min_size=CONTEXT, max_size=15), min_size=1
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(values=histories, minutes=st.integers(-(10**8), 10**8))
def test_both_ways_forecast_the_same(forecaster: Forecaster, values: dict[str, list[float]], minutes: int) -> None:
    """Whatever the readings, names, lengths and the phase of the grid."""
    given = readings(values, str(np.datetime64("2000-01-01", "m") + minutes))
    narrow = forecaster.windows(last(forecaster.spec, given)).table()
    careful = forecaster.forecast(given.table())
    keys = ["unique_id", "step"]
    pd.testing.assert_frame_equal(
        narrow.astype({"unique_id": "str"}).sort_values(keys, ignore_index=True),
        careful.sort_values(keys, ignore_index=True),
        check_exact=True,
    )


def ten_steps(freq: str) -> Readings:
    """One series of ten readings at this frequency."""
    stamps = pd.date_range("2026-01-04", periods=10, freq=freq, unit="us").to_numpy()
    return Readings(["a"] * 10, stamps, np.arange(10.0), {})


@pytest.mark.parametrize("freq", ["D", "15min"])
def test_steps_of_fixed_length_give_the_same(freq: str, tmp_path: Path) -> None:
    """Days and quarters of an hour take the fast path, to the same forecast."""
    model = make(tmp_path / "bundle", spec_of(freq))
    given = ten_steps(freq)
    fast = model.windows(last(model.spec, given)).table().astype({"unique_id": "str"})
    pd.testing.assert_frame_equal(fast, model.forecast(given.table()), check_exact=True)


def test_steps_of_the_calendar_do_not_take_the_fast_path(tmp_path: Path) -> None:
    """Weeks end on a day that the calendar says."""
    model = make(tmp_path / "bundle", spec_of("W-SUN"))
    assert panel_of(ten_steps("W-SUN"), model.spec) is None


def test_local_days_are_the_same_both_ways(tmp_path: Path) -> None:
    """Across the hour that Berlin skips, for series that begin together and for one that does not."""
    model = make(tmp_path / "bundle", spec_of("h", time_zone="Europe/Berlin"))
    given = readings({"a": list(range(10)), "b": list(range(10)), "c": list(range(12))}, "2026-03-28T18:00")
    narrow = model.windows(last(model.spec, given)).table().astype({"unique_id": "str"})
    pd.testing.assert_frame_equal(narrow, model.forecast(given.table()), check_exact=True)


WHOLE = readings({"a": [1.0] * 8, "b": [2.0] * 8})


@pytest.mark.parametrize(
    "given",
    [
        pytest.param(WHOLE._replace(y=np.where(np.arange(16) == 3, np.nan, WHOLE.y)), id="missing reading"),
        pytest.param(WHOLE._replace(y=np.where(np.arange(16) == 3, np.inf, WHOLE.y)), id="infinite reading"),
        pytest.param(WHOLE._replace(y=np.where(np.arange(16) == 3, 99.0, WHOLE.y)), id="beyond the bound"),
        pytest.param(WHOLE._replace(ds=WHOLE.ds + (np.arange(16) > 3) * np.timedelta64(1, "h")), id="gap"),
        pytest.param(WHOLE._replace(ds=WHOLE.ds - (np.arange(16) == 3) * np.timedelta64(1, "h")), id="repeated stamp"),
        pytest.param(WHOLE._replace(ds=WHOLE.ds[::-1]), id="backwards"),
        pytest.param(WHOLE._replace(ds=WHOLE.ds + (np.arange(16) == 3) * np.timedelta64(1, "s")), id="off the grid"),
        pytest.param(WHOLE._replace(unique_id=["a", "b"] * 8), id="series in pieces"),
        pytest.param(WHOLE._replace(unique_id=["a"] * 12 + ["b"] * 4), id="short series"),
        pytest.param(Readings([], WHOLE.ds[:0], WHOLE.y[:0], {}), id="nothing"),
    ],
)
def test_whatever_is_irregular_takes_the_careful_way(given: Readings) -> None:
    """There it is validated and cleaned like any other table."""
    assert panel_of(WHOLE, spec_of("h", upper=50.0)) is not None
    assert panel_of(given, spec_of("h", upper=50.0)) is None


def test_covariates_take_the_careful_way() -> None:
    """They have gaps, labels and scales of their own."""
    assert panel_of(WHOLE, spec_of("h", past=("p",))) is None


def test_raw_readings_of_a_sensor_are_gathered_as_in_training(tmp_path: Path) -> None:
    """Late, several a step or merely off the grid: they forecast what their steps forecast, which pass the fast way."""
    spec = spec_of("h")
    model = make(tmp_path / "bundle", spec.model_copy(update={"table": TableSpec(freq="h", aggregate="mean")}))
    whole = readings({"a": [1.0, 4.0, 2.0, 8.0, 5.0, 7.0, 1.0, 3.0]})
    expected = model.windows(last(model.spec, whole)).table().astype({"unique_id": "str"})
    late = whole._replace(ds=whole.ds + np.timedelta64(9, "m"))  # each is in the step that ends an hour later
    assert panel_of(late, model.spec) is None
    over = Readings(["a"] * 9, np.append(late.ds, late.ds[-1:] + np.timedelta64(1, "h")), np.append(late.y, 99.0), {})
    found = model.forecast(over.table())
    hour = pd.Timedelta(hours=1)
    pd.testing.assert_frame_equal(found.assign(ds=found["ds"] - hour, cutoff=found["cutoff"] - hour), expected)


def test_readings_become_a_table_with_its_types() -> None:
    """Numbers stay numbers and labels are texts, even where all of them are missing."""
    labels = np.array([None] * 16, dtype=object)
    table = WHOLE._replace(covariates={"p": np.ones(16), "label": labels}).table()
    assert {name: str(kind) for name, kind in table.dtypes.items()} == {
        "unique_id": "str",
        "ds": "datetime64[us]",
        "y": "float64",
        "p": "float64",
        "label": "str",
    }
