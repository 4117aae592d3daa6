"""Look at a file or a query that nobody has described: one page, top to bottom."""

from __future__ import annotations

import glob
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pandas as pd

from forecasting import sources
from forecasting.columns import DS, UNIQUE_ID, Y
from forecasting.config.job import Job, parse_job
from forecasting.config.source import FileSource, SqlSource
from forecasting.errors import SourceError
from forecasting.inspection.findings import Ask, Found
from forecasting.inspection.grid import describe_grid, describe_horizon
from forecasting.inspection.notation import describe_numbers
from forecasting.inspection.roles import describe_columns, ids_of
from forecasting.inspection.stamps import describe_stamps
from forecasting.inspection.text import describe_text
from forecasting.inspection.traits import describe_readings
from forecasting.inspection.writing import job_yaml
from forecasting.inspection.zones import describe_zone
from forecasting.series.frequency import is_calendar
from forecasting.series.validate import validate
from forecasting.sources import file, sql
from forecasting.sources.parsing.remote import given, is_remote

__all__ = ["Inspection", "inspect"]

_BOOKS: Final = (".xls", ".xlsb", ".ods")


@dataclass(frozen=True)
class Inspection:
    """What was found: the job, its keys with their reasons, its long table, and what is wrong with that."""

    job: Job
    findings: Found
    table: pd.DataFrame
    errors: tuple[str, ...]

    def yaml(self) -> str:
        """The job with a comment at each line."""
        read = f"{int(self.table[Y].notna().sum()):,} readings of {self.table[UNIQUE_ID].nunique():,} series"
        return job_yaml(self.findings, f"{read}, {self.table[DS].min()} to {self.table[DS].max()}")


def inspect(target: str, *, horizon: int | None = None, query: str | None = None, ask: Ask | None = None) -> Inspection:
    """Find everything that a job needs to read `target`, a file, its URL, or the URL of a database.

    Where the data only suggests a value, `ask` is asked; without it the likeliest is taken and marked as a guess.
    Raises SourceError and DataError for what cannot be read or forecast.
    """
    findings = Found(ask)
    frame, text = _frame(target, query, findings)
    stamps = describe_stamps(frame, findings, text=text)
    columns = describe_numbers(frame, stamps.columns, findings)
    describe_columns(columns, stamps.stamps, findings)
    ids = ids_of(frame, findings)
    freq = describe_grid(stamps.stamps, ids, findings)
    if not stamps.own_zone and stamps.columns and not is_calendar(freq):
        describe_zone(stamps.stamps, findings)
    describe_horizon(freq, int(ids.value_counts().iloc[0]), horizon, _ahead(frame, findings), findings)
    findings.add("model", "auto", "several networks and baselines are tried; the best are averaged")
    table = sources.read(parse_job(findings.content(), name="what was found"))
    describe_readings(table, findings)
    job = parse_job(findings.content(), name="what was found")
    return Inspection(job, findings, table, tuple(error.message for error in validate(table, job.series).errors))


def _frame(target: str, query: str | None, findings: Found) -> tuple[pd.DataFrame, bool]:
    """The columns of the target as they come, numbers of a text file as text, and whether it is one."""
    if "://" in target and not is_remote(target):
        return _rows(target, query, findings), False
    if not is_remote(target) and not Path(target).is_file():
        raise SourceError(f"there is no file {target} (working directory {Path.cwd()})")
    source = FileSource(path=glob.escape(target) if not is_remote(target) else target)
    with given(source.path, most=source.max_mb) as files:
        if len(files) > 1:
            raise SourceError(
                f"{target} names {len(files)} files; look at one of them, and write the glob into the job"
            )
        with files[0].named() as path:
            return _file(target, path, findings)


def _file(target: str, path: Path, findings: Found) -> tuple[pd.DataFrame, bool]:
    if path.suffix.lower() in _BOOKS:
        raise SourceError(f"{target} is a workbook that Gatecast does not read: save it as .xlsx, or the sheet as CSV")
    findings.add("name", _name(path.name), "from the name of the file; the model is called so")
    findings.add("source.kind", "file", "")
    findings.add("source.path", target, "fetched each time" if is_remote(target) else "seen from the working directory")
    text = file.is_text(path)
    if text:
        describe_text(path, findings)
    else:
        _sheet(path, findings)
    known = ("separator", "encoding", "header", "sheet")
    return file.raw(
        path, **{one: findings.value(f"source.{one}") for one in known if f"source.{one}" in findings.found}
    ), text


def _sheet(path: Path, findings: Found) -> None:
    """Find `source.sheet` where a workbook has several: the one with the most rows."""
    sizes = file.sheets(path)
    if len(sizes) > 1:
        best = max(sizes, key=lambda name: sizes[name])
        findings.guess("source.sheet", best, f"of {len(sizes)} sheets it has the most rows", tuple(sizes))


def _rows(url: str, query: str | None, findings: Found) -> pd.DataFrame:
    if query is None:
        raise SourceError("a database needs the query that gives the rows: --query 'SELECT …'")
    findings.add("name", _name(url.rpartition("/")[2] or "query"), "from the name of the database")
    findings.add("source.kind", "sql", "")
    findings.add("source.url", url, "keep passwords in the environment: ${NAME} is replaced by a variable")
    findings.add("source.query", query, "as given")
    return sql.rows(SqlSource(url=url, query=query))


def _name(text: str) -> str:
    name = re.sub(r"[^a-z0-9_-]+", "-", text.lower().partition(".")[0]).strip("-_")[:63]
    return name or "series"


def _ahead(frame: pd.DataFrame, findings: Found) -> int:
    """The steps for which every series has values that are known ahead."""
    known: list[Any] = findings.value("series.future") or []
    if not known:
        return 0
    target = findings.value("source.columns.y")
    ids = ids_of(frame, findings)
    blank = frame[target].isna() | (frame[target].astype("str").str.strip() == "")
    after = blank.iloc[::-1].groupby(ids.iloc[::-1]).cummin().iloc[::-1]
    return int((after & frame[known].notna().all(axis=1)).groupby(ids).sum().min())
