"""The source of readings: the configuration of every kind of source."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Field

from forecasting.config.clock import TimeZone
from forecasting.config.frequency import Frequency
from forecasting.config.section import Fault, Section, tagged

__all__ = [
    "FileColumns",
    "FileSource",
    "FramesSource",
    "Source",
    "SqlSource",
    "SyntheticSource",
    "TextSource",
]

Paths: TypeAlias = str | tuple[str, ...]


def _numbers_are_readable(source: Any) -> Iterator[Fault]:
    for name in ("decimal", "thousands"):
        sign = getattr(source, name)
        if sign is not None and (len(sign) != 1 or sign.isalnum() or sign in "+-"):
            yield Fault(name, f"must be one sign, such as '.' or ',', got {sign!r}")
    if source.thousands == source.decimal:
        yield Fault("thousands", f"must also differ from source.decimal, which is {source.decimal!r}")


def _cells_are_apart(source: Any) -> Iterator[Fault]:
    if len(source.separator) != 1:
        yield Fault("separator", f"must be one character, got {source.separator!r}; one blank is any run of blanks")


def _encoding_is_known(source: Any) -> Iterator[Fault]:
    try:
        codecs.lookup(source.encoding)
    except LookupError:
        yield Fault("encoding", f"must be one that Python knows, such as utf-8 or cp1252, got {source.encoding!r}")


def _secrets_are_outside(source: Any) -> Iterator[Fault]:
    for path in (source.path,) if isinstance(source.path, str) else source.path:
        if re.match(r"\w+://[^/@:]*:(?!\$\{)[^/@]+@", path):
            yield Fault(
                "path", "must hold no password: keep it in the environment, as in https://${USER}:${PASSWORD}@host"
            )


class FileColumns(Section):
    """The roles of columns. All other columns named in `series` keep their names."""

    layout: Literal["long", "wide"] = "long"
    """`long`: a row is one reading of one series; `wide`: a row is one stamp, and a column is one series."""

    ds: str | tuple[str, ...] = "ds"
    """The column of the stamp; several (date and time, or year, month, day, hour) are joined."""

    y: str | tuple[str, ...] | None = None
    """Long: the column of the reading; `null`: `y`. Wide: the columns that are series; `null`: all others."""

    unique_id: str | tuple[str, ...] | None = None
    """The column (or columns, joined with `/`) that names the series; `null`: the column `unique_id` if there is one,
    else each file is one series with the name of the job."""


class FileSource(Section):
    """CSV, Parquet, or JSON-lines files, also compressed, and Excel workbooks; the file extension picks the format.

    [Data](data.md) has examples.
    """

    model_config = tagged("kind")
    RULES = (_numbers_are_readable, _cells_are_apart, _encoding_is_known, _secrets_are_outside)

    kind: Literal["file"] = "file"

    path: Paths = Field(examples=["data/glucose/*.csv.gz"])
    """One glob or URL (`https://`, `http://`, `s3://`, the last also with a glob), or a list of them; matching files
    are read in alphabetical order. `${NAME}` and `${NAME:-default}` are environment variables."""

    max_mb: float = Field(4096, gt=0)
    """The largest file that a URL may give, in megabytes."""

    sheet: str | Annotated[int, Field(ge=1)] | None = None
    """The sheet of an Excel workbook, by its name or its number from 1; `null`: the only one."""

    columns: FileColumns = FileColumns()
    """The roles of columns."""

    separator: str = ","
    """The separator of cells in a CSV file; one blank means any run of blanks. Every row has as many cells as the first
    one."""

    decimal: str = "."
    """The decimal sign of numbers in text. A number in another form is an error that names its row."""

    thousands: str | None = Field(None, examples=["."])
    """The thousands separator, as in 1.234.567; `null`: none."""

    encoding: str = Field("utf-8", examples=["cp1252"])
    """The encoding of text files, by its name in Python."""

    header: bool = True
    """Whether the first row names the columns; without, they are named `"0"`, `"1"`, …"""

    missing: tuple[str | float, ...] = ()
    """Codes that mean "no value", such as -200 or `"-"`, besides the empty cell and NaN."""

    start: str | None = Field(None, examples=["2024-03-31"])
    """For a CSV file without a time column: the stamp of its first row. Further rows are a step of `series.freq` apart.
    """

    date_format: str | tuple[str, ...] | None = Field(None, examples=["%d.%m.%Y %H:%M", "unix", "step"])
    """strptime layouts, tried in order; `null` reads ISO 8601; `unix` and `unix_ms` count from 1970; `step` counts
    steps of `series.freq` where there are no dates."""

    time_zone: TimeZone | None = None
    """IANA name of the zone of local stamps. They are stored in UTC, those of days or longer steps as local dates."""


def _overlap_is_readable(source: Any) -> Iterator[Fault]:
    if isinstance(source.overlap, str) and not re.fullmatch(r"\d+(\.\d+)? ?(D|h|min|s)", source.overlap):
        yield Fault("overlap", f"must be a number, or a duration such as 1D, 6h, 30min, or 90s, got {source.overlap!r}")


class SqlSource(Section):
    """A query on any database that SQLAlchemy knows.

    The driver must be installed; that of PostgreSQL comes with the extra `postgres`.
    """

    model_config = tagged("kind")
    RULES = (_numbers_are_readable, _overlap_is_readable)

    kind: Literal["sql"] = "sql"

    url: str = Field(examples=["postgresql+psycopg://${DB_USER}:${DB_PASSWORD}@host/name"])
    """SQLAlchemy URL; `${NAME}` is an environment variable."""

    query: str = Field(examples=["SELECT unique_id, ds, y FROM readings"])
    """The query that gives the rows."""

    since: str | None = Field(None, examples=["updated_at", "id"])
    """A column of the query that grows with every row that is written, a stamp or a number. An ingestion then reads
    only the rows that are new since the last one, and those within `overlap`; `null`: all rows, each time."""

    overlap: str | Annotated[float, Field(ge=0)] = "1D"
    """How far before the highest value of `since` an ingestion reads again, for rows that came late: a duration such as
    `6h` for stamps, a number for numbers."""

    columns: FileColumns = FileColumns()
    """The roles of columns."""

    decimal: str = "."
    """The decimal sign of numbers in text. A number in another form is an error that names its row."""

    thousands: str | None = Field(None, examples=["."])
    """The thousands separator, as in 1.234.567; `null`: none."""

    missing: tuple[str | float, ...] = ()
    """Codes that mean "no value", besides NULL and NaN."""

    time_zone: TimeZone | None = None
    """IANA name of the zone of local stamps. They are stored in UTC, those of days or longer steps as local dates."""


def _spans_are_sensible(source: Any) -> Iterator[Fault]:
    for name in ("rows", "columns"):
        span = getattr(source, name)
        if span is not None and not 0 <= span[0] < span[1]:
            yield Fault(name, f"must be [first, one after the last], counted from 0, got {list(span)}")


class FramesSource(Section):
    """Frames of a grid over time: see [Frames and lines](frames.md). Needs the extra `frames`.

    Every cell becomes a series, named by its row and column. The first channel becomes `y`, others may be covariates.
    """

    model_config = tagged("kind")
    RULES = (_spans_are_sensible,)

    kind: Literal["frames"] = "frames"

    path: Paths = Field(examples=["data/radar/*.nc"])
    """A glob, or a list of globs: NetCDF (`.nc .nc4 .h5`), arrays (`.npz .npy`), or pictures (`.png` and others)."""

    variable: str | tuple[str, ...] | None = None
    """The variable of NetCDF and npz files; of several, the first is `y` and the others are covariates; `null`: the
    only one."""

    start: str | None = Field(None, examples=["2024-03-31"])
    """The time of the first frame, for files without times. Frames are a step of `series.freq` apart."""

    time: str = "time"
    """The coordinate of time in NetCDF files."""

    colour: Literal["gray", "rgb"] = "gray"
    """For pictures: `gray`, or `rgb` for `red` as `y`, `green`, and `blue`. Values are scaled to 0 to 1."""

    missing: tuple[float, ...] = ()
    """Values that mean "no value", besides NaN and the fill values of a NetCDF file."""

    rows: tuple[int, int] | None = None
    """The first row and the one after the last, counted from 0; `null`: all."""

    columns: tuple[int, int] | None = None
    """The first column and the one after the last, counted from 0; `null`: all."""

    coarsen: tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)]] = (1, 1)
    """Rows and columns of a block that becomes one cell, the mean of the readings in it."""


class SyntheticSource(Section):
    """Synthetic seasonal series with trend and noise: the same seed gives the same series."""

    model_config = tagged("kind")

    kind: Literal["synthetic"] = "synthetic"

    series: int = Field(3, ge=1)
    """Number of series."""

    length: int = Field(1000, ge=1)
    """Steps of each series."""

    freq: Frequency = "h"
    """Their frequency."""

    season: int = Field(24, ge=1)
    """Steps in a season."""

    trend: float = 0.0
    """Rise per step, in units of the seasonal amplitude."""

    noise: float = Field(0.1, ge=0)
    """Standard deviation of the noise, in units of the seasonal amplitude."""

    missing: float = Field(0.0, ge=0, lt=1)
    """Share of the readings that is left out."""

    intermittent: bool = False
    """Counts with many zeros: Poisson, with a rate whose logarithm is the series described above."""

    seed: int = 1
    """Seed of the random numbers."""


class TextSource(Section):
    """Texts whose symbols are the readings: see [Symbols](symbols.md). One series per file, named like it."""

    model_config = tagged("kind")

    kind: Literal["text"] = "text"

    path: Paths = Field(examples=["data/books/*.txt.gz"])
    """One glob or several, also of `.gz` files; `${NAME}` and `${NAME:-default}` are environment variables."""

    unit: Literal["character", "word", "line"] = "character"
    """The unit of a symbol."""


Source: TypeAlias = Annotated[
    FileSource | SqlSource | FramesSource | SyntheticSource | TextSource, Field(discriminator="kind")
]
