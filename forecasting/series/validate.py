"""Every violation of a long table at once, with rows and series, before anything is trained on it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd
import pandera.pandas as pa

from forecasting.columns import DS, UNIQUE_ID, Y
from forecasting.config.series import Series
from forecasting.errors import DataError
from forecasting.series.rules import RULES, Violation
from forecasting.series.sorted_rows import Ordered

__all__ = ["Report", "Violation", "validate"]


@dataclass(frozen=True)
class Report:
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


def validate(table: pd.DataFrame, series: Series) -> Report:
    """Check types, values, order, grid and covariates of a long table; rows are counted from 0."""
    if table.empty:
        return Report((Violation("empty", "error", 0, "the table has no rows"),), 0, 0)
    violations = list(_schema_violations(table, series))
    if any(violation.rule in ("missing_column", "wrong_type") for violation in violations):
        return Report(tuple(violations), len(table), 0)
    body = Ordered.of(table, series)
    for rule in RULES:
        violations += rule(body)
    return Report(tuple(violations), len(table), len(body.names))


def _schema(series: Series) -> pa.DataFrameSchema:
    finite = pa.Check(lambda values: ~values.isin([np.inf, -np.inf]), name="infinite")
    columns = {
        UNIQUE_ID: pa.Column("str", nullable=False),
        DS: pa.Column("datetime64[us]", nullable=False),
        Y: pa.Column("str", nullable=True) if series.symbolic else pa.Column("float64", finite, nullable=True),
    }
    for name in (*series.past, *series.future, *series.static):
        label = name in series.categorical
        columns[name] = pa.Column("str", nullable=True) if label else pa.Column("float64", finite, nullable=True)
    return pa.DataFrameSchema(columns)


def _schema_violations(table: pd.DataFrame, series: Series) -> Iterator[Violation]:
    try:
        _schema(series).validate(table, lazy=True)
    except pa.errors.SchemaErrors as failure:
        for error in failure.schema_errors:
            yield _sentence(error, table)


def _sentence(error: pa.errors.SchemaError, table: pd.DataFrame) -> Violation:
    kind, name = error.reason_code.name, getattr(error.schema, "name", None)
    if kind == "COLUMN_NOT_IN_DATAFRAME":
        message = f"column {error.failure_cases} is missing; the table has {', '.join(map(str, table.columns))}"
        return Violation("missing_column", "error", 1, message)
    if kind == "WRONG_DATATYPE":
        expected = error.schema.dtype
        message = f"column {name} is {table[name].dtype}, expected {expected}; convert it before"
        return Violation("wrong_type", "error", len(table), message)
    if kind == "SERIES_CONTAINS_NULLS":
        bad, rule, what = table[name].isna().to_numpy(), f"missing_{name}", "empty"
    else:
        bad, rule, what = np.isinf(table[name].to_numpy()), "infinite", "infinite"
    rows = np.flatnonzero(bad)
    message = f"column {name}: {len(rows)} {what} value(s), e.g. row {', '.join(map(str, rows[:5]))}"
    ids = table[UNIQUE_ID].iloc[rows].dropna().unique()[:10]
    return Violation(rule, "error", len(rows), message, tuple(map(str, ids)), tuple(map(int, rows[:10])))
