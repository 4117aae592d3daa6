"""CSV bodies as the columns that a model reads: row by row within bounds, so that no file costs more than its size."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

import numpy as np
import pandas as pd

__all__ = ["CsvTable", "numbers_of", "read_csv"]

_LINE: Final = 1_000_000  # characters
_WIDEST: Final = 10_000  # columns
_GROUPED: Final = r"[+-]?\d{1,3}(?:\.\d{3})+"  # digits with points that may stand between thousands
_MISSING: Final = ["", "NA", "N/A", "NaN", "nan", "null", "NULL", "None"]


class CsvTable(NamedTuple):
    """The texts of those columns that were wanted, stripped, and the names of the header."""

    header: list[str]
    columns: dict[str, list[str]]
    rows: int


def read_csv(
    body: bytes,
    wanted: frozenset[str],
    *,
    most: int,
    separator: str = ",",
    known_as: Callable[[list[str]], list[str]] | None = None,
) -> CsvTable:
    """A table with a header row; columns that nobody wants are not kept, nor are rows beyond `most`, but counted.

    `known_as` gives the names of a header as they are wanted.
    Raises ValueError or csv.Error for what is no such table: bytes that are no UTF-8, a name that stands twice, rows
    of another length than the header.
    """
    text = io.StringIO(body.decode("utf-8-sig"), newline="")
    reader = csv.reader(_lines(text), delimiter=separator, strict=True, skipinitialspace=True)
    header = [name.strip() for name in next(reader, [])]
    header = known_as(header) if known_as else header
    if not header or len(header) > _WIDEST or len(set(header)) < len(header):
        raise ValueError("no header of different names")
    places = {name: place for place, name in enumerate(header) if name in wanted}
    columns: dict[str, list[str]] = {name: [] for name in places}
    count = 0
    for row in reader:
        if not row:
            continue
        if len(row) != len(header):
            raise ValueError("rows of different lengths")
        count += 1
        if count <= most:
            for name, place in places.items():
                columns[name].append(row[place].strip())
    return CsvTable(header, columns, count)


def numbers_of(texts: list[str], *, comma: bool = False) -> tuple[list[float | None], np.ndarray]:
    """Texts as numbers, None for what is missing, and the rows (bad,) of those that are neither.

    Beside decimal commas 2.500 is two and a half to one reader and two thousand five hundred to another: no number.
    """
    values = pd.Series(texts, dtype="str")
    missing = values.isin(_MISSING)
    plain = values.mask(values.str.fullmatch(_GROUPED)).str.replace(",", ".", regex=False) if comma else values
    numbers = pd.to_numeric(plain.mask(missing), errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    bad = np.flatnonzero(np.isnan(numbers) & ~missing.to_numpy())
    return [None if math.isnan(value) else value for value in numbers.tolist()], bad


def _lines(text: io.StringIO) -> Iterator[str]:
    for line in text:
        if len(line) > _LINE:
            raise ValueError("a line is too long")
        yield line
