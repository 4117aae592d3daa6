"""A CSV file from a person as the columns of a forecast request; separators and gaps as spreadsheets write them."""

from __future__ import annotations

import io
import math
from typing import Any, Final

import numpy as np
import pandas as pd

from forecasting.bundle.spec import Spec
from forecasting.columns import DS, UNIQUE_ID
from forecasting.serve.errors import ServiceError

__all__ = ["columns_of_csv"]

_MISSING: Final = ["", "NA", "N/A", "NaN", "nan", "null", "NULL", "None"]
_SHOWN: Final = 5  # rows in a message


def columns_of_csv(body: bytes, spec: Spec) -> dict[str, list[Any]]:
    """Columns of one length: texts, numbers and None. Raises ServiceError 422 that lists every violation.

    A file whose header has semicolons is read with them, and its numbers with decimal commas.
    """
    semicolons = b";" in body.split(b"\n", 1)[0]
    try:
        table = pd.read_csv(
            io.BytesIO(body),
            sep=";" if semicolons else ",",
            dtype="str",
            keep_default_na=False,
            encoding="utf-8-sig",
            skipinitialspace=True,
        )
        if not isinstance(table.index, pd.RangeIndex):  # rows longer than the header: pandas takes them for an index
            raise pd.errors.ParserError
    except ValueError as error:  # bytes that are no UTF-8, nothing at all, rows of other lengths
        text = "the file cannot be read as a table"
        hint = "save it as CSV in UTF-8, with one header row: unique_id, ds, y"
        raise ServiceError(422, "invalid_csv", text, [hint]) from error
    texts = {UNIQUE_ID, DS, *spec.labels}
    wrong: list[str] = []
    columns: dict[str, list[Any]] = {}
    for name in map(str, table.columns):
        values = table[name].str.strip()
        if name in texts:
            columns[name] = [None if value == "" else value for value in values]
        else:
            columns[name] = _numbers(name, values, wrong, comma=semicolons)
    if wrong:
        raise ServiceError(422, "invalid_csv", "the file holds texts where numbers are needed", wrong)
    return columns


def _numbers(name: str, values: pd.Series, wrong: list[str], *, comma: bool) -> list[float | None]:
    missing = values.isin(_MISSING)
    texts = values.str.replace(",", ".", regex=False) if comma else values
    numbers = pd.to_numeric(texts.mask(missing), errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    bad = np.flatnonzero(np.isnan(numbers) & ~missing.to_numpy())
    if len(bad):
        rows = ", ".join(str(row + 2) for row in bad[:_SHOWN])  # as a spreadsheet counts: the header is row 1
        shown = name if name == "y" else "a column"
        wrong.append(f"{shown} holds {len(bad)} value(s) that are no numbers, e.g. in row {rows}")
    return [None if math.isnan(value) else value for value in numbers.tolist()]
