"""Clean tables on their way into a job's readings, and the report of the last ingestion, kept beside the tables."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from typing import NamedTuple

import pandas as pd
import pyarrow as pa

from forecasting.columns import DS, UNIQUE_ID, Y
from forecasting.config.job import Job
from forecasting.config.series import Series
from forecasting.errors import LockedError
from forecasting.runtime.files import write_text
from forecasting.runtime.locks import spool_lock
from forecasting.runtime.workspace import Workspace
from forecasting.series.clean import Cleaned
from forecasting.series.rules import LATEST
from forecasting.series.validate import ValidationReport, Violation
from forecasting.storage.gathering import drop_closed, kept_readings, whole_steps
from forecasting.storage.observations import Merged, ObservationTables
from forecasting.storage.spool import Spool, tables

__all__ = ["Ingestion", "any_length", "merge", "merge_left", "merge_spool", "recall", "record", "static_changes"]

_VIOLATIONS = ("rule", "severity", "count", "message", "ids", "rows")
_SHOWN = 5
_DECISIONS = ("decision", "count", "series", "note")


class Ingestion(NamedTuple):
    """Violations (rule, severity, count, message, ids, rows), decisions (decision, count, series, note), and the reason
    for every series that was left out.
    """

    violations: pd.DataFrame
    decisions: pd.DataFrame
    left_out: dict[str, str]


def any_length(series: Series) -> Series:
    """Loosen the minimum length: an ingestion may bring one row, or only what is known ahead; a run judges that."""
    return series.model_copy(update={"min_length": 0})


def static_changes(stored: ObservationTables, job: Job, table: pd.DataFrame) -> list[Violation]:
    """A note for every static covariate whose stored value changes for some series of a clean table."""
    found = {name: stored.changed(job.name, table, name) for name in job.series.static}
    return [
        Violation(
            "static_changed",
            "note",
            len(ids),
            f"static covariate {name} changes for {len(ids)} stored series ({', '.join(ids[:_SHOWN])}"
            f"{', …' if len(ids) > _SHOWN else ''}); {LATEST}",
            tuple(ids[:10]),
        )
        for name, ids in found.items()
        if ids
    ]


def merge(stored: ObservationTables, job: Job, table: pd.DataFrame) -> Merged:
    """Merge a clean table into a job's readings.

    Series without any reading bring what is known ahead, and nothing else of what is stored changes. Raises DataError
    where these come before any readings.
    """
    read = table[Y].notna().groupby(table[UNIQUE_ID]).transform("any")
    merged = stored.merge(job.name, table[read]) if read.any() else Merged(stored.latest(job.name).version, 0, 0)
    if read.all():
        return merged
    ahead = table[~read].dropna(axis=1, how="all").reset_index(drop=True)
    more = stored.merge(job.name, ahead)
    return replace(more, inserted=merged.inserted + more.inserted, updated=merged.updated + more.updated)


def merge_spool(stored: ObservationTables, job: Job, spool: Spool) -> int:
    """Merge what a spool keeps, in the order of its coming, and return the number of new and corrected rows.

    It may be killed at any moment: what is merged a second time changes nothing. Raises DataError and StorageError;
    what is not merged yet stays in the spool. Where readings are gathered into steps, so do those of steps that later
    ones may join.
    """
    if job.series.aggregate is not None:
        return _merge_steps(stored, job, spool)
    rows = 0
    for path in spool.take():
        for table in _together(tables(path)):
            merged = merge(stored, job, table)
            rows += merged.inserted + merged.updated
        spool.drop(path)
    return rows


def _merge_steps(stored: ObservationTables, job: Job, spool: Spool) -> int:
    paths, series = spool.take(), any_length(job.series)
    readings = kept_readings(paths)
    if readings is None:
        return 0
    steps = whole_steps(readings, series)
    merged = None if steps is None else merge(stored, job, steps)
    drop_closed(spool, paths, readings, series.freq)
    return 0 if merged is None else merged.inserted + merged.updated


def merge_left(workspace: Workspace, stored: ObservationTables, job: Job) -> int:
    """Merge what a service has left in its spool when it ended; a running one merges its own."""
    folder = workspace.spool(job.name)
    if not folder.is_dir():
        return 0
    with suppress(LockedError), spool_lock(workspace.locks, job.name, patience=0):
        return merge_spool(stored, job, Spool(folder, most=0))
    return 0


def _together(found: Iterable[pa.Table]) -> Iterator[pd.DataFrame]:
    """The tables in their order, neighbors as one: of two rows with one key the later one counts.

    A table in which some series bring only what is known ahead stands alone, since `merge` treats them otherwise.
    """
    for (_, plain), group in itertools.groupby(found, key=lambda table: (table.schema, _all_read(table))):
        if plain:
            rows = pa.concat_tables(group).to_pandas()
            yield rows.drop_duplicates([UNIQUE_ID, DS], keep="last", ignore_index=True)
        else:
            yield from (table.to_pandas() for table in group)


def _all_read(table: pa.Table) -> bool:
    """Whether every series brings a reading; most tables have nothing else."""
    if table[Y].null_count == 0:
        return True
    keys = table.select([UNIQUE_ID, Y]).to_pandas()
    return bool(keys[Y].notna().groupby(keys[UNIQUE_ID]).any().all())


def record(workspace: Workspace, job: str, report: ValidationReport, cleaned: Cleaned) -> None:
    """Keep the report of an ingestion; the one before is replaced whole."""
    content = {"violations": json.loads(report.to_json())["violations"]}
    content["decisions"] = json.loads(cleaned.decisions.to_json(orient="records"))
    content["left_out"] = dict(cleaned.left_out)
    write_text(workspace.ingestion(job), json.dumps(content))


def recall(workspace: Workspace, job: str) -> Ingestion:
    """The report of the last ingestion; empty tables if there was none."""
    path = workspace.ingestion(job)
    content = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return Ingestion(
        pd.DataFrame(content.get("violations", []), columns=list(_VIOLATIONS)),
        pd.DataFrame(content.get("decisions", []), columns=list(_DECISIONS)),
        content.get("left_out", {}),
    )
