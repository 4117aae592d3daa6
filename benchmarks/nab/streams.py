"""The files of the benchmark as streams: forecast as in production, judged reading by reading."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from benchmarks.nab.scoring import probation
from forecasting.bundle.artifact import Origin
from forecasting.bundle.forecaster import open_forecaster
from forecasting.columns import CUTOFF, DS, UNIQUE_ID, Y, column_quantile, quantile_columns
from forecasting.config.job import Job, parse_job
from forecasting.evaluation import baselines
from forecasting.evaluation.judging import as_champion
from forecasting.insight.anomalies import JUDGED, AlarmRule, join, judge, normal_scores
from forecasting.series.clean import clean
from forecasting.series.folds import folds, shift
from forecasting.series.prepare import prepare

__all__ = ["STREAMS", "Stream", "alarms", "events_at", "forecasts", "threshold_alarms"]

_REFIT: Final = pd.Timedelta(days=28)  # between two fits, each on everything that came before
_MONTH: Final = pd.Timedelta(days=30.4375)
_WINDOW: Final = (8, 48)  # least and most readings of a level, as in a job


class _Kind(NamedTuple):
    freq: str
    horizon: int  # steps between two vintages
    context: int
    season: int


STREAMS: Final = {
    "nyc_taxi": _Kind("30min", 48, 336, 336),
    "ambient_temperature_system_failure": _Kind("h", 24, 168, 24),
    "machine_temperature_system_failure": _Kind("5min", 12, 288, 288),
    "cpu_utilization_asg_misconfiguration": _Kind("5min", 12, 288, 288),
}


class Stream(NamedTuple):
    """One file: its rows, the row of each reading of its regular grid, and the windows of its anomalies."""

    name: str
    rows: pd.DataFrame  # ds, y, as they come
    windows: list[tuple[int, int]]

    @classmethod
    def read(cls, folder: Path, name: str) -> Stream:
        """Read a file and its labels from the folder of the data sets."""
        rows = pd.read_csv(folder / f"{name}.csv.gz").set_axis(["ds", "y"], axis=1)
        rows = rows.assign(ds=pd.to_datetime(rows["ds"]).astype("datetime64[us]"))
        labels = json.loads((folder / "combined_windows.json").read_text(encoding="utf-8"))
        place = pd.Series(rows.index, index=rows["ds"]).groupby(level=0).first()
        spans = labels[f"realKnownCause/{name}.csv"]
        return cls(name, rows, [(int(place[pd.Timestamp(a)]), int(place[pd.Timestamp(b)])) for a, b in spans])

    @property
    def kind(self) -> _Kind:
        """How it is forecast."""
        return STREAMS[self.name]

    @property
    def weeks(self) -> float:
        """How long it is scored."""
        begin: pd.Timestamp = self.rows[DS].iloc[probation(len(self.rows))]
        return float((self.rows[DS].iloc[-1] - begin) / pd.Timedelta(days=7))

    @property
    def job(self) -> Job:
        """The job of its readings."""
        freq, horizon, context, season = self.kind
        content = {"name": "nab", "source": {"kind": "synthetic"}, "series": {"freq": freq, "season": season}}
        window, plan = {"context": context, "horizon": horizon}, {"windows": 100, "step": 1}
        return parse_job(
            {**content, "window": window, "backtest": plan, "train": {"validation": 0.1}, "model": "stacked"}
        )

    @property
    def readings(self) -> pd.DataFrame:
        """The clean readings on the grid; of two for one step the later one."""
        ds = self.rows[DS].dt.floor(self.kind.freq)
        table = pd.DataFrame({UNIQUE_ID: "a", DS: ds, Y: self.rows[Y]}).drop_duplicates(DS, keep="last")
        return clean(table.sort_values(DS, ignore_index=True).astype({UNIQUE_ID: "str"}), self.job.series).table


def forecasts(stream: Stream) -> pd.DataFrame:
    """The forecast of every reading after the probation, by a ridge fitted to earlier readings alone.

    It is fitted on the probation, and every four weeks on everything that has come; each of its vintages covers the
    steps until the next.
    """
    table = stream.readings
    made = pd.concat(list(_vintages(stream, table)), ignore_index=True)
    return made.sort_values([DS, CUTOFF]).drop_duplicates(DS, keep="last", ignore_index=True)


def _vintages(stream: Stream, table: pd.DataFrame) -> Iterator[pd.DataFrame]:
    job, last = stream.job, table[DS].max()
    edge: pd.Timestamp = stream.rows[DS].iloc[probation(len(stream.rows))].floor(stream.kind.freq)
    while edge <= last:
        after = edge + _REFIT
        known = table[table[DS] < edge]
        with tempfile.TemporaryDirectory() as scratch:
            fold = folds(known, job)[-1]
            fitted = baselines.fit("ridge", prepare(known, job, fold), job, Path(scratch, "fit"), origin=Origin())
            bundle = as_champion(fitted, known, fold, Path(scratch, "live"), min_observed=job.window.min_observed)
            cutoffs = pd.date_range(shift(edge, -1, job.series.freq), min(after, last), freq=job.series.freq)
            part = open_forecaster(bundle).at(table[table[DS] < after], cutoffs[:: job.window.horizon]).table()
        yield part[(part[DS] >= edge) & (part[DS] < after)]
        edge = after


def alarms(stream: Stream, made: pd.DataFrame, per_month: float) -> npt.NDArray[np.bool_]:
    """The rows (R,) at which an event begins, with so many false alarms accepted in a month."""
    names = quantile_columns(made.columns)
    levels = np.array([column_quantile(name) for name in names])
    both = stream.readings[[UNIQUE_ID, DS, Y]].merge(made[[DS, *names]], on=DS).dropna(subset=[Y])
    z = normal_scores(both[Y].to_numpy(np.float64), both[names].to_numpy(np.float64), levels)
    step = pd.Timedelta(pd.tseries.frequencies.to_offset(stream.kind.freq))  # type: ignore[arg-type]
    window = int(np.clip(stream.kind.season, *_WINDOW))
    rule = AlarmRule(min(0.01, per_month / (_MONTH / step)), window, 5000)
    nothing = pd.DataFrame({name: pd.Series(dtype="float64") for name in (UNIQUE_ID, DS, Y, *JUDGED)})
    judged = judge(both[[UNIQUE_ID, DS, Y]].assign(z=z, outer=min(levels[0], 1 - levels[-1])), nothing, rule)
    rare = judged[judged["chance"] <= rule.alpha]
    places = ((rare[DS] - judged[DS].min()) // step).to_numpy()
    found = join(rare.assign(index=places), pd.DataFrame(columns=[UNIQUE_ID]), window)
    starts = found["start"] if len(found) else pd.Series(dtype="datetime64[us]")
    stamps = stream.rows[DS].dt.floor(stream.kind.freq)
    return (stamps.isin(starts) & ~stamps.duplicated(keep="last")).to_numpy()


def threshold_alarms(stream: Stream, deviations: float) -> npt.NDArray[np.bool_]:
    """The rows (R,) at which readings leave mean ± so many deviations of the probation; neighbors are one event."""
    y, first = stream.rows[Y].to_numpy(np.float64), probation(len(stream.rows))
    outside = np.abs(y - y[:first].mean()) > deviations * y[:first].std()
    outside[:first] = False
    return events_at(outside, int(np.clip(stream.kind.season, *_WINDOW)))


def events_at(outside: npt.NDArray[np.bool_], gap: int) -> npt.NDArray[np.bool_]:
    """The first rows (R,) of alarms that are no more than `gap` rows apart."""
    rows = np.flatnonzero(outside)
    begins = np.zeros(len(outside), dtype=bool)
    begins[rows[np.diff(rows, prepend=-gap - 1) > gap]] = True
    return begins
