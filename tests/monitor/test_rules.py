"""The rules of the monitor, on scores that are worked out by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest

from forecasting.config.operation import Monitor
from forecasting.monitor.rules import Evidence, judge
from forecasting.monitor.score_table import SUMS

NOW = datetime(2026, 1, 20, tzinfo=UTC)


@pytest.mark.parametrize(("stamps", "kept"), [(24, True), (95, True), (96, False)])
def test_coverage_is_judged_by_several_forecasts_only(stamps: int, kept: bool) -> None:
    """Every reading of a day inside its interval is one good forecast; of four days, intervals that are too wide."""
    scores = pd.DataFrame({"ds": pd.date_range("2026-01-01", periods=stamps, freq="h", unit="us")})
    scores = scores.assign(**{**dict.fromkeys(SUMS, 1.0), "broken": 0.0, "naive": 2.0})
    evidence = Evidence(
        scores=scores,
        promised={"mae": 1.0, "coverage": 0.8},
        promised_error=0.1,
        nominal=0.8,
        horizon=24,
        inputs=None,
        residuals=None,
        came=NOW,
        due=NOW + timedelta(hours=48),
        now=NOW,
    )
    rules = {rule.rule: rule.passed for rule in judge(evidence, Monitor())}
    assert rules["coverage"] is kept
    assert all(passed for name, passed in rules.items() if name != "coverage")
