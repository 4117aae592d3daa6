"""The report of the last ingestion of a job: its violations and cleaning decisions, kept beside the tables."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import NamedTuple

import pandas as pd

from forecasting.columns import UNIQUE_ID, Y
from forecasting.config.job import Job
from forecasting.runtime.files import write_text
from forecasting.runtime.workspace import Workspace
from forecasting.series.clean import Cleaned
from forecasting.series.rules import LATEST
from forecasting.series.validate import ValidationReport, Violation
from forecasting.storage.observations import Merged, ObservationTables

__all__ = ["Ingestion", "merge", "recall", "record", "static_changes"]

_VIOLATIONS = ("rule", "severity", "count", "message", "ids", "rows")
_SHOWN = 5
_DECISIONS = ("decision", "count", "series", "note")


class Ingestion(NamedTuple):
    """Violations (rule, severity, count, message, ids, rows) and decisions (decision, count, series, note)."""

    violations: pd.DataFrame
    decisions: pd.DataFrame


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


def record(workspace: Workspace, job: str, report: ValidationReport, cleaned: Cleaned) -> None:
    """Keep the report of an ingestion; the one before is replaced whole."""
    content = {"violations": json.loads(report.to_json())["violations"]}
    content["decisions"] = json.loads(cleaned.decisions.to_json(orient="records"))
    write_text(workspace.ingestion(job), json.dumps(content))


def recall(workspace: Workspace, job: str) -> Ingestion:
    """The report of the last ingestion; empty tables if there was none."""
    path = workspace.ingestion(job)
    content = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return Ingestion(
        pd.DataFrame(content.get("violations", []), columns=list(_VIOLATIONS)),
        pd.DataFrame(content.get("decisions", []), columns=list(_DECISIONS)),
    )
