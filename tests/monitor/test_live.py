"""Live scores against a NumPy loop, whatever quantiles the versions have."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from forecasting.errors import DataError
from forecasting.monitor.live import By, live_scores
from forecasting.storage.store import Store

JOB = "job"


@pytest.fixture
def store(tmp_path: Path, make_table: Callable[..., pd.DataFrame]) -> Store:
    """Readings of two series, and forecasts by two versions: the second one has more quantiles, and no interval yet."""
    draw = np.random.default_rng(5)
    found = Store(tmp_path / "home")
    y = {name: draw.normal(3, 2, 60) for name in "ab"}
    y["a"][50] = np.nan
    found.observations.merge(JOB, make_table(y))
    for version, names in ((1, ["q0.1", "q0.5", "q0.9"]), (2, ["q0.05", "q0.5", "q0.75", "q0.95"]), (3, ["q0.5"])):
        found.forecasts.append(JOB, forecasts(draw, version, names))
    return found


def forecasts(draw: np.random.Generator, version: int, names: list[str]) -> pd.DataFrame:
    """Three steps at four cutoffs; the last one reaches beyond the readings."""
    rows = [
        (name, cutoff + pd.Timedelta(hours=step), cutoff, step)
        for name in "ab"
        for cutoff in pd.Timestamp("2024-01-01") + pd.to_timedelta([10, 30, 48, 58], unit="h")
        for step in (1, 2, 3)
    ]
    table = pd.DataFrame(rows, columns=["unique_id", "ds", "cutoff", "step"])
    values = np.sort(draw.normal(3, 2, (len(rows), len(names))), axis=1)
    table[names] = values
    return table.assign(version=version).astype(
        {"unique_id": "str", "ds": "datetime64[us]", "cutoff": "datetime64[us]", "version": "int64"}
    )


def expected(store: Store, key: Callable[[Any], Any]) -> dict[Any, dict[str, float]]:
    """The same by a loop over rows."""
    actual = store.observations.read(JOB).set_index(["unique_id", "ds"])["y"].to_dict()
    sums: dict[Any, dict[str, float]] = {}
    for row in store.forecasts.read(JOB).to_dict("records"):
        y = actual.get((row["unique_id"], row["ds"]), np.nan)
        if np.isnan(y):
            continue
        group = sums.setdefault(key(row), dict.fromkeys(("abs", "pin", "y", "in", "of", "err", "n"), 0.0))
        quantiles = {float(str(n)[1:]): v for n, v in row.items() if str(n).startswith("q") and not np.isnan(v)}
        losses = [2 * max(q * (y - v), (q - 1) * (y - v)) for q, v in quantiles.items()]
        group["abs"] += abs(row["q0.5"] - y)
        group["pin"] += sum(losses) / len(losses)
        group["y"] += abs(y)
        group["err"] += row["q0.5"] - y
        group["n"] += 1
        if len(quantiles) > 1:
            group["in"] += quantiles[min(quantiles)] <= y <= quantiles[max(quantiles)]
            group["of"] += 1
    return {
        name: {
            "mae": group["abs"] / group["n"],
            "wql": group["pin"] / group["y"],
            "coverage": group["in"] / group["of"] if group["of"] else np.nan,
            "bias": group["err"] / group["n"],
            "count": group["n"],
        }
        for name, group in sums.items()
    }


@pytest.mark.parametrize(
    ("by", "column", "key"),
    [
        ("step", "step", lambda row: row["step"]),
        ("day", "day", lambda row: row["cutoff"].normalize()),
        ("version", "version", lambda row: row["version"]),
    ],
)
def test_scores_are_those_of_a_loop(store: Store, by: By, column: str, key: Callable[[Any], Any]) -> None:
    """By step, day of the cutoff and version; a forecast whose actual has not come or is missing does not count."""
    found = live_scores(store, JOB, by).set_index(column)
    reference = pd.DataFrame.from_dict(expected(store, key), orient="index").sort_index()
    pd.testing.assert_frame_equal(found, reference, check_dtype=False, check_names=False, check_index_type=False)


def test_all_forecasts_are_one_row(store: Store) -> None:
    """Without a group: ratios of sums over everything."""
    found = live_scores(store, JOB)
    assert found.to_dict("records") == [pytest.approx(expected(store, lambda _: 0)[0])]


def test_series_and_cutoffs_can_be_chosen(store: Store) -> None:
    """One series; nothing before a cutoff."""
    late = pd.Timestamp("2024-01-02")
    both = live_scores(store, JOB, since=late)["count"].item()
    assert both < live_scores(store, JOB)["count"].item()
    assert live_scores(store, JOB, since=late, unique_id="b")["count"].item() == 3 * 7  # versions, steps that came
    assert live_scores(store, JOB, since=late, unique_id="a")["count"].item() == both - 3 * 7


def test_nothing_to_score_has_no_rows(store: Store, tmp_path: Path) -> None:
    """No actual has come; and nothing at all is an error that says what to do."""
    assert live_scores(store, JOB, "step", since=pd.Timestamp("2030-01-01")).empty
    with pytest.raises(DataError, match="gatecast forecast"):
        live_scores(Store(tmp_path / "empty"), JOB)


def test_earlier_cutoffs_are_left_out(store: Store) -> None:
    """As if they had never been forecast; stored text columns change nothing."""
    since = store.forecasts.last_cutoff(JOB) - pd.Timedelta(hours=28)
    kept = store.forecasts.read(JOB, since=since)
    assert sorted(kept["cutoff"].unique()) == sorted(store.forecasts.read(JOB)["cutoff"].unique())[1:]
    found = live_scores(store, JOB, "day", since=since)
    whole = live_scores(store, JOB, "day")
    assert set(found["day"]) == set(kept["cutoff"].dt.normalize()) & set(whole["day"])
    pd.testing.assert_frame_equal(found.tail(1), whole.tail(1).set_axis(found.tail(1).index))
