"""CSV (also compressed), Parquet and JSON-lines files into a long table."""

from __future__ import annotations

import csv
import lzma
import zipfile
import zlib
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from forecasting.columns import UNIQUE_ID, Y
from forecasting.config.series import Series
from forecasting.config.source import FileSource
from forecasting.errors import SourceError
from forecasting.series.frequency import offset_of
from forecasting.sources.parsing import columns as named
from forecasting.sources.parsing.cells import check_cells, header_of, without_mark
from forecasting.sources.parsing.numbers import EMPTY
from forecasting.sources.parsing.remote import given
from forecasting.sources.parsing.workbooks import check_numbers, labels_of, sheet_of, sizes_of, stamps_of, typed

__all__ = ["ahead", "is_text", "raw", "read", "sheets"]

_TEXT = (".csv", ".txt", ".tsv", ".data")
_JSON = (".jsonl", ".ndjson", ".json")
_PARQUET = (".parquet", ".pq")
_BOOKS = (".xlsx",)
_PACKED = (".gz", ".zip", ".xz", ".bz2")
_BROKEN = (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, pa.ArrowException, csv.Error)


def read(source: FileSource, series: Series, name: str) -> pd.DataFrame:
    """The long table of all files that match; without a `unique_id` column they are one series, called `name`.

    Raise SourceError for no match, an unknown or damaged format, missing columns, no rows, unreadable values.
    Messages count rows as an editor does: the header of a text file is row 1.
    """
    tables, problems = [], []
    with given(source.path, most=source.max_mb) as files:
        for file in files:
            with file.named() as path:
                table, wrong = named.long_table(_frame(path, source, series), source, series, name=name)
            tables.append(table)
            problems += [f"  - {file.name}, {problem}" for problem in wrong]
    if problems:
        raise SourceError("\n".join(["the source has unreadable values:", *problems]))
    table = pd.concat(tables, ignore_index=True)
    if table.empty:
        raise SourceError(f"{source.path} holds no rows")
    return table


def ahead(source: FileSource, series: Series, name: str) -> pd.DataFrame:
    """Values known ahead in the files that match: ds, those of `series.future` that they have, and `unique_id`.

    Without the columns that name a series there is no `unique_id`: the values are those of every series. Raise
    SourceError as `read` does.
    """
    tables = []
    with given(source.path, most=source.max_mb, key="--future") as files:
        for file in files:
            with file.named() as path:
                tables.append(_ahead(path, source, series, name))
    if len({UNIQUE_ID in table for table in tables}) > 1:
        raise SourceError(f"some files of {source.path} name their series and others do not")
    return pd.concat(tables, ignore_index=True)


def is_text(path: Path) -> bool:
    """Whether a file is one of rows of text; raises SourceError for an unknown format."""
    return _kind(path) in _TEXT


def sheets(path: Path) -> dict[str, int]:
    """How many rows each sheet of a workbook has; none of any other file."""
    return sizes_of(path) if _kind(path) in _BOOKS else {}


def raw(
    path: Path, separator: str = ",", encoding: str = "utf-8", header: bool = True, sheet: str | None = None
) -> pd.DataFrame:
    """All columns of a file as they come, cells of a text file as text; raises SourceError where it is damaged."""
    if _kind(path) in _BOOKS:
        return typed(sheet_of(path, sheet))
    try:
        if _kind(path) in _JSON:
            return _rows(path)
        if _kind(path) in _PARQUET:
            return pd.read_parquet(path)
        check_cells(path, separator, len(header_of(path, separator, encoding)), encoding)
        frame = pd.read_csv(
            path,
            sep=r"\s+" if separator == " " else separator,
            header=0 if header else None,
            dtype="str",
            keep_default_na=False,
            na_values=[""],
            index_col=False,
            encoding=without_mark(encoding),
        )
    except _BROKEN as error:
        raise SourceError(f"cannot read {path}: {error}") from error
    frame.columns = [str(column) for column in frame.columns]
    return frame.dropna(how="all")


def _ahead(path: Path, source: FileSource, series: Series, name: str) -> pd.DataFrame:
    available = _available(path, source)
    columns = named.resolve(source.columns, available)
    given = tuple(column for column in series.future if column in available)
    if not given:
        known, shown = ", ".join(series.future), ", ".join(available[:40])
        raise SourceError(f"{path} has no column that is known ahead ({known}); its columns are: {shown}")
    ids = named.names_of(columns.unique_id)
    own = bool(ids) and set(ids) <= set(available)
    update = {"layout": "long", "y": given[0], "unique_id": columns.unique_id if own else None}
    source = source.model_copy(update={"columns": columns.model_copy(update=update), "start": None})
    labels = tuple(column for column in series.categorical if column in given)
    series = series.model_copy(update={"past": (), "static": (), "future": given, "categorical": labels})
    table, wrong = named.long_table(_frame(path, source, series), source, series, name=name)
    if wrong:
        raise SourceError("\n".join([f"{path} has unreadable values:", *(f"  - {problem}" for problem in wrong)]))
    if table.empty:
        raise SourceError(f"{path} holds no rows")
    return table.drop(columns=[Y] if own else [Y, UNIQUE_ID])


def _available(path: Path, source: FileSource) -> list[str]:
    """The names of all columns of a file."""
    kind = _kind(path)
    if kind in _BOOKS:
        return list(sheet_of(path, source.sheet, header=source.header).columns)
    try:
        if kind in _PARQUET:
            names: list[str] = pq.read_schema(path).names
            return names
        if kind in _JSON:
            return [str(column) for column in _rows(path).columns]
        first = header_of(path, source.separator, source.encoding)
        return first if source.header else [str(place) for place in range(len(first))]
    except _BROKEN as error:
        raise SourceError(f"cannot read {path}: {error}") from error


def _kind(path: Path) -> str:
    suffixes = [suffix.lower() for suffix in path.suffixes if suffix.lower() not in _PACKED]
    kind = suffixes[-1] if suffixes else ""
    known = (*_TEXT, *_JSON, *_PARQUET, *_BOOKS)
    if kind not in known:
        raise SourceError(f"{path} is of no known format; known endings: {', '.join(known)}")
    return kind


def _frame(path: Path, source: FileSource, series: Series) -> pd.DataFrame:
    kind = _kind(path)
    if kind in _BOOKS:
        return _sheet(path, source, series)
    try:
        if kind in _TEXT:
            return _text(path, source, series)
        return _json(path, source, series) if kind in _JSON else _parquet(path, source, series)
    except _BROKEN as error:
        raise SourceError(f"cannot read {path}: {error}") from error


def _text(path: Path, source: FileSource, series: Series) -> pd.DataFrame:
    first = 0 if source.header else None
    separator = r"\s+" if source.separator == " " else source.separator
    encoding = without_mark(source.encoding)
    head = pd.read_csv(path, sep=separator, header=first, nrows=0 if source.header else 1, encoding=encoding)
    available = [str(column) for column in head.columns]
    counted = [] if source.start is None else [str(source.columns.ds)]  # a column that the file does not have
    columns = named.resolve(source.columns, [*counted, *available])
    named.check([*counted, *available], columns, series, name=str(path))
    labels = named.labels(columns, series)
    wanted = named.wanted(columns, series)
    if source.header:
        named.check_distinct(header_of(path, source.separator, source.encoding), wanted, name=str(path))
    codes = [*EMPTY, *map(str, source.missing)]
    empty = {column: [""] if column in labels else codes for column in available}
    check_cells(path, source.separator, len(available), source.encoding)
    frame = pd.read_csv(
        path,
        sep=separator,
        decimal=source.decimal,
        header=first,
        names=available,
        usecols=None if wanted is None else [column for column in wanted if column in available],
        dtype=dict.fromkeys(labels, "str"),
        na_values=empty,
        keep_default_na=False,  # "NA" and "None" are labels like any other
        index_col=False,
        low_memory=False,  # one type per column, not one per chunk
        encoding=encoding,
    )
    frame.index += 2 if source.header else 1
    if source.start is None:
        return frame.dropna(how="all")
    stamps = pd.date_range(source.start, periods=len(frame), freq=offset_of(series.freq))
    return frame.assign(**{counted[0]: stamps.strftime("%Y-%m-%d %H:%M:%S.%f")})


def _present(wanted: list[str] | None, names: list[str]) -> list[str] | None:
    """Those of the wanted columns that a file has; `named.check` has refused those that it must not lack."""
    return wanted and [name for name in wanted if name in names]


def _sheet(path: Path, source: FileSource, series: Series) -> pd.DataFrame:
    """The wanted columns of a sheet; raises SourceError that names every cell of another kind than its column."""
    frame = sheet_of(path, source.sheet, header=source.header)
    columns = named.resolve(source.columns, list(frame.columns))
    named.check(list(frame.columns), columns, series, name=str(path))
    named.check_distinct(list(frame.columns), named.wanted(columns, series), name=str(path))
    stamps, labels = named.names_of(columns.ds), named.labels(columns, series)
    wanted = _present(named.wanted(columns, series), list(frame.columns)) or list(frame.columns)
    formats = named.names_of(source.date_format)
    read = {name: stamps_of(frame, name, formats, part=len(stamps) > 1) for name in stamps}
    numbers = [name for name in wanted if name not in labels and frame[name].notna().any()]
    faults = [fault for _, found in read.values() for fault in found]
    faults += check_numbers(frame, numbers, source.missing)
    if faults:
        raise SourceError("\n".join([f"{path} cannot be read as it is:", *(f"  - {fault}" for fault in faults)]))
    texts = {name: labels_of(frame[name]) for name in labels if name in wanted and name not in read}
    return frame[wanted].assign(**texts, **{name: stamps for name, (stamps, _) in read.items()})


def _json(path: Path, source: FileSource, series: Series) -> pd.DataFrame:
    frame = _rows(path)
    named.check(list(frame.columns), source.columns, series, name=str(path))
    return frame


def _rows(path: Path) -> pd.DataFrame:
    frame = pd.read_json(path, lines=True, dtype=False, convert_axes=False)
    frame.index = pd.RangeIndex(1, len(frame) + 1)
    if frame.empty:
        raise SourceError(f"{path} holds no rows")
    return frame


def _parquet(path: Path, source: FileSource, series: Series) -> pd.DataFrame:
    with pq.ParquetFile(path) as file:
        columns = named.resolve(source.columns, file.schema_arrow.names)
        named.check(file.schema_arrow.names, columns, series, name=str(path))
        frame: pd.DataFrame = file.read(
            columns=_present(named.wanted(columns, series), file.schema_arrow.names)
        ).to_pandas(ignore_metadata=True)
    frame.index = pd.RangeIndex(1, len(frame) + 1)
    return frame
