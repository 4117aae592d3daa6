"""Traits of the readings: duplicates, counts, bounds, and the season."""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd

from forecasting.columns import DS, UNIQUE_ID, Y
from forecasting.inspection.findings import Found
from forecasting.series.aggregate import step_ends
from forecasting.series.calendar import season_length
from forecasting.series.season import find_season

__all__ = ["describe_readings"]

_ZEROS: Final = 0.01  # share of zeros from which nothing is thought to lie below


def describe_readings(table: pd.DataFrame, findings: Found) -> None:
    """Find `series.duplicates`, `lower`, and `integer` of a long table, and note its season."""
    y = table[Y][np.isfinite(table[Y])]
    if "series.aggregate" not in findings.found:
        _duplicates(table, findings)
    whole = bool((y % 1 == 0).all()) and y.nunique() > 2
    zeros = float((y == 0).mean())
    if y.min() >= 0 and (whole or zeros >= _ZEROS):
        findings.add("series.lower", 0, f"no reading lies below; {zeros:.1%} are zero")
        if whole:
            findings.add("series.integer", True, "all readings are whole numbers")
    freq = str(findings.value("series.freq"))
    known = table[np.isfinite(table[Y])]
    if "series.aggregate" in findings.found:
        known = known.assign(**{DS: step_ends(known[DS], freq)})
    season = find_season(known.groupby([UNIQUE_ID, DS], as_index=False)[Y].mean(), freq)
    natural = " (the natural one)" if season == season_length(freq) else ""
    findings.notes.append(f"a season of {season} steps{natural}, which the run looks for itself")


def _duplicates(table: pd.DataFrame, findings: Found) -> None:
    again = table.duplicated([UNIQUE_ID, DS])
    if not again.any():
        return
    differing = int((again & ~table.duplicated([UNIQUE_ID, DS, Y])).sum())
    if not differing:
        findings.add("series.duplicates", "first", f"{int(again.sum()):,} row(s) repeat a stamp and its reading")
        return
    why = f"{differing:,} row(s) repeat a stamp of their series with another reading"
    findings.guess("series.duplicates", "mean", why, ("mean", "first", "last", "sum"))
