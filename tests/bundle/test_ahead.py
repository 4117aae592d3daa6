"""Known-ahead values that are missing in the horizon: refused, or filled as told, and named either way."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from forecasting.bundle.ahead import fill_ahead
from forecasting.bundle.artifact import open_bundle
from forecasting.bundle.quantile_forecaster import QuantileForecaster
from forecasting.bundle.spec import Spec
from forecasting.errors import DataError

Fill = Callable[..., tuple[pd.DataFrame, list[Any]]]
STEPS, SEASON, CONTEXT = 3, 4, 10


@pytest.fixture
def spec(fitted: Any) -> Spec:
    """What the ridge of the rich table reads, with a season that its context holds; `kind` is known ahead, too."""
    found: Spec = open_bundle(fitted.bundle).spec
    table = found.table.model_copy(
        update={"season": SEASON, "future": ("f", "kind"), "static": (), "categorical": ("kind",)}
    )
    features = found.features.model_copy(update={"future": ("f", "kind")})
    return found.model_copy(update={"context": CONTEXT, "table": table, "features": features})


@pytest.fixture
def grid() -> pd.DataFrame:
    """Thirty hours of `a`, thirteen of `b`, and what is known of the next hours, with holes."""
    draw = np.random.default_rng(3)
    parts = []
    for name, readings, rows in (("a", 30, 31), ("b", 13, 16)):
        stamps = pd.date_range("2024-03-01", periods=rows, freq="h", unit="us")
        part = pd.DataFrame(
            {"unique_id": pd.array([name] * rows, dtype="str"), "ds": stamps, "y": draw.normal(size=rows)}
        )
        part["p"], part["f"] = 1.0, draw.normal(size=rows)
        part["kind"] = pd.array(draw.choice(["x", "y", "z"], rows), dtype="str")
        part.loc[readings:, ["y", "p"]] = np.nan
        parts.append(part)
    table = pd.concat(parts, ignore_index=True)
    table.loc[[25, 31 + 14, 31 + 15], "f"] = np.nan
    table.loc[[31 + 14], "kind"] = None
    return table


def ahead(table: pd.DataFrame, name: str) -> pd.DataFrame:
    """The rows of a series behind its last reading."""
    rows = table[table["unique_id"] == name].reset_index(drop=True)
    return rows[rows["y"].last_valid_index() + 1 :]


def expected(grid: pd.DataFrame, name: str, column: str, how: str) -> list[Any]:
    """The same step by step, in plain words."""
    rows = grid[grid["unique_id"] == name]
    end = int(rows["y"].notna().sum())
    values = [None if pd.isna(value) else value for value in rows[column]][end - CONTEXT :]
    values += [None] * (CONTEXT + STEPS - len(values))
    context = values[:CONTEXT]
    for step in range(CONTEXT, CONTEXT + STEPS):
        if values[step] is not None:
            continue
        same = [value for value in context[step % SEASON :: SEASON] if value is not None]
        if how == "climatology" and same:
            ranked = sorted(set(same), key=lambda value: (-same.count(value), value))
            values[step] = ranked[0] if column == "kind" else float(np.mean(same))
        elif how == "seasonal" and any(value is not None for value in values[step % SEASON : step : SEASON]):
            values[step] = [value for value in values[step % SEASON : step : SEASON] if value is not None][-1]
        else:
            values[step] = [value for value in values[:step] if value is not None][-1]
    return values[CONTEXT:]


@pytest.mark.parametrize("how", ["last", "seasonal", "climatology"])
def test_missing_values_are_filled_as_told(spec: Spec, grid: pd.DataFrame, how: str) -> None:
    """Numbers and labels, of each series by itself; what is known stays, and so does everything up to the reading."""
    filled, told = fill_ahead(grid, spec.model_copy(update={"missing_ahead": how}), STEPS)
    for name in ("a", "b"):
        rows = ahead(filled, name)
        assert len(rows) == STEPS
        np.testing.assert_allclose(rows["f"], expected(grid, name, "f", how))
        assert rows["kind"].tolist() == expected(grid, name, "kind", how)
    before = filled[filled["y"].notna()].reset_index(drop=True)
    pd.testing.assert_frame_equal(before, grid[grid["y"].notna()].reset_index(drop=True))
    assert [one.message.partition(", which")[0] for one in told] == [
        "1 series lack f at steps 2-3 ahead, kind at steps 2-3 ahead",
        "1 series lack f at steps 2-3 ahead, kind at step 2 ahead",
    ]
    assert [one.series for one in told] == [("a",), ("b",)]


@pytest.mark.parametrize("how", ["last", "seasonal", "climatology"])
def test_more_history_changes_no_filled_value(spec: Spec, grid: pd.DataFrame, how: str) -> None:
    """A request that sends the context alone gets what a batch gets that has read everything."""
    chosen = spec.model_copy(update={"missing_ahead": how})
    short = grid[(grid["unique_id"] == "b") | (grid["ds"] >= grid["ds"].iloc[30 - CONTEXT])].reset_index(drop=True)
    for name in ("a", "b"):
        found = [ahead(fill_ahead(table, chosen, STEPS)[0], name).reset_index(drop=True) for table in (grid, short)]
        pd.testing.assert_frame_equal(*found)


def test_the_usual_label_of_the_season_is_taken(spec: Spec, grid: pd.DataFrame) -> None:
    """The most frequent one, not the latest."""
    grid["kind"] = "z"
    grid.loc[27, "kind"] = "x"  # one season before the second step ahead; in the three seasons before it was z
    grid.loc[30, "kind"] = None
    found = {}
    for how in ("seasonal", "climatology"):
        longer = spec.model_copy(update={"missing_ahead": how, "context": 18})
        found[how] = ahead(fill_ahead(grid, longer, STEPS)[0], "a")["kind"].tolist()
    assert found == {"seasonal": ["z", "x", "z"], "climatology": ["z", "z", "z"]}


def test_a_column_without_any_value_stays_empty(spec: Spec, grid: pd.DataFrame) -> None:
    """There is nothing to fill it from."""
    filled, _ = fill_ahead(grid.assign(f=np.nan), spec.model_copy(update={"missing_ahead": "last"}), STEPS)
    assert filled["f"].isna().all()


def test_the_forecast_is_that_of_the_filled_table(fitted: Any, rich: tuple[pd.DataFrame, Any]) -> None:
    """And its warnings say which steps were filled; by default the same table is refused."""
    bundle = open_bundle(fitted.bundle)
    last = bundle._replace(spec=bundle.spec.model_copy(update={"missing_ahead": "last"}))
    table = rich[0]
    ends = table[table["y"].notna()].groupby("unique_id")["ds"].transform("max").reindex(table.index)
    history = table[table["ds"] <= ends]
    with pytest.raises(DataError, match="must be known"):
        QuantileForecaster(bundle).forecast(history)
    found, told = QuantileForecaster(last).warned(history)
    assert [one.kind for one in told if one.kind == "filled_ahead"] == ["filled_ahead"]
    value = history.dropna(subset=["y"]).groupby("unique_id").tail(1).set_index("unique_id")
    known = history.groupby("unique_id")["f"].agg(lambda column: column.dropna().iloc[-1])
    rows = [
        {"unique_id": name, "ds": value.loc[name, "ds"] + pd.Timedelta(hours=step), "f": known[name]}
        for name in value.index
        for step in (1, 2, 3)
    ]
    by_hand = QuantileForecaster(bundle).forecast(history, pd.DataFrame(rows).astype({"unique_id": "str"}))
    pd.testing.assert_frame_equal(found, by_hand)
