"""What is to be said of single series beside the latest forecasts: which have none, which are old, and why."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, ConfigDict, ValidationError

from forecasting.runtime.files import write_text
from forecasting.runtime.workspace import Workspace

__all__ = ["Remark", "Remarks", "keep", "recall"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Remark(_Frozen):
    """A series, whether it has a forecast, and what is to be said."""

    unique_id: str
    forecast: bool
    reason: str


class Remarks(_Frozen):
    """The remarks on the forecasts of one version; series without any remark are forecast as usual."""

    version: int
    created: datetime  # UTC
    series: tuple[Remark, ...]


def keep(workspace: Workspace, job: str, remarks: Remarks) -> None:
    """Keep the remarks on the latest forecasts; those before are replaced whole."""
    write_text(workspace.remarks(job), remarks.model_dump_json())


def recall(workspace: Workspace, job: str) -> Remarks | None:
    """The remarks on the latest forecasts; none where nothing was forecast yet."""
    path = workspace.remarks(job)
    try:
        return Remarks.model_validate_json(path.read_bytes()) if path.exists() else None
    except ValidationError:
        return None  # of another release: the next forecast writes them anew
