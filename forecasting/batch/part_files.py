"""Finished forecasts of a shard on disk: whole, verified, and the same however often they are made."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, ValidationError

from forecasting.bundle.cautions import Caution
from forecasting.columns import CUTOFF, STEP, UNIQUE_ID
from forecasting.runtime.files import replace, write_text
from forecasting.storage.appending import write_part

__all__ = ["Failure", "Made", "Part", "ends_of", "keep", "recall", "table_of"]


class Failure(BaseModel):
    """A series without a forecast, and why."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    unique_id: str
    reason: str


class Part(BaseModel):
    """The forecasts of one shard: their file, absent if there are none, and the failures."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: Path
    rows: int
    series: int
    sha256: str
    failures: tuple[Failure, ...]
    cautions: tuple[Caution, ...] = ()
    seconds: dict[str, float]  # of processor time, by activity


class Made(NamedTuple):
    """The forecasts of a shard, the series without one, and the warnings."""

    table: pd.DataFrame
    failures: tuple[Failure, ...]
    cautions: tuple[Caution, ...]


def keep(path: Path, made: Made) -> Part:
    """Write the forecasts of a shard and then their summary, which marks the part as finished."""
    table = made.table
    if len(table):
        replace(path, lambda draft: write_part(draft, pa.Table.from_pandas(table, preserve_index=False)))
    series = int(table["unique_id"].nunique()) if len(table) else 0
    digest = _digest(path) if len(table) else ""
    part = Part(
        path=path,
        rows=len(table),
        series=series,
        sha256=digest,
        failures=made.failures,
        cautions=made.cautions,
        seconds={},
    )
    write_text(path.with_suffix(".json"), part.model_dump_json())
    return part


def recall(path: Path) -> Part | None:
    """The finished part, if its file is unchanged since it was written."""
    note = path.with_suffix(".json")
    if not note.exists():
        return None
    try:
        part = Part.model_validate_json(note.read_bytes())
    except ValidationError:
        return None  # damaged: the shard is forecast again
    whole = part.rows == 0 or (path.exists() and _digest(path) == part.sha256)
    return part if whole else None


def table_of(part: Part) -> pd.DataFrame:
    """The forecasts of a part as a table."""
    table: pd.DataFrame = pq.read_table(part.path).to_pandas()
    return table


def ends_of(part: Part) -> pd.DataFrame:
    """The last reading that each series of a part was forecast from: unique_id, cutoff."""
    if not part.rows:
        return pd.DataFrame({UNIQUE_ID: pd.array([], dtype="str"), CUTOFF: pd.array([], dtype="datetime64[us]")})
    found: pd.DataFrame = pq.read_table(part.path, columns=[UNIQUE_ID, CUTOFF], filters=[(STEP, "=", 1)]).to_pandas()
    return found


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
