"""Where tables come from: every source reads its configuration into a long table `unique_id, ds, y` + covariates."""

from collections.abc import Callable
from typing import Any, Final

import pandas as pd

from forecasting.config.job import Job
from forecasting.sources import file, frames, sql, synthetic, text

__all__ = ["SOURCES", "read"]

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
