"""Violations as clients are told them: which rule, in how many rows, and never a name or a stamp that came."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from forecasting.series.rules import Violation

__all__ = ["sentences"]

_SHOWN: Final = 5  # rows of each
_SENTENCES: Final = {
    "off_grid": "stamp(s) are off the grid of the model's frequency",
    "duplicates": "row(s) repeat a stamp of their series with other values",
    "identical_rows": "row(s) repeat another row in every column, and count once",
    "unsorted": "row(s) step back in time, and are put in order",
    "gaps": "step(s) are missing between readings",
    "missing_readings": "row(s) between readings hold none",
    "leading_missing": "row(s) stand before the first reading of their series, and are left out",
    "trailing_missing": "row(s) stand after the last reading of their series, and are left out",
    "below_lower": "reading(s) below the lower bound count as missing",
    "above_upper": "reading(s) above the upper bound count as missing",
    "stray": "reading(s) lie far from all others of their series",
    "all_missing": "series without any reading are left out",
    "only_ahead": "series bring no reading, but values that are known ahead",
    "constant": "series never change",
    "static_varies": "series in which a covariate changes that must not: the latest value counts",
    "future_missing": "row(s) lack a known-ahead value",
    "missing_labels": "row(s) hold no label; a sequence of symbols has one at every step",
    "empty_labels": "row(s) hold an empty label",
    "nothing_left": "series, and none has a reading",
}
_GAPS: Final = ("gaps", "missing_readings")
_REFUSED: Final = ", and this model refuses gaps"


def sentences(violations: Iterable[Violation]) -> list[str]:
    """One sentence each, with the first rows (from 0) in which it was found."""
    return [
        f"{violation.count} {_SENTENCES.get(violation.rule, violation.rule)}"
        + (_REFUSED if violation.severity == "error" and violation.rule in _GAPS else "")
        + (f", e.g. in row {', '.join(map(str, violation.rows[:_SHOWN]))} (from 0)" if violation.rows else "")
        for violation in violations
    ]
