"""Calibration, worst series, and groups by size against values computed by hand."""

import numpy as np
import pandas as pd
import pytest
from numpy.typing import ArrayLike

from forecasting.evaluation.breakdown import by_size, calibration, worst_series
from forecasting.evaluation.metrics import Scored
from forecasting.evaluation.symbols import ScoredSymbols


def scored(model: str, series: list[str], y: ArrayLike, forecast: ArrayLike, quantiles: tuple[float, ...]) -> Scored:
    """One window per series: actuals (B, H) and forecasts (B, H, Q)."""
    return Scored(
        model=model,
        unique_id=np.array(series),
        cutoff=np.full(len(series), np.datetime64("2026-01-01", "us")),
        y=np.array(y, dtype=float),
        forecast=np.array(forecast, dtype=float),
        quantiles=quantiles,
        scale=np.ones(len(series)),
        squared_scale=np.ones(len(series)),
    )


def points(model: str, series: list[str], y: ArrayLike, forecast: ArrayLike) -> Scored:
    """The same for medians (B, H)."""
    return scored(model, series, y, np.array(forecast, dtype=float)[..., None], (0.5,))


def test_calibration_counts_what_lies_below_each_quantile() -> None:
    """Of 1, 2, 3, 4 one lies below 2, two at or below; missing actuals and broken forecasts do not count."""
    edges = [[2.0, 3.5]] * 5 + [[2.0, np.nan]]
    one = scored("net", ["a"], [[1, 2, 3, 4, np.nan, 0]], [edges], (0.2, 0.5))
    table = calibration([one])
    assert table.to_dict("list") == {
        "model": ["net", "net"],
        "quantile": [0.2, 0.5],
        "below": [0.25, 0.75],
        "at_most": [0.5, 0.75],
    }


def test_random_quantiles_of_a_known_distribution_are_calibrated() -> None:
    """The true quantiles of a normal distribution hold their shares within three standard errors."""
    random = np.random.default_rng(0)
    edges = [-1.2815515655446004, 0.0, 1.2815515655446004]
    y = random.normal(size=(500, 8))
    table = calibration([scored("net", ["a"] * 500, y, np.broadcast_to(edges, (500, 8, 3)), (0.1, 0.5, 0.9))])
    errors = 3 * np.sqrt(table["quantile"] * (1 - table["quantile"]) / 4000)
    assert (table["below"] - table["quantile"]).abs().lt(errors).all()
    assert table["below"].equals(table["at_most"])


def test_medians_alone_have_no_calibration() -> None:
    """Nothing to draw where nothing but the median is forecast."""
    assert calibration([points("net", ["a"], [[1.0]], [[1.0]])]).empty


def test_series_that_are_worse_come_first_by_their_cost() -> None:
    """Errors 9, 1, 6, 4 against 10, 0, 2, 4: c costs 4, b costs 1; a and d are no worse and follow by their loss."""
    names, y = ["a", "b", "c", "d"], [[20.0], [5.0], [10.0], [0.0]]
    net = points("net", names, y, [[29.0], [6.0], [16.0], [4.0]])
    ridge = points("ridge", names, y, [[30.0], [5.0], [12.0], [4.0]])
    found = worst_series(net, ridge, "mae")
    assert found is not None
    assert found.table["unique_id"].tolist() == ["c", "b", "a", "d"]
    assert found.table["share"].tolist() == pytest.approx([0.3, 0.05, 0.45, 0.2])
    assert found.table["net"].tolist() == [6, 1, 9, 4]
    assert found.table["ridge"].tolist() == [2, 0, 10, 4]
    assert found.table["against"].fillna(-9).tolist() == pytest.approx([2.0, -9, -0.1, 0.0])
    assert (found.series, found.worse, found.undefined) == (4, 2, 0)
    few = worst_series(net, ridge, "mae", limit=1)
    assert few is not None
    assert few.table["unique_id"].tolist() == ["c"]


def test_a_broken_series_is_the_worst_and_an_undefined_one_is_counted() -> None:
    """A forecast that is not finite comes first; a series of zeros has no wql, and is said to have none."""
    names, y = ["a", "b", "c"], [[2.0], [4.0], [0.0]]
    net = points("net", names, y, [[3.0], [np.nan], [0.5]])
    found = worst_series(net, points("ridge", names, y, [[4.0], [5.0], [1.0]]), "wql")
    assert found is not None
    assert found.table["unique_id"].tolist() == ["b", "a", "c"]
    assert (found.worse, found.undefined) == (1, 1)
    assert found.table["share"].fillna(-9).tolist() == pytest.approx([-9, 2 / 3, 1 / 3])


def test_groups_of_series_are_pooled_by_size() -> None:
    """Series of 1, 2, 10 and 30 make two groups; wql of a group is the sum of its errors over that of its actuals."""
    names, y = ["d", "a", "c", "b", "e"], [[30.0], [1.0], [10.0], [2.0], [np.nan]]
    net = points("net", names, y, [[33.0], [2.0], [9.0], [2.0], [1.0]])
    ridge = points("ridge", names, y, [[30.0], [1.0], [6.0], [5.0], [1.0]])
    found = by_size(net, ridge, "wql")
    assert found is not None
    expected = {
        "low": [1.0, 10.0],
        "high": [2.0, 30.0],
        "series": [2, 2],
        "share": [0.2, 0.8],
        "net": [1 / 3, 4 / 40],
        "ridge": [3 / 3, 4 / 40],
    }
    pd.testing.assert_frame_equal(found.table, pd.DataFrame(expected))
    assert found.left_out == 1


def test_one_series_has_neither_worst_nor_sizes() -> None:
    """A single series is the leaderboard; three are too few for groups; symbols have no size."""
    y = [[1.0], [2.0], [3.0]]
    three = points("net", ["a", "b", "c"], y, y)
    one = points("net", ["a"], [[1.0]], [[2.0]])
    assert worst_series(one, one, "mae") is None
    assert by_size(three, three, "mae") is None
    stamps, shape = np.full(8, np.datetime64("2026-01-01", "us")), (8, 1)
    names = np.array(list("abcdefgh"))
    text = ScoredSymbols("net", names, stamps, np.zeros(shape), np.full(shape, -1.0), np.zeros(shape, dtype=bool))
    assert by_size(text, text, "accuracy") is None
