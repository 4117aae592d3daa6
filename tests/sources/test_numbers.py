"""Texts become numbers by the convention that the configuration states, or one sentence names row and text."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecasting.config.series import Series
from forecasting.config.source import FileSource
from forecasting.errors import SourceError
from forecasting.sources import SOURCES
from forecasting.sources.parsing.numbers import Notation, read_numbers


def read(path: Path, content: str, series: dict[str, Any] | None = None, **source: Any) -> pd.DataFrame:
    """A file of daily readings as the long table of job `j`."""
    path.write_text(content, encoding="utf-8")
    return SOURCES["file"](FileSource(path=str(path), **source), Series(**{"freq": "D"} | (series or {})), "j")


def refused(path: Path, content: str, **source: Any) -> str:
    """The sentences with which a file is refused."""
    with pytest.raises(SourceError) as error:
        read(path, content, **source)
    return str(error.value)


GERMAN = {"separator": ";", "decimal": ",", "date_format": "%d.%m.%Y"}


def daily(*cells: str) -> str:
    """A semicolon file with one reading a day from 2024-01-01 on."""
    return "ds;y\n" + "".join(f"{day:02}.01.2024;{cell}\n" for day, cell in enumerate(cells, 1))


def test_thousands_are_read_where_their_sign_is_named(tmp_path: Path) -> None:
    """2.500 is two thousand five hundred, 999 stays what it is, groups may repeat, decimals may follow."""
    table = read(tmp_path / "a.csv", daily("2.500", "999", "1.313", "-1.234.567,5", "12,25"), thousands=".", **GERMAN)
    assert table["y"].tolist() == [2500.0, 999.0, 1313.0, -1234567.5, 12.25]


@pytest.mark.parametrize("cells", [("2.500", "3.204"), ("999", "1.313")])
def test_a_point_beside_a_decimal_comma_is_ambiguous(tmp_path: Path, cells: tuple[str, ...]) -> None:
    """Without a word on thousands such cells are never read; the sentence says both ways out."""
    message = refused(tmp_path / "a.csv", daily(*cells), **GERMAN)
    row = 2 + [("." in cell) for cell in cells].index(True)
    assert f"row {row} '{cells[row - 2]}'" in message
    assert 'source.thousands: "."' in message
    assert 'source.decimal: "."' in message


def test_a_comma_that_can_only_be_decimal_says_so(tmp_path: Path) -> None:
    """19,92 has no group of three digits: only the decimal sign is left."""
    message = refused(tmp_path / "a.csv", 'ds,y\n2024-01-01,"19,92"\n2024-01-02,7\n')
    assert "row 2 '19,92'" in message
    assert 'source.decimal: ","' in message
    assert "thousands" not in message


def test_codes_for_no_value_leave_other_cells_readable(tmp_path: Path) -> None:
    """A dash among decimal commas is missing, and nothing else is."""
    table = read(tmp_path / "a.csv", daily("19,92", "-", "24,85"), missing=["-"], **GERMAN)
    np.testing.assert_array_equal(table["y"], [19.92, np.nan, 24.85])


def test_only_the_bad_cell_is_named(tmp_path: Path) -> None:
    """One word among decimal commas does not make the others unreadable."""
    message = refused(tmp_path / "a.csv", daily("19,92", "defekt", "24,85"), **GERMAN)
    assert "1 unreadable number(s): row 3 'defekt'" in message
    assert "19,92" not in message


@pytest.mark.parametrize("sign", [" ", "'", "\u00a0", "\u202f", "’"])
def test_signs_between_thousands_may_be_blanks_or_apostrophes(tmp_path: Path, sign: str) -> None:
    """Blanks that do not break a line count as blanks, and typographic apostrophes as apostrophes."""
    configured = "'" if sign in "'’" else " "
    assert read(tmp_path / "a.csv", daily(f"1{sign}234,5"), thousands=configured, **GERMAN)["y"].tolist() == [1234.5]


@pytest.mark.parametrize("cell", ["1.23.456", "12.34", "1234.567", ".500", "1.234.56", "1,5,3", "1_000", "0x1A", "5%"])
def test_groups_of_other_lengths_are_no_thousands(tmp_path: Path, cell: str) -> None:
    """A sign in a place where no thousands end is a mistake, not to be dropped in silence."""
    assert f"row 3 {cell!r}" in refused(tmp_path / "a.csv", daily("1.000", cell), thousands=".", **GERMAN)


@given(
    value=st.decimals(-(10**9), 10**9, places=3, allow_nan=False, allow_infinity=False),
    signs=st.sampled_from([(".", None), (".", ","), (",", None), (",", "."), (",", " "), (".", "'")]),
)
def test_what_is_written_in_a_notation_is_read_back(value: Decimal, signs: tuple[str, str | None]) -> None:
    """Python's own grouping, with its signs exchanged, is read as the number it was."""
    decimal, thousands = signs
    text = f"{value:,}".translate({ord(","): thousands or "", ord("."): decimal})
    numbers, faults = read_numbers(pd.Series([text, "x"], dtype="str"), Notation(decimal, thousands))
    assert faults
    assert numbers[0] == float(value)


def test_cells_that_are_numbers_already_have_no_notation() -> None:
    """In a column of texts and numbers, as JSON and databases give it, only the texts are read by the convention."""
    column = pd.Series([Decimal("2.500"), 1.5, "2.500", None, True], dtype=object)
    numbers, faults = read_numbers(column, Notation(",", "."))
    np.testing.assert_array_equal(numbers, [2.5, 1.5, 2500.0, np.nan, 1.0])
    assert not faults


def test_codes_are_those_of_the_notation(tmp_path: Path) -> None:
    """A code of text is read like a cell, a number is a number."""
    table = read(
        tmp_path / "a.csv", daily("-200", "-200,0", "-9.999", "1"), missing=[-200, "-9.999"], thousands=".", **GERMAN
    )
    np.testing.assert_array_equal(table["y"], [np.nan, np.nan, np.nan, 1.0])


@pytest.mark.parametrize(("thousands", "decimal"), [(".", "."), ("", "."), ("0", "."), (None, "ab"), (None, "-")])
def test_signs_are_single_and_differ(thousands: str | None, decimal: str) -> None:
    """A digit, a minus, several characters or one sign for both meanings are refused before anything is read."""
    with pytest.raises(ValueError, match=r"decimal|thousands"):
        FileSource(path="a.csv", thousands=thousands, decimal=decimal)


def test_rows_with_other_numbers_of_cells_are_named(tmp_path: Path) -> None:
    """An unquoted decimal comma makes three cells of two: nothing of it may be dropped."""
    message = refused(tmp_path / "a.csv", "ds,y\n2024-01-01,19,92\n2024-01-02,20\n\n2024-01-03,24,85\n")
    assert "2 row(s)" in message
    assert "3 cells, expected 2" in message
    assert "'2024-01-01,19,92'" in message
    assert "source.separator" in message


def test_rows_that_lack_cells_are_named(tmp_path: Path) -> None:
    """A row that was cut off is not a row with missing values."""
    message = refused(tmp_path / "a.csv", "ds,y,p\n2024-01-01,19,92\n2024-01-02,20\n", series={"past": ["p"]})
    assert "1 row(s)" in message
    assert "2 cells, expected 3" in message
    assert "row 3" in message


def test_empty_cells_at_the_end_of_a_row_lose_nothing(tmp_path: Path) -> None:
    """Separators at line ends, blank lines, and lines of separators alone are what spreadsheets write."""
    table = read(tmp_path / "a.csv", "ds,y\n2024-01-01,1,\n\n,,,\n2024-01-02,2\n")
    assert table["y"].tolist() == [1.0, 2.0]


def test_columns_of_one_name_are_told(tmp_path: Path) -> None:
    """Two columns called north would become north and north.1, which nobody has written."""
    wide = {"layout": "wide", "ds": "date"}
    message = refused(tmp_path / "a.csv", "date,north,north\n2024-01-01,1,2\n", columns=wide)
    assert "several columns called north" in message
    ignored = read(tmp_path / "b.csv", "ds,y,note,note\n2024-01-01,1,a,b\n")
    assert ignored["y"].tolist() == [1.0]


def test_a_column_without_a_name_is_no_series(tmp_path: Path) -> None:
    """The row numbers of pandas in a wide file are refused; an empty column at the end of all rows is left out."""
    wide = {"layout": "wide", "ds": "date"}
    content = ",date,north\n0,2024-01-01,19.5\n1,2024-01-02,20\n"
    message = refused(tmp_path / "a.csv", content, columns=wide)
    assert "column 1 has values and no name" in message
    assert "source.columns.y" in message
    named = read(tmp_path / "a.csv", content, columns=wide | {"y": ["north"]})
    assert named["unique_id"].unique().tolist() == ["north"]
    trailing = read(tmp_path / "b.csv", "date,north,\n2024-01-01,19.5,\n", columns=wide)
    assert trailing["unique_id"].tolist() == ["north"]


def test_the_index_of_a_parquet_file_is_no_series(tmp_path: Path) -> None:
    """Pandas writes an index without a name as a column of a name that nobody gave."""
    frame = pd.DataFrame({"date": pd.to_datetime(["2024-01-01", "2024-01-02"]), "north": [1.0, 2.0]}, index=[5, 9])
    frame.to_parquet(tmp_path / "a.parquet")
    source = FileSource(path=str(tmp_path / "a.parquet"), columns={"layout": "wide", "ds": "date"})
    with pytest.raises(SourceError, match="has values and no name"):
        SOURCES["file"](source, Series(freq="D"), "j")
