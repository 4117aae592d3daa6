"""Which series are forecast together, from which rows, by which model: the same plan gives the same parts."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Final, NamedTuple

import pandas as pd
import pyarrow as pa
from pydantic import BaseModel, ConfigDict

from forecasting.bundle.spec import Spec
from forecasting.errors import DataError
from forecasting.runtime.files import replace, write_text
from forecasting.runtime.provenance import numbers_version
from forecasting.series.frequency import offset_of
from forecasting.storage import reading
from forecasting.storage.appending import write_part
from forecasting.storage.fingerprint import fingerprint
from forecasting.storage.reading import TableVersion

__all__ = ["Alternative", "Plan", "PlannedModel", "Request", "Shard", "plan"]

_FEW: Final = 12_000  # series forecast in one shard, without another process
_MOST: Final = 8192  # series per shard
_ROWS: Final = 1_500_000  # rows that a shard reads and writes, about: bounds its memory
_LEAST_SHARDS: Final = 4


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Shard(_Frozen):
    """The `size` series from `first` to `last`, both included."""

    number: int
    first: str
    last: str
    size: int


class PlannedModel(_Frozen):
    """The version that forecasts, and the path of its bundle."""

    bundle: Path
    name: str
    version: int
    weights: str


class Alternative(NamedTuple):
    """A named table of values known ahead (unique_id, ds, and some of the covariates) that replace the stored ones."""

    name: str
    table: pd.DataFrame


class Request(NamedTuple):
    """The request beside the model: the cutoff, the number of steps, the number of shards, and an alternative."""

    at: datetime | None = None
    horizon: int | None = None
    shards: int | None = None
    alternative: Alternative | None = None


class Plan(_Frozen):
    """Everything that a shard's forecast depends on. `created` is when the plan was first made."""

    folder: Path
    observations: TableVersion
    model: PlannedModel
    at: datetime | None
    since: datetime | None  # older rows are read only for series that need them
    horizon: int | None
    created: datetime
    shards: tuple[Shard, ...]
    alternative: str | None = None  # the name of the one that is forecast

    @property
    def ahead(self) -> Path:
        """The values of the alternative, a Parquet file in order of (unique_id, ds)."""
        return self.folder / "ahead.parquet"

    @property
    def threads(self) -> int:
        """Threads of the engine: one if shards share the cores, all of them for a single shard."""
        return 1 if len(self.shards) > 1 else 0


def plan(folder: Path, stored: TableVersion, model: PlannedModel, spec: Spec, request: Request) -> Plan:
    """Make the plan under which finished parts are kept in `folder`, or resume the one that is there.

    Raises DataError if no reading is known at the cutoff.
    """
    found = reading.reach(stored)
    if found and request.at is not None and found[0] > request.at:
        raise DataError(f"no reading at or before {request.at}; the first one is at {found[0]}")
    place = folder / _key(stored, model, spec, request)
    path = place / "plan.json"
    if path.exists():
        return Plan.model_validate_json(path.read_bytes())
    made = Plan(
        folder=place,
        observations=stored,
        model=model,
        at=request.at,
        since=_since(found, spec, request),
        horizon=request.horizon,
        created=datetime.now(UTC).replace(tzinfo=None),
        shards=_shards(reading.names(stored), spec, request.shards),
        alternative=request.alternative.name if request.alternative else None,
    )
    if request.alternative is not None:
        values = pa.Table.from_pandas(request.alternative.table, preserve_index=False)
        replace(made.ahead, lambda draft: write_part(draft, values))
    write_text(path, made.model_dump_json())
    return made


def _key(stored: TableVersion, model: PlannedModel, spec: Spec, request: Request) -> str:
    other = request.alternative
    asked = (*request[:3], other and (other.name, fingerprint(other.table)))
    parts = (stored, model.version, model.weights, spec.model_dump_json(), asked, numbers_version())
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def _since(found: tuple[pd.Timestamp, pd.Timestamp] | None, spec: Spec, request: Request) -> pd.Timestamp | None:
    """Two contexts before the cutoff, or before the end of the table and the stamps known ahead."""
    if found is None:
        return None
    last = found[1] if request.at is None else min(found[1], pd.Timestamp(request.at))
    ahead = max(spec.horizon, request.horizon or 0) if spec.series.future else 0
    since: pd.Timestamp = last - (2 * spec.context + ahead) * offset_of(spec.series.freq)
    return since


def _shards(names: list[str], spec: Spec, wanted: int | None) -> tuple[Shard, ...]:
    """Ranges of about equally many series; a model that reads its series jointly gets one shard."""
    size = max(1, min(_MOST, _ROWS // (spec.context + spec.horizon)))
    few = min(_FEW, _ROWS // (spec.context + spec.horizon))
    count = 1 if len(names) <= few else max(_LEAST_SHARDS, -(-len(names) // size))
    count = 1 if spec.layout is not None else min(wanted or count, len(names))
    edges = [number * len(names) // count for number in range(count + 1)]
    return tuple(
        Shard(number=number, first=names[low], last=names[high - 1], size=high - low)
        for number, (low, high) in enumerate(pairwise(edges))
    )
