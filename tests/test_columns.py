"""Columns of quantiles: their names, their order, and the intervals that they bound."""

import pytest

from forecasting.columns import column_quantile, interval_columns, median_column, quantile_column, quantile_columns


@pytest.mark.parametrize("quantile", [0.1, 0.025, 1e-5, 0.5, 0.999])
def test_column_tells_its_quantile(quantile: float) -> None:
    """There and back."""
    assert column_quantile(quantile_column(quantile)) == quantile


def test_quantile_columns_are_found_and_put_in_order() -> None:
    """By their quantile, not by their name."""
    assert quantile_columns(["q0.5", "ds", "q1e-05", "q0.025", "quality", "q0.9"]) == [
        "q1e-05",
        "q0.025",
        "q0.5",
        "q0.9",
    ]


def test_intervals_pair_from_the_outside_inwards() -> None:
    """With the level in per cent; the middle has no partner."""
    pairs = interval_columns(["q0.05", "q0.1", "q0.5", "q0.9", "q0.95"])
    assert pairs == [("q0.05", "q0.95", 90.0), ("q0.1", "q0.9", 80.0)]
    assert interval_columns(["q0.5"]) == []


def test_forecast_is_the_quantile_nearest_to_the_median() -> None:
    """Another version may not have forecast 0.5."""
    assert median_column(["q0.1", "q0.4", "q0.9"]) == "q0.4"
    assert median_column(["q0.1", "q0.5", "q0.9"]) == "q0.5"
