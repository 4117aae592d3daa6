"""The record of live scores: right against a loop, made anew only where forecasts or readings change."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from forecasting.config.job import Job
from forecasting.errors import DataError
from forecasting.monitor.score_table import SUMS, record
from forecasting.storage.forecasts import ForecastTables
from forecasting.storage.store import Store

START = pd.Timestamp("2024-01-01")
SEASON = 4
KEYS = ["cutoff", "version", "step"]


@pytest.fixture
def job(make_job: Callable[..., Job]) -> Job:
    """Hourly, four hours a season."""
    return make_job({"season": SEASON}, window={"context": 6, "horizon": 6})


@pytest.fixture
def store(tmp_path: Path, make_table: Callable[..., pd.DataFrame]) -> Store:
    """Readings of two series up to hour 40, one of them missing; forecasts from three cutoffs, the last without any."""
    draw = np.random.default_rng(2)
    found = Store(tmp_path / "home")
    y = {name: draw.normal(5, 2, 41) for name in "ab"}
    y["b"][33] = np.nan
    found.observations.merge("job", make_table(y))
    found.forecasts.append("job", forecasts(draw, (26, 30, 40)))
    return found


def forecasts(draw: np.random.Generator, hours: tuple[int, ...], version: int = 1) -> pd.DataFrame:
    """Six steps of each series from each of these hours."""
    rows = [
        (name, START + pd.Timedelta(hours=hour + step), START + pd.Timedelta(hours=hour), step)
        for name in "ab"
        for hour in hours
        for step in range(1, 7)
    ]
    table = pd.DataFrame(rows, columns=["unique_id", "ds", "cutoff", "step"])
    table[["q0.1", "q0.5", "q0.9"]] = np.sort(draw.normal(5, 2, (len(rows), 3)), axis=1)
    return table.assign(version=version).astype(
        {"unique_id": "str", "ds": "datetime64[us]", "cutoff": "datetime64[us]", "version": "int64"}
    )


def expected(store: Store) -> pd.DataFrame:
    """The same by a loop over forecasts."""
    actual = store.observations.read("job").dropna(subset=["y"]).set_index(["unique_id", "ds"])["y"].to_dict()
    sums: dict[Any, dict[str, float]] = {}
    made = store.forecasts.read("job").sort_values(["unique_id", "ds", "cutoff"])
    medians: dict[Any, float] = {}
    for row in made.to_dict("records"):
        group = sums.setdefault((row["cutoff"], row["version"], row["step"]), dict.fromkeys(SUMS, 0.0))
        group["made"] += 1
        group["broken"] += not np.isfinite(row["q0.5"])
        date = (row["unique_id"], row["ds"])
        if date in medians:
            group["moved"] += abs(row["q0.5"] - medians[date])
            group["moves"] += 1
        medians[date] = row["q0.5"]
        if date not in actual:
            continue
        y = actual[date]
        group["absolute"] += abs(row["q0.5"] - y)
        group["error"] += row["q0.5"] - y
        group["actual"] += abs(y)
        group["count"] += 1
        group["intervals"] += 1
        group["inside"] += row["q0.1"] <= y <= row["q0.9"]
        losses = [2 * max(q * (y - row[f"q{q}"]), (q - 1) * (y - row[f"q{q}"])) for q in (0.1, 0.5, 0.9)]
        group["pinball"] += sum(losses) / 3
        back = row["ds"]
        while back > row["cutoff"]:
            back -= pd.Timedelta(hours=SEASON)
        if (row["unique_id"], back) in actual:
            group["naive"] += abs(actual[row["unique_id"], back] - y)
            group["beside_naive"] += abs(row["q0.5"] - y)
            group["naive_count"] += 1
    table = pd.DataFrame.from_dict(sums, orient="index").sort_index()
    return table.rename_axis(KEYS).reset_index()


def check(found: pd.DataFrame, store: Store) -> None:
    """The record holds what the loop gives."""
    pd.testing.assert_frame_equal(found[[*KEYS, *SUMS]], expected(store)[[*KEYS, *SUMS]], check_dtype=False)


def test_scores_are_those_of_a_loop(store: Store, job: Job) -> None:
    """Errors, coverage, revisions, the seasonal naive forecast: sums over series by cutoff, version and step."""
    check(record(store, job), store)


def test_second_record_writes_nothing(store: Store, job: Job) -> None:
    """The same forecasts and readings are one commit."""
    first = record(store, job)
    before = _commits(store)
    pd.testing.assert_frame_equal(record(store, job), first)
    assert _commits(store) == before == 1


def _commits(store: Store) -> int:
    folder = Path(store.observations.latest("job").path).parent / "scores" / "_delta_log"
    return len(list(folder.glob("*.json")))


def test_new_readings_complete_the_record(store: Store, job: Job, make_table: Callable[..., pd.DataFrame]) -> None:
    """What comes later is scored then, as if it had been there at once."""
    record(store, job)
    more = make_table({"a": np.arange(4.0), "b": np.arange(4.0)}, start="2024-01-02 17:00")
    store.observations.merge("job", more)
    check(record(store, job), store)


def test_corrected_reading_is_scored_again(store: Store, job: Job, make_table: Callable[..., pd.DataFrame]) -> None:
    """Only the forecasts of that hour change, and those whose naive forecast it was."""
    store.forecasts.append("job", forecasts(np.random.default_rng(4), (33,)))
    before = record(store, job)
    store.observations.merge("job", make_table({"a": [100.0]}, start="2024-01-02 08:00"))  # hour 32
    after = record(store, job)
    check(after, store)
    changed = (before[SUMS].to_numpy() != after[SUMS].to_numpy()).any(axis=1)
    hours = (before["ds"] - START) // pd.Timedelta(hours=1)
    assert changed[hours == 32].all()
    naive = (before["cutoff"] == START + pd.Timedelta(hours=33)) & hours.isin([32 + SEASON])
    assert (changed == ((hours == 32) | naive)).all()


def test_new_vintages_are_added(store: Store, job: Job) -> None:
    """Another cutoff and another version; what stood before stays as it was but for nothing."""
    before = record(store, job)
    store.forecasts.append("job", forecasts(np.random.default_rng(9), (32,), version=2))
    after = record(store, job, since=START + pd.Timedelta(hours=28))
    check(after[after["cutoff"] != START + pd.Timedelta(hours=40)], _without(store, 40))
    kept = after.merge(before[KEYS], on=KEYS)
    pd.testing.assert_frame_equal(kept, before)


def _without(store: Store, hour: int) -> Store:
    """The store as the loop should see it: without the vintages of that hour."""
    made = store.forecasts.read("job")

    class Some(ForecastTables):
        def read(self, *args: Any, **named: Any) -> pd.DataFrame:
            return made[made["cutoff"] != START + pd.Timedelta(hours=hour)]

    seen = Store(store.workspace.home)
    seen.forecasts = Some(store.workspace)
    return seen


def test_later_readings_do_not_touch_earlier_scores(
    store: Store, job: Job, make_table: Callable[..., pd.DataFrame]
) -> None:
    """Whatever comes after hour 32, the forecasts of the hours up to it keep their scores."""
    before = record(store, job)
    store.observations.merge("job", make_table({name: np.full(8, 1e3) for name in "ab"}, start="2024-01-02 09:00"))
    after = record(store, job)
    early = before["ds"] <= START + pd.Timedelta(hours=32)
    pd.testing.assert_frame_equal(after[early], before[early])
    assert not after[~early].equals(before[~early])


def test_symbols_and_empty_stores_are_refused(
    tmp_path: Path, job: Job, make_job: Callable[..., Job], store: Store
) -> None:
    """One clear sentence each."""
    with pytest.raises(DataError, match="gatecast forecast"):
        record(Store(tmp_path / "empty"), job)
    kept = Store(tmp_path / "symbols")
    kept.observations.merge("job", store.observations.read("job"))
    names = ["unique_id", "ds", "cutoff", "step", "version"]
    kept.forecasts.append("job", store.forecasts.read("job")[names].assign(symbol="a", probability=0.5))
    with pytest.raises(DataError, match="have no median; the monitor needs forecasts of numbers"):
        record(kept, job)
