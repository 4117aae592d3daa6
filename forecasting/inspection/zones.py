"""Whether stamps without a zone are those of a local clock: an hour is skipped in spring, one comes twice in autumn."""

from __future__ import annotations

from typing import Final

import pandas as pd

from forecasting.inspection.findings import Found

__all__ = ["describe_zone"]

# one for each rule of changing clocks; places that share a rule cannot be told apart
_ZONES: Final = (
    "Europe/Berlin",
    "Europe/London",
    "Europe/Athens",
    "America/New_York",
    "Australia/Sydney",
    "America/Santiago",
)
_HOUR: Final = pd.Timedelta(hours=1)
_LONGEST: Final = pd.Timedelta(hours=1)  # step of which an hour may be missed
_ENOUGH: Final = 2  # skipped hours


def describe_zone(stamps: pd.Series, findings: Found) -> None:
    """Find `source.time_zone`: the zone whose skipped hours are just those that are missing."""
    known = pd.DatetimeIndex(stamps.dropna().drop_duplicates().sort_values())
    if len(known) < 100 or pd.Series(known).diff().median() > _LONGEST:
        return
    for zone in _ZONES:
        skipped = [moment for moment in _skipped(zone, known[0], known[-1]) if _around(known, moment)]
        if len(skipped) >= _ENOUGH and not any(_between(known, moment) for moment in skipped):
            why = f"the {len(skipped)} hours that its clocks skip in spring are missing; other places share its rule"
            answer = findings.guess("source.time_zone", zone, why, (*_ZONES, None))
            if answer is None:
                del findings.found["source.time_zone"]
            return


def _skipped(zone: str, first: pd.Timestamp, last: pd.Timestamp) -> list[pd.Timestamp]:
    """The local moments at which the clocks of `zone` jump ahead."""
    hours = pd.date_range(first, last, freq="h", tz="UTC")
    local = hours.tz_convert(zone).tz_localize(None)
    jumps = (local[1:] - local[:-1]) > _HOUR
    return list((local[:-1] + _HOUR)[jumps].floor("h"))


def _around(known: pd.DatetimeIndex, moment: pd.Timestamp) -> bool:
    """Whether there are readings in the hour before and in the one after the skipped one."""
    return _between(known, moment - _HOUR) and _between(known, moment + _HOUR)


def _between(known: pd.DatetimeIndex, begin: pd.Timestamp) -> bool:
    return bool(known.searchsorted(begin) < known.searchsorted(begin + _HOUR))
