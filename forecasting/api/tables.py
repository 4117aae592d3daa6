"""The edge of the API: tables of any library come in as long tables, and go out as they came."""

from __future__ import annotations

from typing import Any, NamedTuple, cast

import narwhals as nw
import pandas as pd
import pyarrow as pa

from forecasting.columns import CUTOFF, DS, UNIQUE_ID, Y
from forecasting.config.job import Job
from forecasting.config.series import Series
from forecasting.config.source import FileColumns, FileSource, SqlSource
from forecasting.errors import DataError
from forecasting.series.frequency import is_calendar
from forecasting.sources.parsing import columns as named

__all__ = ["Edge", "Names", "read", "read_ahead"]


class Names(NamedTuple):
    """What the columns are called outside; inside they are `unique_id`, `ds`, and `y`."""

    id_col: str = UNIQUE_ID
    time_col: str = DS
    target_col: str = Y


class Edge(NamedTuple):
    """How a table came in, so that others go out alike."""

    names: Names = Names()
    library: nw.Implementation = nw.Implementation.PANDAS
    ids: dict[str, Any] = {}  # the identifiers that were no texts, by their text  # noqa: RUF012
    zone: Any = None  # of stamps that knew theirs
    local: bool = False  # stamps without a zone were those of `zone`

    def out(self, table: pd.DataFrame) -> Any:
        """A table of ours in the library, under the names, and with the identifiers and zone of the one that came."""
        table = table.copy()
        if self.ids and UNIQUE_ID in table:
            table[UNIQUE_ID] = table[UNIQUE_ID].map(self.ids)
        if self.zone is not None:
            for name in [name for name in (DS, CUTOFF) if name in table]:
                stamps = table[name].dt.tz_localize("UTC").dt.tz_convert(self.zone)
                table[name] = stamps.dt.tz_localize(None) if self.local else stamps
        table = table.rename(columns={UNIQUE_ID: self.names.id_col, DS: self.names.time_col})
        if self.library.is_pandas():
            return table
        arrow = pa.Table.from_pandas(table, preserve_index=False)
        return nw.from_arrow(arrow, backend=cast(Any, self.library)).to_native()


def read(df: Any, job: Job, names: Names) -> tuple[pd.DataFrame, Edge, tuple[str, ...]]:
    """Convert a pandas, polars, or pyarrow table to the long format, and return its original form and the omissions.

    Without the column `unique_id` it is one series, called like the job. Raises DataError for what is no table or has
    unreadable values, SourceError for missing columns.
    """
    frame, library = _frame(df)
    table = _long(frame, job, job.series, names)
    used = {*names, *named.covariates(job.series)}
    left = [str(column) for column in frame.columns if column not in used]
    notes = (f"the job does not name the column(s) {', '.join(left)}: left out",) if left else ()
    return table, _edge(frame, table, job, names, library), notes


def read_ahead(df: Any, job: Job, names: Names) -> pd.DataFrame:
    """Values that are known ahead as a long table without readings; it may lack the column of the target."""
    frame, _ = _frame(df)
    known = tuple(name for name in job.series.future if name in frame)
    labels = tuple(name for name in job.series.categorical if name in known)
    series = job.series.model_copy(update={"past": (), "static": (), "future": known, "categorical": labels})
    target = names.target_col
    table = _long(frame if target in frame else frame.assign(**{target: float("nan")}), job, series, names)
    return table.assign(**{Y: float("nan")})


def _frame(df: Any) -> tuple[pd.DataFrame, nw.Implementation]:
    try:
        frame = nw.from_native(df)
    except TypeError as error:
        raise DataError(f"expected a table of pandas, polars, or pyarrow, got {type(df).__name__}") from error
    eager = frame.collect() if isinstance(frame, nw.LazyFrame) else frame
    return eager.to_pandas().reset_index(drop=True), eager.implementation


def _long(frame: pd.DataFrame, job: Job, series: Series, names: Names) -> pd.DataFrame:
    source = _source(frame, job, names)
    named.check([str(column) for column in frame.columns], source.columns, series, name="the table")
    table, problems = named.long_table(frame, source, series, name=job.name)
    if problems:
        raise DataError("the table has unreadable values:", problems)
    return table


def _source(frame: pd.DataFrame, job: Job, names: Names) -> FileSource | SqlSource:
    """How the columns are read: as the source of the job says, under the names that they have here."""
    source = job.source if isinstance(job.source, FileSource | SqlSource) else FileSource(path="")
    single = names.id_col == UNIQUE_ID and UNIQUE_ID not in frame
    columns = FileColumns(ds=names.time_col, y=names.target_col, unique_id=None if single else names.id_col)
    update: dict[str, Any] = {"columns": columns}
    if isinstance(source, FileSource) and _stamps(frame, names) is not None:
        update["date_format"] = None  # these are stamps already
    return source.model_copy(update=update)


def _stamps(frame: pd.DataFrame, names: Names) -> pd.Series | None:
    """The column of stamps, if it holds stamps and not texts or numbers."""
    column = frame.get(names.time_col)
    return column if column is not None and pd.api.types.is_datetime64_any_dtype(column) else None


def _edge(frame: pd.DataFrame, table: pd.DataFrame, job: Job, names: Names, library: nw.Implementation) -> Edge:
    ids: dict[str, Any] = {}
    if names.id_col in frame and not isinstance(frame[names.id_col].dtype, pd.StringDtype):
        first = ~table[UNIQUE_ID].duplicated().to_numpy()
        ids = dict(zip(table.loc[first, UNIQUE_ID], frame.loc[first, names.id_col], strict=True))
    own = getattr(getattr(_stamps(frame, names), "dt", None), "tz", None)
    zone = own or getattr(job.source, "time_zone", None)
    if is_calendar(job.series.freq):  # those are dates
        zone = None
    return Edge(names, library, ids, zone, local=own is None)
