"""Groups and weights of residuals, from a job's configuration to the width of its forecasts."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from forecasting.bundle.artifact import open_bundle
from forecasting.bundle.assemble import recalibrate
from forecasting.bundle.conformal import LEAST
from forecasting.bundle.forecaster import open_forecaster
from forecasting.bundle.groups import groups_of, weights_of
from forecasting.bundle.spec import IntervalSpec
from forecasting.config.job import Job
from forecasting.errors import ConfigError

STEPS = 600


def noisy(spread: dict[str, float]) -> pd.DataFrame:
    """Hourly noise: one series per name, of that spread, in the room that its first letter names."""
    random = np.random.default_rng(5)
    parts = [
        pd.DataFrame(
            {
                "unique_id": name,
                "ds": pd.date_range("2026-01-01", periods=STEPS, freq="h"),
                "y": random.normal(size=STEPS) * size,
                "room": name[0],
            }
        )
        for name, size in spread.items()
    ]
    return pd.concat(parts, ignore_index=True)


def job_by(make_job: Callable[..., Job], by: str, half_life: int | None = None) -> Job:
    """One scale for all series, so that their noise differs in the scaled space, too."""
    series = {"static": ["room"], "categorical": ["room"], "scale": "none"}
    calibrate = {"by": by, "half_life": half_life}
    return make_job(series, backtest={"windows": 50}, forecast={"calibrate": calibrate})


def widths(bundle: Path, table: pd.DataFrame) -> dict[str, float]:
    """The mean width of the 80 percent interval of each series."""
    found = open_forecaster(bundle).forecast(table)
    return (found["q0.9"] - found["q0.1"]).groupby(found["unique_id"]).mean().to_dict()


@pytest.mark.parametrize(("by", "alike"), [("series", False), ("room", False), ("all", True)])
def test_intervals_are_as_wide_as_the_noise_of_their_group(
    make_job: Callable[..., Job], fit_baseline: Callable[..., Any], by: str, alike: bool
) -> None:
    """Quiet series keep narrow intervals beside loud ones, of each its own or of each room; else all are alike."""
    table = noisy({"a1": 1.0, "a2": 1.0, "b1": 10.0})
    found = widths(fit_baseline(table, job_by(make_job, by), "naive").bundle, table)
    expected = 2 * 1.2816 * np.sqrt(2)  # the last value and the next one are both noise
    if alike:
        assert found["a1"] == pytest.approx(found["b1"], rel=1e-6)
    else:
        assert found["a1"] == pytest.approx(expected, rel=0.25)
        assert found["b1"] == pytest.approx(10 * expected, rel=0.25)
    assert (found["a1"] == pytest.approx(found["a2"], rel=1e-6)) == (by != "series")


def test_a_new_series_of_a_known_room_has_the_residuals_of_that_room(
    make_job: Callable[..., Job], fit_baseline: Callable[..., Any]
) -> None:
    """A label says more than nothing; a room that was never seen has the residuals of all."""
    table = noisy({"a1": 1.0, "b1": 10.0})
    bundle = fit_baseline(table, job_by(make_job, "room"), "naive").bundle
    found = widths(bundle, noisy({"a9": 1.0, "b9": 1.0, "c9": 1.0}))
    known = widths(bundle, table)
    assert (found["a9"], found["b9"]) == (pytest.approx(known["a1"]), pytest.approx(known["b1"]))
    assert found["a9"] < found["c9"] < found["b9"]


def test_groups_and_weights_of_windows_are_those_of_their_series_and_age(
    make_job: Callable[..., Job], fit_baseline: Callable[..., Any]
) -> None:
    """Against the cutoffs themselves: half for every four steps before the newest; nothing where all count alike."""
    fitted = fit_baseline(noisy({"a1": 1.0, "b1": 2.0}), job_by(make_job, "room", half_life=4), "naive")
    spec, windows = open_bundle(fitted.bundle).spec, fitted.data.valid
    indices = np.array([0, 3, len(windows) - 1])
    assert groups_of(spec, windows, indices) == ["a", "a", "b"]
    rows = windows.rows(np.arange(len(windows)))
    hours = (windows.panel.stamps[rows].max() - windows.panel.stamps[rows[indices]]) / np.timedelta64(1, "h")
    np.testing.assert_allclose(weights_of(spec, windows, indices), 0.5 ** (hours / 4))
    plain = spec.model_copy(update={"intervals": IntervalSpec(by="all")})
    assert groups_of(plain, windows, indices) is None
    assert weights_of(plain, windows, indices) is None


def test_recalibration_with_a_half_life_follows_the_newest_errors(
    make_job: Callable[..., Job], fit_baseline: Callable[..., Any], tmp_path: Path
) -> None:
    """The noise trebles for the last hundred hours: intervals follow, and still name the same weights."""
    table = noisy({"a1": 1.0})
    loud = table.assign(y=table["y"].where(table["ds"] < table["ds"].max() - pd.Timedelta(100, "h"), 3 * table["y"]))
    found = {}
    for half_life in (None, 20):
        bundle = open_bundle(fit_baseline(table, job_by(make_job, "all", half_life), "naive").bundle)
        again = recalibrate(bundle, loud, table["ds"].iloc[LEAST], tmp_path / str(half_life))
        assert open_bundle(again).manifest.weights == bundle.manifest.weights
        found[half_life] = widths(again, loud)["a1"]
    assert found[20] == pytest.approx(3 * 2 * 1.2816 * np.sqrt(2), rel=0.25)
    assert found[None] < 0.75 * found[20]


def test_a_group_that_is_no_label_is_refused_with_the_valid_ones(make_job: Callable[..., Job]) -> None:
    """Numbers are no groups, and unknown columns neither."""
    sentence = "forecast.calibrate.by: must be one of all, series, room, or another static label, got 'floor'"
    with pytest.raises(ConfigError, match=sentence):
        job_by(make_job, "floor")
