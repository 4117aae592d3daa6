"""Where readings come from: the configuration of every kind of source."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from forecasting.config.section import Section

__all__ = [
    "FileColumns",
    "FileSource",
    "FramesSource",
    "Source",
    "SqlSource",
    "SyntheticSource",
    "TextSource",
]


class FileColumns(Section):
    """Which columns of a file become `unique_id, ds, y`; all other columns that `series` names keep their names."""

    layout: Literal["long", "wide"] = "long"
    ds: str | tuple[str, ...] = "ds"  # several columns (date and time, or year, month, day, hour) are joined
    y: str | tuple[str, ...] | None = None  # long: default "y"; wide: the listed columns, default every other one
    unique_id: str | tuple[str, ...] | None = None  # none: the column unique_id, or one series named like the job


class FileSource(Section):
    """CSV (also compressed), Parquet or JSON-lines files; `path` is one glob or several."""

    kind: Literal["file"] = "file"
    path: str | tuple[str, ...]
    columns: FileColumns = FileColumns()
    separator: str = ","
    decimal: str = "."
    header: bool = True  # without a header the columns are named "0", "1", …
    missing: tuple[str | float, ...] = ()  # codes that mean "no value", besides the empty cell and NaN
    start: str | None = None  # of a text file that has no time: the stamp of its first row, the others a step apart
    date_format: str | tuple[str, ...] | None = None  # strptime layouts, step, unix or unix_ms; none: ISO 8601
    time_zone: str | None = None  # IANA name of local stamps; they are stored in UTC


class SqlSource(Section):
    """A query on any database that SQLAlchemy knows; `url` may name environment variables as `${NAME}`."""

    kind: Literal["sql"] = "sql"
    url: str
    query: str
    columns: FileColumns = FileColumns()
    missing: tuple[str | float, ...] = ()
    time_zone: str | None = None


class FramesSource(Section):
    """Frames of a grid over time: NetCDF files, arrays (npz, npy) or pictures; `path` is one glob or several.

    Every cell becomes a series, called by its row and column; the first channel becomes `y`, others may be covariates.
    """

    kind: Literal["frames"] = "frames"
    path: str | tuple[str, ...]
    variable: str | tuple[str, ...] | None = None  # in NetCDF and npz files; several are channels; none: the only one
    start: str | None = None  # when the first frame was taken, a step of `series.freq` apart; NetCDF has its own time
    time: str = "time"  # the coordinate of time in NetCDF files
    colour: Literal["gray", "rgb"] = "gray"  # of pictures; their values become 0 to 1
    missing: tuple[float, ...] = ()  # values that mean "no value", besides NaN and what the file declares
    rows: tuple[int, int] | None = None  # first row and the one after the last; none: all
    columns: tuple[int, int] | None = None
    coarsen: tuple[int, int] = (1, 1)  # rows and columns of a block that become one cell, the mean of what is read

    @model_validator(mode="after")
    def _sensible(self) -> FramesSource:
        for name, span in (("rows", self.rows), ("columns", self.columns)):
            if span is not None and not 0 <= span[0] < span[1]:
                raise ValueError(f"{name} {list(span)} must be [first, one after the last], counted from 0")
        if min(self.coarsen) < 1:
            raise ValueError(f"coarsen {list(self.coarsen)} must be at least 1 each")
        return self


class SyntheticSource(Section):
    """Made-up seasonal series with trend and noise, the same for the same seed."""

    kind: Literal["synthetic"] = "synthetic"
    series: int = Field(3, ge=1)
    length: int = Field(1000, ge=1)
    freq: str = "h"
    season: int = Field(24, ge=1)
    trend: float = 0.0  # per step, in units of the seasonal amplitude
    noise: float = Field(0.1, ge=0)
    missing: float = Field(0.0, ge=0, lt=1)  # share of readings that are dropped
    intermittent: bool = False  # counts with many zeros, whose logarithmic rate is the series described above
    seed: int = 1


class TextSource(Section):
    """Texts whose symbols are the readings of one series each; `path` is one glob or several, also of .gz files."""

    kind: Literal["text"] = "text"
    path: str | tuple[str, ...]
    unit: Literal["character", "word", "line"] = "character"  # what a symbol is


Source = Annotated[FileSource | SqlSource | FramesSource | SyntheticSource | TextSource, Field(discriminator="kind")]
