"""How far a source was read: the highest value of a column as text, and where the next reading begins."""

from __future__ import annotations

import datetime as dt
import json
import math
from decimal import Decimal
from typing import Any, Final

import pandas as pd

from forecasting.errors import SourceError

__all__ = ["begin_of", "highest"]

_REMEDY: Final = "name a column of stamps or numbers that every row has"


def highest(column: pd.Series, before: str | None = None) -> str:
    """The highest value of a column of stamps, texts of stamps, or numbers, at least `before`, with its kind, as JSON.

    Raises SourceError for values that are missing, and for those of other or of several kinds.
    """
    missing = int(column.isna().sum())
    if missing:
        raise SourceError(f"source.since: {missing} row(s) have no {column.name}, and would never be new; {_REMEDY}")
    values = [*column.astype("object"), *([_value(before)] if before else [])]
    kinds = sorted({_kind(value) for value in values})
    if len(kinds) > 1 or kinds == [""]:
        shown = ", ".join(sorted({type(value).__name__ for value in values}))
        raise SourceError(f"source.since: {column.name} holds {shown}; {_REMEDY}")
    try:
        value = max(values)
    except TypeError as error:  # stamps with and without a zone
        raise SourceError(f"source.since: the values of {column.name} have no order; {_REMEDY}") from error
    text = value.isoformat() if isinstance(value, dt.date) else str(value)
    return json.dumps({"kind": kinds[0], "value": text})


def begin_of(mark: str, overlap: str | float) -> Any:
    """The value from which on rows are read again, of the column's type; raises SourceError for another overlap."""
    kind, value = json.loads(mark)["kind"], _value(mark)
    if isinstance(overlap, str) != (kind != "number"):
        fit = "a number" if kind == "number" else "a duration such as 1D"
        raise SourceError(
            f"source.overlap must be {fit}, since the column of source.since holds {kind}s; got {overlap}"
        )
    if kind == "number":
        return value - type(value)(str(overlap)) if isinstance(value, Decimal) else math.floor(value - float(overlap))
    back = pd.Timedelta(overlap).to_pytimedelta()
    if kind != "text":
        return value - back
    stamp = dt.datetime.fromisoformat(value) - back
    return stamp.date().isoformat() if len(value) == 10 else stamp.isoformat(sep=value[10])  # texts compare as texts


def _value(mark: str) -> Any:
    content = json.loads(mark)
    kind, text = content["kind"], content["value"]
    if kind == "stamp":
        return dt.datetime.fromisoformat(text)
    if kind == "date":
        return dt.date.fromisoformat(text)
    if kind == "number":
        return int(text) if text.lstrip("-").isdigit() else float(text)
    return text


def _kind(value: Any) -> str:
    if isinstance(value, dt.datetime):
        return "stamp"
    if isinstance(value, dt.date):
        return "date"
    if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        return "number"
    return "text" if isinstance(value, str) and _is_stamp(value) else ""


def _is_stamp(text: str) -> bool:
    try:
        dt.datetime.fromisoformat(text)
    except ValueError:
        return False
    return len(text) >= 10 and text[4] == text[7] == "-"
