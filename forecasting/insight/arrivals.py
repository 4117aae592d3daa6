"""Readings that came are judged against the forecasts that were stored before; what is unusual becomes an event."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

import numpy as np
import pandas as pd

from forecasting.columns import (
    CREATED,
    CUTOFF,
    DS,
    UNIQUE_ID,
    VERSION,
    Y,
    column_quantile,
    interval_columns,
    median_column,
    quantile_columns,
)
from forecasting.config.job import Job
from forecasting.errors import DataError
from forecasting.insight.anomalies import JUDGED, AlarmRule, join, judge, normal_scores
from forecasting.runtime.locks import anomaly_lock
from forecasting.series.calendar import season_of
from forecasting.series.folds import shift
from forecasting.series.frequency import Grid, fixed_step
from forecasting.storage.store import Store

__all__ = ["EVENT", "events", "judge_arrivals", "rule_of"]

EVENT: Final = (UNIQUE_ID, "start", "end", "kind", "chance", "alarms", Y, "expected", "low", "high", CUTOFF, VERSION)
_MEMORY: Final = 5000  # earlier readings that a series is compared with
_ROWS: Final = 2_000_000  # of all series
_WINDOW: Final = (8, 48)  # least and most readings of a level
_RAREST: Final = 0.01  # a reading that is expected once in a hundred is no anomaly, however few there are in a month
_MONTH: Final = np.timedelta64(2_629_800, "s")  # a twelfth of 365.25 days
_LATE: Final = 3  # horizons that a reading may come late and still be judged


def rule_of(job: Job, store: Store) -> AlarmRule | None:
    """What an anomaly is in this job: alarms a month in terms of one reading; none if nothing is judged."""
    wanted = job.monitor.anomalies
    if wanted is None or job.symbolic or store.observations.version(job.name) is None:
        return None
    series = len(store.observations.series(job.name))
    step = fixed_step(job.series.freq)
    a_month = len(pd.date_range("2001", "2021", freq=job.series.freq)) / 240 if step is None else _MONTH / step
    window = int(np.clip(season_of(job.series), *_WINDOW))
    memory = int(np.clip(_ROWS // max(series, 1), 4 * window, _MEMORY))
    return AlarmRule(min(_RAREST, wanted.alarms_per_month / float(a_month)), window, memory)


def judge_arrivals(store: Store, job: Job) -> pd.DataFrame:
    """Judge what came since the last time, keep the judgments, and give the events that are new or go on.

    A reading is judged once, by the latest forecast that was made before it: one whose cutoff lies before it, and that
    is no hindcast. One that comes more than three horizons late, or that nobody had forecast, is not judged. Those that
    were stored before the first judgment are history: their events are kept, but no news (`told`). The same readings
    and forecasts twice change nothing.
    """
    rule = rule_of(job, store)
    if rule is None:
        return pd.DataFrame()
    with anomaly_lock(store.workspace.locks, job.name):
        since = _since(store, job, rule)
        before = pd.DataFrame() if since is None else store.judgments.read(job.name, since=since)
        arrived = pd.DataFrame() if since is None else _arrived(store, job, before, since)
        if arrived.empty:
            return pd.DataFrame()
        history = before[before[UNIQUE_ID].isin(arrived[UNIQUE_ID].unique())] if len(before) else _nothing()
        judged = judge(arrived, history.sort_values([UNIQUE_ID, DS]), rule)
        changed = _joined(store, job, judged, rule, told=before.empty)
        store.anomalies.keep(job.name, changed)  # first: whatever is judged has its events
        store.judgments.append(job.name, _kept(judged))
        return changed


def events(store: Store, job: str) -> pd.DataFrame:
    """All events of a job, the latest first; an empty table with the same columns if there are none."""
    found = store.anomalies.read(job)
    if found.empty:
        return pd.DataFrame(columns=[*EVENT, "told"])
    return found.sort_values(["end", UNIQUE_ID], ascending=[False, True], kind="stable", ignore_index=True)


def _nothing() -> pd.DataFrame:
    return pd.DataFrame({name: pd.Series(dtype="float64") for name in (UNIQUE_ID, DS, Y, *JUDGED)})


def _since(store: Store, job: Job, rule: AlarmRule) -> pd.Timestamp | None:
    """The first stamp that is looked at: as far back as others are compared with it; none before the first forecast."""
    try:
        last = store.forecasts.last_cutoff(job.name)
    except DataError:
        return None
    return shift(last, -max(rule.memory, (_LATE + 1) * job.window.horizon), job.series.freq)


def _arrived(store: Store, job: Job, before: pd.DataFrame, since: pd.Timestamp) -> pd.DataFrame:
    """The readings that are to be judged, each with the latest forecast before it."""
    freq, horizon = job.series.freq, job.window.horizon
    first = shift(before[DS].max(), -_LATE * horizon, freq) if len(before) else since
    came = store.observations.read(job.name, since=first, columns=[Y]).dropna(subset=[Y])
    if len(before):
        known = pd.MultiIndex.from_frame(before[[UNIQUE_ID, DS]])
        came = came[~pd.MultiIndex.from_frame(came[[UNIQUE_ID, DS]]).isin(known)]
    if came.empty:
        return came
    columns = store.forecasts.columns(job.name)
    names, made_at = quantile_columns(columns), [CREATED] if CREATED in columns else []
    back = shift(came[DS].min(), -horizon, freq)
    made = store.forecasts.read(job.name, since=back, columns=[*names, *made_at], hindcasts=False)
    ordered = made[made[CUTOFF] < made[DS]].sort_values([UNIQUE_ID, DS, CUTOFF, *made_at, VERSION])
    latest = ordered.drop_duplicates([UNIQUE_ID, DS], keep="last")
    return _scored(came.merge(latest, on=[UNIQUE_ID, DS], how="inner"), names)


def _scored(both: pd.DataFrame, names: list[str]) -> pd.DataFrame:
    """The readings with their scores, and the widest interval and the median that they were judged by."""
    levels = np.array([column_quantile(name) for name in names])
    quantiles = both[names].to_numpy(dtype=np.float64)
    low, high, _ = interval_columns(names)[0] if len(names) > 1 else (names[0], names[0], 0.0)
    z = normal_scores(both[Y].to_numpy(dtype=np.float64), quantiles, levels)
    outer = np.full(len(both), min(levels[0], 1 - levels[-1]))
    scored = both[[UNIQUE_ID, DS, CUTOFF, VERSION, Y]].assign(
        z=z, outer=outer, expected=both[median_column(names)], low=both[low], high=both[high]
    )
    return scored[np.isfinite(z)].reset_index(drop=True)


def _joined(store: Store, job: Job, judged: pd.DataFrame, rule: AlarmRule, *, told: bool) -> pd.DataFrame:
    """The events that are new or go on with these judgments."""
    alarms = judged[judged["chance"] <= rule.alpha]
    if alarms.empty:
        return pd.DataFrame()
    stored = store.anomalies.read(job.name)
    latest = stored.sort_values("end").drop_duplicates(UNIQUE_ID, keep="last") if len(stored) else stored
    stamps = pd.concat([alarms[DS], latest["end"]] if len(latest) else [alarms[DS]])
    steps = Grid.around(stamps, job.series.freq).locate(stamps)[0]
    alarms = alarms.assign(index=steps[: len(alarms)])
    latest = latest.assign(last=steps[len(alarms) :]) if len(latest) else pd.DataFrame(columns=[UNIQUE_ID])
    found = join(alarms, latest, rule.window).reset_index(drop=True)
    known = found["told"].fillna(told).astype(bool) if "told" in found else told
    now = pd.Timestamp(datetime.now(UTC)).tz_localize(None).as_unit("us")
    made = found[CREATED].fillna(now) if CREATED in found else now
    return found[[*EVENT]].assign(told=known, **{CREATED: made})


def _kept(judged: pd.DataFrame) -> pd.DataFrame:
    return judged[[UNIQUE_ID, DS, CUTOFF, VERSION, Y, *JUDGED]]
