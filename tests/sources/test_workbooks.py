"""Excel workbooks, written by another program: sheets, dates and numbers; text in their place is named by its cell."""

import datetime as dt
import sys
from pathlib import Path
from typing import Any

import openpyxl
import pandas as pd
import pytest
import yaml

from forecasting.config.series import Series
from forecasting.config.source import FileSource
from forecasting.errors import SourceError
from forecasting.inspection.inspect import inspect
from forecasting.sources import file

HOURS = [dt.datetime(2026, 1, 1) + dt.timedelta(hours=hour) for hour in range(72)]  # noqa: DTZ001 - local, as in a sheet


def book(path: Path, **sheets: list[list[Any]]) -> Path:
    """A workbook with these rows."""
    made = openpyxl.Workbook()
    made.remove(made.active)
    for name, rows in sheets.items():
        sheet = made.create_sheet(name)
        for row in rows:
            sheet.append(row)
    made.save(path)
    return path


def rows(**changes: Any) -> list[list[Any]]:
    """Hourly readings below a header; `B3=…` puts another value there."""
    found: list[list[Any]] = [["ds", "y", "shop"], *([stamp, 1.5 * n, 7] for n, stamp in enumerate(HOURS))]
    for cell, value in changes.items():
        found[int(cell[1:]) - 1]["ABC".index(cell[0])] = value
    return found


def read(path: Path, series: dict[str, Any] | None = None, **more: Any) -> pd.DataFrame:
    """The long table of a workbook."""
    source = FileSource.model_validate({"path": str(path), **more})
    return file.read(source, Series.model_validate({"freq": "h", **(series or {})}), "job")


def test_a_sheet_is_read_with_its_types(tmp_path: Path) -> None:
    """Dates are dates, numbers numbers, empty cells and codes missing; an identifier that is a number is text."""
    path = book(tmp_path / "a.xlsx", Data=rows(B3=None, B4=-200, B5="n/a"))
    table = read(path, missing=[-200], columns={"unique_id": "shop"})
    assert table["ds"].tolist() == [pd.Timestamp(stamp) for stamp in HOURS]
    assert table["y"].isna().tolist()[:5] == [False, True, True, True, False]
    assert table["y"].iloc[10] == 15.0
    assert set(table["unique_id"]) == {"7"}


def test_the_sheet_is_named_where_there_are_several(tmp_path: Path) -> None:
    """By name or number; otherwise all names are listed."""
    path = book(tmp_path / "a.xlsx", Notes=[["what"], ["nothing"]], Data=rows())
    assert len(read(path, sheet="Data")) == len(read(path, sheet=2)) == 72
    for sheet, what in ((None, "several sheets"), ("data", "no sheet data"), (3, "no sheet 3")):
        with pytest.raises(SourceError, match=rf"a.xlsx has {what}; name one in source.sheet: Notes, Data"):
            read(path, sheet=sheet)


def test_text_where_numbers_belong_is_refused_with_its_cells(tmp_path: Path) -> None:
    """Whatever it looks like: a number that was typed as text is one in the eyes of nobody but people."""
    path = book(tmp_path / "a.xlsx", Data=rows(B3="12.5", B10="12,5", C4="x"))
    with pytest.raises(
        SourceError, match=r"column y holds 2 cell\(s\) of text where numbers belong: B3 '12.5', B10 '12,5'"
    ):
        read(path)
    with pytest.raises(SourceError, match=r"C4 'x'") as refused:
        read(path, {"past": ["shop"]})
    assert "B3 '12.5'" in str(refused.value)
    path = book(tmp_path / "b.xlsx", Data=rows(B3=True, B4=HOURS[0]))
    with pytest.raises(SourceError, match=r"cell\(s\) of dates where numbers belong: B4 .*\n.*B3 'True'"):
        read(path)


def test_text_where_dates_belong_needs_its_layout(tmp_path: Path) -> None:
    """Without one it is refused with its cells, as are numbers; with one, dates may stand beside it."""
    path = book(tmp_path / "a.xlsx", Data=rows(A3="01.01.2026 01:00", A5=46023.5))
    with pytest.raises(
        SourceError, match=r"column ds holds 1 cell\(s\) of text where dates belong: A3 '01.01.2026 01:00'"
    ) as refused:
        read(path)
    assert "1 cell(s) of numbers where dates belong: A5 '46023.5'" in str(refused.value)
    path = book(tmp_path / "b.xlsx", Data=rows(A3="01.01.2026 01:00"))
    table = read(path, date_format="%d.%m.%Y %H:%M")
    assert table["ds"].tolist() == [pd.Timestamp(stamp) for stamp in HOURS]


def test_date_and_time_in_two_columns_are_one_stamp(tmp_path: Path) -> None:
    """As sheets of measurements have them."""
    cells = [["day", "hour", "y"], *([stamp.date(), stamp.time(), 1.0] for stamp in HOURS)]
    table = read(book(tmp_path / "a.xlsx", Data=cells), columns={"ds": ["day", "hour"]})
    assert table["ds"].tolist() == [pd.Timestamp(stamp) for stamp in HOURS]


def test_a_wide_sheet_has_a_series_in_every_column(tmp_path: Path) -> None:
    """Columns whose names are numbers too, and blank rows before the header."""
    cells = [[], ["ds", "north", 12], *([stamp, 1.0, 2.0] for stamp in HOURS)]
    table = read(book(tmp_path / "a.xlsx", Data=cells), columns={"layout": "wide"})
    assert table.groupby("unique_id")["y"].mean().to_dict() == {"12": 2.0, "north": 1.0}
    broken = [[], ["ds", "north"], *([stamp, "?" if n == 3 else 1.0] for n, stamp in enumerate(HOURS))]
    with pytest.raises(SourceError, match="B6 '\\?'"):
        read(book(tmp_path / "b.xlsx", Data=broken), columns={"layout": "wide"})


def test_a_workbook_is_inspected(tmp_path: Path) -> None:
    """The sheet with the most rows is suggested, and the job reads it."""
    path = book(tmp_path / "plant.xlsx", Notes=[["what"], ["nothing"]], Data=rows())
    found = inspect(str(path))
    assert yaml.safe_load(found.yaml())["source"]["sheet"] == "Data"
    assert len(found.table) == 72
    assert not found.findings.found["source.sheet"].sure
    with pytest.raises(SourceError, match=r"B3 '12.5'"):
        inspect(str(book(tmp_path / "bad.xlsx", Data=rows(B3="12.5"))))


def test_what_is_no_workbook_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Damaged, empty, or without the package that reads it."""
    (tmp_path / "a.xlsx").write_bytes(b"no zip")
    with pytest.raises(SourceError, match=r"cannot read .*a.xlsx"):
        read(tmp_path / "a.xlsx")
    with pytest.raises(SourceError, match=r"b.xlsx holds no rows"):
        read(book(tmp_path / "b.xlsx", Data=[]))
    monkeypatch.setitem(sys.modules, "python_calamine", None)
    with pytest.raises(SourceError, match=r"needs the extra excel: pip install gatecast\[excel\]"):
        read(tmp_path / "a.xlsx")
