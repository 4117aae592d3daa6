"""Sheets of workbooks: typed cells into columns; text where a number or a date belongs is named by its cell."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pandas as pd

from forecasting.errors import SourceError
from forecasting.sources.parsing.numbers import EMPTY

__all__ = ["check_numbers", "labels_of", "sheet_of", "sizes_of", "stamps_of", "typed"]

_SHOWN: Final = 5
_COUNTED: Final = ("unix", "unix_ms", "step")  # layouts of stamps that are numbers


def sheet_of(path: Path, sheet: str | int | None, *, header: bool = True) -> pd.DataFrame:
    """The cells of a sheet as they are typed, None where empty; its index has the numbers of the rows.

    Raises SourceError for a missing extra, a damaged workbook, and a sheet that is not there or not named.
    """
    with _opened(path) as book:
        cells = book.get_sheet_by_name(_name(path, book.sheet_names, sheet)).to_python(skip_empty_area=False)
    rows = [[None if cell == "" else cell for cell in row] for row in cells]
    first = next((place for place, row in enumerate(rows) if any(cell is not None for cell in row)), None)
    if first is None:
        raise SourceError(f"{path} holds no rows")
    begin = first + 1 if header else first
    names = _header(rows[first]) if header else [str(place) for place in range(len(rows[first]))]
    frame = pd.DataFrame(rows[begin:], columns=names, index=pd.RangeIndex(begin + 1, len(rows) + 1), dtype=object)
    return frame.dropna(how="all")


def sizes_of(path: Path) -> dict[str, int]:
    """The rows of every sheet of a workbook, by its name; raises SourceError as `sheet_of`."""
    with _opened(path) as book:
        return {name: book.get_sheet_by_name(name).total_height for name in book.sheet_names}


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    try:
        from python_calamine import CalamineError, CalamineWorkbook
    except ModuleNotFoundError as error:
        raise SourceError(f"{path} needs the extra excel: pip install gatecast[excel]") from error
    try:
        with CalamineWorkbook.from_path(str(path)) as book:
            yield book
    except CalamineError as error:
        raise SourceError(f"cannot read {path}: {error}") from error


def _name(path: Path, names: Sequence[str], sheet: str | int | None) -> str:
    if sheet is None and len(names) == 1:
        return names[0]
    if isinstance(sheet, int) and 1 <= sheet <= len(names):
        return names[sheet - 1]
    if isinstance(sheet, str) and sheet in names:
        return sheet
    what = "several sheets" if sheet is None else f"no sheet {sheet}"
    raise SourceError(f"{path} has {what}; name one in source.sheet: {', '.join(names)}")


def _header(cells: list[Any]) -> list[str]:
    return [f"Unnamed: {place}" if cell is None else _text(cell) for place, cell in enumerate(cells)]


def check_numbers(frame: pd.DataFrame, columns: Sequence[str], missing: Sequence[str | float]) -> list[str]:
    """A sentence for every column that holds anything but numbers, codes for no value, and empty cells."""
    codes = {*EMPTY, *map(str, missing)}
    return [
        f"column {name} holds {what} where numbers belong: {cells}; turn them into numbers in the workbook, or list the"
        " codes for no value in source.missing"
        for name in columns
        for what, cells in _strangers(frame, name, lambda cell: _is_number(cell) or str(cell).strip() in codes)
    ]


def stamps_of(frame: pd.DataFrame, name: str, formats: Sequence[str], *, part: bool) -> tuple[pd.Series, list[str]]:
    """A column of dates as stamps, as `part` of a stamp or for a layout as text, and a sentence where it has others."""
    cells = frame[name]
    dated = cells.map(lambda cell: isinstance(cell, dt.date | dt.time), na_action="ignore").dropna().astype(bool)
    if part or formats:
        return cells.map(lambda cell: _written(cell, formats), na_action="ignore").astype("str"), []
    if not dated.all():
        faults = [
            f"column {name} holds {what} where dates belong: {found}; format them as dates in the workbook, or name"
            " their layout in source.date_format"
            for what, found in _strangers(frame, name, lambda cell: isinstance(cell, dt.date))
        ]
        return pd.Series(pd.NaT, index=cells.index, dtype="datetime64[us]"), faults
    stamps = pd.to_datetime(cells.astype("str"), format="ISO8601", errors="coerce").astype("datetime64[us]")
    return stamps.dt.round("ms"), []  # a day is counted in a float, which a microsecond gets lost in


def labels_of(column: pd.Series) -> pd.Series:
    """A column as text; whole numbers have no fraction."""
    return column.map(_text, na_action="ignore").astype("str")


def typed(frame: pd.DataFrame) -> pd.DataFrame:
    """Every column as what all of its cells are: numbers, dates, else text."""
    return pd.DataFrame({name: _typed(frame, str(name)) for name in frame.columns}, index=frame.index)


def _typed(frame: pd.DataFrame, name: str) -> pd.Series:
    cells = frame[name].dropna()
    if cells.map(_is_number).all():
        return frame[name].astype("float64")
    if cells.map(lambda cell: isinstance(cell, dt.date)).all():
        return stamps_of(frame, name, (), part=False)[0]
    return labels_of(frame[name])


def _strangers(frame: pd.DataFrame, name: str, fits: Any) -> Iterator[tuple[str, str]]:
    """The kinds of cells that do not fit a column, and the names of some of them."""
    wrong = [(row, cell) for row, cell in frame[name].items() if cell is not None and not fits(cell)]
    letter = _letters(list(frame.columns).index(name))
    for kind, what in ((str, "text"), (dt.date, "dates"), ((int, float), "numbers"), (object, "other values")):
        found = [(row, cell) for row, cell in wrong if isinstance(cell, kind)]
        wrong = [(row, cell) for row, cell in wrong if not isinstance(cell, kind)]
        if found:
            shown = ", ".join(f"{letter}{row} {str(cell)!r}" for row, cell in found[:_SHOWN])
            yield f"{len(found)} cell(s) of {what}", shown + (", …" if len(found) > _SHOWN else "")


def _is_number(cell: Any) -> bool:
    return isinstance(cell, int | float) and not isinstance(cell, bool)


def _written(cell: Any, formats: Sequence[str]) -> str:
    """A cell as the text that a layout reads; a date is written in the first one."""
    layout = next((each for each in formats if each not in _COUNTED), None)
    if isinstance(cell, dt.date) and layout is not None:
        return cell.strftime(layout)
    if isinstance(cell, dt.datetime) and cell.time() == dt.time():
        return cell.date().isoformat()
    return _text(cell)


def _text(cell: Any) -> str:
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return (
        cell.isoformat(*([" "] if isinstance(cell, dt.datetime) else []))
        if isinstance(cell, dt.date | dt.time)
        else str(cell).strip()
    )


def _letters(place: int) -> str:
    """The letters of a column, counted from 0."""
    letters = ""
    while place >= 0:
        place, rest = divmod(place, 26)
        letters, place = chr(ord("A") + rest) + letters, place - 1
    return letters
