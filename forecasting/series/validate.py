"""Every violation of a long table at once, with rows and series, before anything is trained on it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Final

import numpy as np
import pandas as pd
from pandas.api.types import infer_dtype, is_datetime64_dtype, is_float_dtype

from forecasting.columns import DS, UNIQUE_ID, Y
from forecasting.config.series import Series
from forecasting.errors import DataError
from forecasting.series.frequency import EARLIEST, LATEST
from forecasting.series.rules import RULES, Violation
from forecasting.series.sorted_rows import Ordered

__all__ = ["ValidationReport", "Violation", "validate"]

_HAS_TYPE: Final[dict[str, Callable[[pd.Series], bool]]] = {
    "str": lambda column: infer_dtype(column, skipna=True) in ("string", "empty"),
    "datetime64[us]": is_datetime64_dtype,  # of any unit, without a time zone
    "float64": lambda column: column.dtype.name in ("float64", "Float64", "double[pyarrow]"),
}


@dataclass(frozen=True)
class ValidationReport:
    """All violations of a table of `rows` rows and `series` series."""

    violations: tuple[Violation, ...]
    rows: int
    series: int

    @property
    def errors(self) -> tuple[Violation, ...]:
        """The violations that forbid the use of the table."""
        return tuple(violation for violation in self.violations if violation.severity == "error")

    def table(self) -> pd.DataFrame:
        """One row per violation: rule, severity, count, message, ids, rows."""
        names = ["rule", "severity", "count", "message", "ids", "rows"]
        return pd.DataFrame([asdict(violation) for violation in self.violations], columns=names)

    def to_json(self) -> str:
        """The report as one JSON object."""
        return json.dumps(asdict(self), indent=2)

    def raise_for_errors(self) -> None:
        """Raise DataError that lists all errors, if there are any."""
        if self.errors:
            raise DataError("the data cannot be used:", [violation.message for violation in self.errors])


def validate(table: pd.DataFrame, series: Series) -> ValidationReport:
    """Check types, values, order, grid and covariates of a long table; rows are counted from 0."""
    if table.empty:
        return ValidationReport((Violation("empty", "error", 0, "the table has no rows"),), 0, 0)
    violations = list(_column_violations(table, series))
    if any(violation.rule in ("missing_column", "wrong_type", "outside_years") for violation in violations):
        return ValidationReport(tuple(violations), len(table), 0)
    body = Ordered.of(table, series)
    for rule in RULES:
        violations += rule(body)
    return ValidationReport(tuple(violations), len(table), len(body.names))


def _column_violations(table: pd.DataFrame, series: Series) -> Iterator[Violation]:
    """The columns that are missing, then what is wrong with each of the others."""
    types = _types(series)
    for name in types:
        if name not in table:
            message = f"column {name} is missing; the table has {', '.join(map(str, table.columns))}"
            yield Violation("missing_column", "error", 1, message)
    for name in types:
        if name in table:
            yield from _in_column(table, name, types[name])
    if not series.symbolic and DS in table and is_datetime64_dtype(table[DS]):  # the steps of a text are made up
        far = ((table[DS] < EARLIEST) | (table[DS] > LATEST)).to_numpy()
        yield from _bad_values(table, DS, far, "outside_years", "(outside the years 1700 to 2250)")


def _in_column(table: pd.DataFrame, name: str, expected: str) -> Iterator[Violation]:
    """Empty keys, a wrong type, infinite numbers."""
    column = table[name]
    if name in (UNIQUE_ID, DS):
        yield from _bad_values(table, name, column.isna().to_numpy(), f"missing_{name}", "empty")
    if not _HAS_TYPE[expected](column):
        message = f"column {name} is {column.dtype}, expected {expected}; convert it before"
        yield Violation("wrong_type", "error", len(table), message)
    if expected == "float64" and is_float_dtype(column):
        infinite = np.isinf(column.to_numpy(np.float64, na_value=np.nan))
        yield from _bad_values(table, name, infinite, "infinite", "infinite")


def _types(series: Series) -> dict[str, str]:
    """The type of every column that a job names."""
    values = (Y, *series.past, *series.future, *series.static)
    return {UNIQUE_ID: "str", DS: "datetime64[us]"} | {
        name: "str" if name in series.categorical else "float64" for name in values
    }


def _bad_values(table: pd.DataFrame, name: str, bad: np.ndarray, rule: str, what: str) -> Iterator[Violation]:
    """A violation at the rows `bad` (a mask) of a column, if there are any."""
    if bad.any():
        rows = np.flatnonzero(bad)
        message = f"column {name}: {len(rows)} {what} value(s), e.g. row {', '.join(map(str, rows[:5]))}"
        ids = table[UNIQUE_ID].iloc[rows].dropna().unique()[:10] if UNIQUE_ID in table else ()
        yield Violation(rule, "error", len(rows), message, tuple(map(str, ids)), tuple(map(int, rows[:10])))
