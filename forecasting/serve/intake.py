"""Readings that are sent: checked like those of a file, kept on disk before they are answered, merged later."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from pydantic import Field

from forecasting.bundle.fast_path import Readings
from forecasting.columns import DS, UNIQUE_ID, Y
from forecasting.config.job import Job, load_job
from forecasting.config.series import Series
from forecasting.config.settings import ServeSettings, Settings
from forecasting.errors import ConfigError, DataError, GatecastError, SpaceError, StorageError
from forecasting.runtime.files import writable
from forecasting.runtime.locks import spool_lock
from forecasting.runtime.workspace import Workspace
from forecasting.series.aggregate import step_ends
from forecasting.series.clean import clean
from forecasting.series.frequency import Grid, fixed_step
from forecasting.series.validate import validate
from forecasting.serve.announcing import Announcer
from forecasting.serve.bodies import Document
from forecasting.serve.errors import SHOWN, ServiceError
from forecasting.serve.judging import Judge
from forecasting.serve.logs import where
from forecasting.serve.long_tables import Columns, Known, Records, readings_of, table_of
from forecasting.serve.metrics import Metrics
from forecasting.serve.offload import Offload
from forecasting.serve.violations import sentences
from forecasting.storage.gathering import LATE, Floors, closed_until, kept_readings, newest_steps
from forecasting.storage.ingestion import any_length, merge_spool
from forecasting.storage.spool import FullError, Spool
from forecasting.storage.store import Store

__all__ = ["Intake", "Intakes", "ReadingsRequest", "is_plain"]

log = logging.getLogger("gatecast.serve")


class ReadingsRequest(Document):
    """A long table of readings, as records or as columns."""

    name: str | None = Field(None, description="The job; needed where the readings of several are taken.")
    records: Records | None = Field(None, description="Rows: unique_id, ds, y and every covariate of the job.")
    columns: Columns | None = Field(None, description="The same as columns of one length.")


class Intake:
    """The way of one job's readings from a request to the store. Its methods block."""

    def __init__(self, job: Job, store: Store, settings: ServeSettings) -> None:
        self.name = job.name
        self.spool = Spool(store.workspace.spool(job.name), int(settings.max_spool_mb * 1e6))
        self._job, self._series, self._known = job, any_length(job.series), Known.to_job(job.series)
        self._stored, self._settings = store.observations, settings
        self._lock = threading.Lock()
        self._seen: dict[str, np.datetime64] | None = None
        self._merged = time.monotonic()

    @property
    def merge_age(self) -> float:
        """Seconds since nothing waited any more."""
        return time.monotonic() - self._merged

    def accept(self, request: ReadingsRequest) -> dict[str, Any]:
        """Keep the readings of a request, and say what was kept; they are on disk when this returns.

        Raises ServiceError 422 that lists every violation, 429 where too much waits to be merged, 503 where the disk
        does not take them.
        """
        readings = self._readings(request)
        table, notes = self._cleaned(readings)
        with self._lock:
            self._check_place(table)
            self._keep(table)
        kept = {"rows": len(table), "readings": int(table[Y].count()), "series": table[UNIQUE_ID].nunique()}
        return {"name": self.name, **kept, **({"notes": notes} if notes else {})}

    def merge(self) -> int:
        """Merge what waits into the store, and return the number of new and corrected rows."""
        rows = merge_spool(self._stored, self._job, self.spool) if self.spool.size else 0
        if rows:
            self._stored.compact(self.name)
        self._merged = time.monotonic()
        return rows

    @property
    def _names(self) -> tuple[str, ...]:
        return (UNIQUE_ID, DS, Y, *self._known.covariates)

    def _readings(self, request: ReadingsRequest) -> Readings:
        wrong: list[str] = []
        if (request.records is None) == (request.columns is None):
            wrong.append("give the readings as records or as columns, one of them")
        given = request.records or request.columns or []
        columns = None if wrong else table_of(given, self._names, self._known, self._settings, wrong)
        readings = None if columns is None else readings_of(columns, self._known, self._settings, wrong)
        if wrong or readings is None:
            raise ServiceError(422, "invalid_request", "the readings cannot be understood", wrong[:SHOWN])
        return readings

    def _cleaned(self, readings: Readings) -> tuple[pd.DataFrame, list[str]]:
        """The rows that are kept, and what is to be said of them and the others."""
        table = readings.table()[[*self._names]]
        if is_plain(readings, self._series):
            return table, []
        report = validate(table, self._series)
        if report.errors:
            raise _unusable(sentences(report.errors))
        try:
            return clean(table, self._series).table, sentences(report.violations)
        except DataError as error:
            raise _unusable(["nothing is left of them after cleaning"]) from error

    @property
    def _anchors(self) -> dict[str, np.datetime64]:
        """A stamp of every series that has rows; the store is read once."""
        if self._seen is None:
            self._seen = self._stored.firsts(self.name)
        return self._seen

    def _check_place(self, table: pd.DataFrame) -> None:
        """Raises ServiceError 422 for stamps beside those of their series, and for covariates before all readings."""
        if not self._anchors and table[Y].isna().all():
            raise _unusable(["values that are known ahead come before any reading"])
        freq = self._series.freq
        if off := _off_phase(table, self._anchors, freq):
            raise _unusable(
                [f"{off} stamp(s) lie between the steps of {freq} that earlier readings of their series have"]
            )

    def _keep(self, table: pd.DataFrame) -> None:
        try:
            self.spool.append(table)
        except FullError:
            again = str(max(1, round(self._settings.merge_seconds)))
            text = "too many readings wait to be merged into the store; send them again later"
            raise ServiceError(429, "spool_full", text, headers={"Retry-After": again}) from None
        except (SpaceError, StorageError) as error:
            log.error("readings not kept", extra={"model": self.name, "reason": str(error)})
            text = "the readings cannot be kept on disk; the log of the service says why"
            raise ServiceError(503, "not_kept", text, headers={"Retry-After": "60"}) from error
        for name, stamp in zip(table[UNIQUE_ID], table[DS].to_numpy(), strict=True):
            self._anchors.setdefault(name, stamp)


class StepIntake(Intake):
    """The same where readings come at irregular times and are gathered into steps, each when it is over."""

    def __init__(self, job: Job, store: Store, settings: ServeSettings) -> None:
        super().__init__(job, store, settings)
        self._floors = Floors(store.workspace.spool(job.name))
        left = kept_readings(self.spool.take())
        self._newest = {} if left is None else newest_steps(left, job.series.freq)
        self._fresh = left is not None

    def merge(self) -> int:
        """Merge all steps that are over; readings of those that late ones may join stay in the spool."""
        if not self._fresh:
            return 0
        self._fresh = False
        try:
            return super().merge()
        except BaseException:
            self._fresh = True
            raise

    def _cleaned(self, readings: Readings) -> tuple[pd.DataFrame, list[str]]:
        """The rows as they came: what is to be gathered is cleaned with its step."""
        table = readings.table()[[*self._names]]
        report = validate(table, self._series)
        if report.errors:
            raise _unusable(sentences(report.errors))
        return table, sentences(report.violations)

    def _check_place(self, table: pd.DataFrame) -> None:
        """Raises ServiceError 422 for readings of steps that are closed, and for covariates before all readings."""
        if not self._newest and table[Y].isna().all() and not self._stored.lasts(self.name):
            raise _unusable(["values that are known ahead come before any reading"])
        new = [str(name) for name in table[UNIQUE_ID].unique() if name not in self._floors]
        if new:
            lasts = self._stored.lasts(self.name)
            self._floors.put({name: lasts.get(name, np.datetime64("NaT", "us")) for name in new})
        rows = table[table[Y].notna()]
        ends, names = step_ends(rows[DS], self._series.freq), rows[UNIQUE_ID]
        closed = np.zeros(len(rows), dtype=bool)
        for limit in (self._late, self._floors.get):
            limits = {name: limit(name) for name in names.unique()}
            closed |= ends <= np.array([limits[name] for name in names], dtype="datetime64[us]")
        if closed.any():
            why = f"more than {LATE} steps late, or of the source"
            raise _unusable([f"{closed.sum()} reading(s) belong to steps that are closed: {why}"])

    def _late(self, name: str) -> np.datetime64:
        """The last step of a series that is closed, because its newest reading is so much later."""
        newest = self._newest.get(name)
        return np.datetime64("NaT", "us") if newest is None else closed_until(newest, self._series.freq)

    def _keep(self, table: pd.DataFrame) -> None:
        super()._keep(table)
        for name, stamp in newest_steps(table, self._series.freq).items():
            self._newest[name] = max(self._newest.get(name, stamp), stamp)
        self._fresh = True


class Intakes:
    """The intakes of all jobs that a service takes readings of: merged every few seconds, in a thread of their own."""

    def __init__(self, settings: Settings, serve: ServeSettings, metrics: Metrics) -> None:
        self._jobs = [_fit_to_take(load_job(path), settings) for path in serve.ingest]
        self._settings, self._serve, self._metrics = settings, serve, metrics
        self._found: dict[str, Intake] = {}
        self._judges: dict[str, Judge] = {}
        self._announcer = Announcer(serve.event_seconds)
        self._offload = Offload(serve.queue)
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="readings")
        self._held = ExitStack()
        self._task: asyncio.Task[None] | None = None

    def __iter__(self) -> Iterator[Intake]:
        return iter(self._found.values())

    def check_alone(self) -> None:
        """Hold the spools as long as this process lives; raises LockedError where another one does."""
        for job in self._jobs:
            self._held.enter_context(spool_lock(self._settings.locks, job.name, self._serve.drain_seconds))

    async def start(self) -> None:
        """Merge what was left when the service ended, then go on merging."""
        for job in self._jobs:
            kind = Intake if job.series.aggregate is None else StepIntake
            store = Store(self._settings.home)
            intake = kind(job, store, self._serve)
            self._judges[job.name] = Judge(job, store, self._settings.notify)
            self._found[job.name] = intake
            self._metrics.spooled.labels(job.name).set_function(partial(getattr, intake.spool, "size"))
            self._metrics.merged.labels(job.name).set_function(partial(getattr, intake, "merge_age"))
        self._task = asyncio.create_task(self._merge())

    async def stop(self) -> None:
        """Merge once more, for as long as the service may take to end; what is left then stays in the spool."""
        if self._task is None:
            return
        self._task.cancel()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._merge_all(), self._serve.drain_seconds / 2)
            await asyncio.get_running_loop().run_in_executor(self._thread, self._announcer.rest)
        self._thread.shutdown(wait=False, cancel_futures=True)
        self._offload.close()

    def intake(self, name: str | None, models: frozenset[str] | None) -> Intake:
        """The intake of that name, or the only one, of those that exist for a key; raises ServiceError 404 or 422."""
        found = {intake.name: intake for intake in self if models is None or intake.name in models}
        if not found:
            text = "this service takes no readings; gatecast serve --ingest CONFIG names a job that does"
            raise ServiceError(404, "unknown_model", text)
        if name is None and len(found) > 1:
            text = f"readings of {len(found)} jobs are taken; name one of them: {', '.join(found)}"
            raise ServiceError(422, "unknown_model", text)
        if name is not None and name not in found:
            raise ServiceError(
                404, "unknown_model", f"no readings of that name are taken; taken are: {', '.join(found)}"
            )
        return found[name] if name is not None else next(iter(found.values()))

    async def accept(self, intake: Intake, request: ReadingsRequest) -> dict[str, Any]:
        """Take the readings of a request, off the event loop; raises ServiceError as `Intake.accept`."""
        kept = await self._offload.run(lambda: intake.accept(request), large=True)
        self._metrics.readings.labels(intake.name).inc(kept["rows"])
        return kept

    async def _merge(self) -> None:
        while True:
            await self._merge_all()
            await asyncio.sleep(self._serve.merge_seconds)

    async def _merge_all(self) -> None:
        for intake in self:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._merge_one, intake)

    def _merge_one(self, intake: Intake) -> None:
        """One merge, whose failure is its own: the readings wait for the next one."""
        try:
            if rows := intake.merge():
                log.info("readings merged", extra={"model": intake.name, "rows": rows})
            self._announcer.merged(intake.name, rows)
            self._judges[intake.name].judge(rows)
        except GatecastError as error:
            self._metrics.merges_failed.labels(intake.name).inc()
            log.error("readings not merged", extra={"model": intake.name, "reason": str(error)})
        except Exception as error:  # noqa: BLE001 - whatever it is, it must not end the merging
            self._metrics.merges_failed.labels(intake.name).inc()
            log.error("readings not merged", extra={"model": intake.name, **where(error)})


def _fit_to_take(job: Job, settings: Settings) -> Job:
    """Raises ConfigError where nothing can be written."""
    if not writable(Workspace(settings.home).spool(job.name)):
        raise ConfigError(f"the home {settings.home} is read-only, so readings of {job.name} cannot be kept")
    return job


def _unusable(faults: list[str]) -> ServiceError:
    return ServiceError(422, "unusable_data", "the readings cannot be used", faults[:SHOWN])


def is_plain(readings: Readings, series: Series) -> bool:
    """Whether validation has nothing to say and cleaning nothing to do: one whole reading of each series.

    That is how most readings come, and it is seen in a hundredth of the time.
    """
    if series.symbolic or series.start or series.end or fixed_step(series.freq) is None:
        return False
    lower, upper = series.bounds
    within = bool(((readings.y >= lower) & (readings.y <= upper)).all())
    whole = not any(pd.isna(values).any() for values in readings.covariates.values())
    return within and whole and len(set(readings.unique_id)) == len(readings.unique_id)


def _off_phase(table: pd.DataFrame, anchors: dict[str, np.datetime64], freq: str) -> int:
    """The rows that stand between the steps on which the rows of their series stood before."""
    stamps = table[DS].to_numpy()
    before = [anchors.get(name, stamp) for name, stamp in zip(table[UNIQUE_ID], stamps, strict=True)]
    both = pd.Series(np.concatenate([np.array(before, dtype=stamps.dtype), stamps]))
    _, phase = Grid.around(both, freq).locate(both)
    return int(np.count_nonzero(phase[: len(stamps)] != phase[len(stamps) :]))
