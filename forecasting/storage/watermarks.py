"""How far the source of a job was read, kept after its rows are stored: no kill loses a row."""

from __future__ import annotations

import hashlib

from pydantic import BaseModel, ConfigDict, ValidationError

from forecasting.config.job import Job
from forecasting.config.source import SqlSource
from forecasting.runtime.files import write_text
from forecasting.runtime.workspace import Workspace

__all__ = ["keep", "recall"]


class _Watermark(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str  # SHA-256 of what was read: another query begins anew
    mark: str
    version: int  # of the stored readings that hold everything up to the mark


def keep(workspace: Workspace, job: Job, mark: str, version: int) -> None:
    """Keep the mark of rows that are stored in `version` of the readings."""
    write_text(
        workspace.watermark(job.name), _Watermark(source=_digest(job), mark=mark, version=version).model_dump_json()
    )


def recall(workspace: Workspace, job: Job, version: int | None) -> str | None:
    """The mark of the last ingestion; none for another source, or where the stored readings are older than it.

    `version` is that of the stored readings; a restored home has an older one.
    """
    path = workspace.watermark(job.name)
    if version is None or not path.exists():
        return None
    try:
        found = _Watermark.model_validate_json(path.read_bytes())
    except ValidationError:
        return None
    return found.mark if found.source == _digest(job) and found.version <= version else None


def _digest(job: Job) -> str:
    """The address, the query, and every other key that decides which rows become which readings."""
    source = job.source.model_dump_json(exclude={"overlap"}) if isinstance(job.source, SqlSource) else ""
    columns = job.series.model_dump_json(include={"past", "future", "static", "categorical", "freq"})
    return hashlib.sha256(f"{source}\0{columns}".encode()).hexdigest()
