"""Where tables come from: every source reads its configuration into a long table `unique_id, ds, y` + covariates."""

from collections.abc import Callable
from typing import Any, Final

import pandas as pd

from forecasting.config.job import Job
from forecasting.config.source import FileSource, SqlSource
from forecasting.sources import file, frames, sql, synthetic, text

__all__ = ["SOURCES", "ahead", "read", "read_new"]

SOURCES: Final[dict[str, Callable[[Any, Any, str], pd.DataFrame]]] = {
    "file": file.read,
    "sql": sql.read,
    "frames": frames.read,
    "synthetic": synthetic.read,
    "text": text.read,
}


def read(job: Job) -> pd.DataFrame:
    """The long table of a job, rows as they come; raise SourceError where it cannot be read."""
    return SOURCES[job.source.kind](job.source, job.series, job.name)


def read_new(job: Job, mark: str | None) -> tuple[pd.DataFrame, str | None]:
    """The rows that came since `mark`, and the mark behind them; of a source without marks all rows, and none."""
    if isinstance(job.source, SqlSource):
        return sql.read_new(job.source, job.series, job.name, mark)
    return read(job), None


def ahead(job: Job, path: str) -> pd.DataFrame:
    """Values known ahead in a file that is written like the source of the job; see `file.ahead`."""
    source = job.source if isinstance(job.source, FileSource) else FileSource(path=path)
    if isinstance(job.source, SqlSource):
        source = source.model_copy(update={"columns": job.source.columns, "time_zone": job.source.time_zone})
    return file.ahead(source.model_copy(update={"path": path}), job.series, job.name)
