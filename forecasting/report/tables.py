"""The tables of a report as text: the content of every cell, and its marks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import pandas as pd

from forecasting.columns import MODEL
from forecasting.evaluation.metrics import Metric
from forecasting.runtime.templates import number

__all__ = ["Cell", "Column", "Table", "leaderboard", "plain", "verdict"]

_VERDICT = {"rule": "rule", "passed": "passed", "sentence": "why", "figure": "figure", "bound": "bound"}
_SENTENCE = 40  # characters; a longer text gets a wide column


class Column(NamedTuple):
    """The head of a column; numbers are aligned right."""

    heading: str
    explanation: str
    number: bool


class Cell(NamedTuple):
    """One cell and the classes of its style."""

    text: str
    kind: str


class Table(NamedTuple):
    """Heads and rows of cells."""

    columns: list[Column]
    rows: list[list[Cell]]


def plain(table: pd.DataFrame) -> Table | None:
    """A table as it is; None if it is empty."""
    return _table(table)


def verdict(rules: pd.DataFrame) -> Table | None:
    """The rules of the gate: the sentence before the figures."""
    order = [name for name in _VERDICT if name in rules]
    return _table(rules[order], headings=_VERDICT)


def leaderboard(
    table: pd.DataFrame, metrics: Mapping[str, Metric], primary: str, nominal: float | None
) -> Table | None:
    """The primary metric first, the best of every column marked; `nominal` is the nominal coverage."""
    if table.empty:
        return None
    first = [MODEL, primary]
    table = table[[*first, *(name for name in table.columns if name not in first)]]
    best = {name: _best(table[name], metrics[name], name, nominal) for name in table.columns if name in metrics}
    return _table(table, explanations={name: metric.title for name, metric in metrics.items()}, best=best)


def _best(values: pd.Series, metric: Metric, name: str, nominal: float | None) -> int | None:
    """The best row of a column: the smallest error, the coverage nearest to nominal, the bias nearest to 0."""
    if values.isna().all():
        return None
    if metric.lower_is_better is not None:
        return int(values.argmin() if metric.lower_is_better else values.argmax())
    if name == "bias":
        return int(values.abs().argmin())
    if name == "coverage" and nominal is not None:
        return int((values - nominal).abs().argmin())
    return None


def _table(
    table: pd.DataFrame,
    *,
    headings: Mapping[str, str] | None = None,
    explanations: Mapping[str, str] | None = None,
    best: Mapping[str, int | None] | None = None,
) -> Table | None:
    """None for an empty table; `best` is the row to mark per column."""
    if table.empty:
        return None
    names = [str(name) for name in table.columns]
    columns = [
        Column((headings or {}).get(name, name), (explanations or {}).get(name, ""), _is_number(table[name]))
        for name in names
    ]
    marked = [(best or {}).get(name) for name in names]
    rows = [
        [_cell(*each, position) for each in zip(row, columns, marked, strict=True)]
        for position, row in enumerate(table.itertuples(index=False, name=None))
    ]
    return Table(columns, rows)


def _is_number(values: pd.Series) -> bool:
    return pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)


def _cell(value: Any, column: Column, best: int | None, position: int) -> Cell:
    if isinstance(value, bool):
        return Cell("✓ passed", "good") if value else Cell("✗ failed", "bad")
    text = _text(value)
    kinds = {"number": column.number, "best": best == position, "sentence": len(text) > _SENTENCE}
    return Cell(text, " ".join(kind for kind, holds in kinds.items() if holds))


def _text(value: Any) -> str:
    if isinstance(value, tuple | list):
        return ", ".join(str(item) for item in value)
    return number(value) if value is None or isinstance(value, float) else str(value)
