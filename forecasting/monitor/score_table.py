"""The table of live scores: every vintage against its actuals, one row per cutoff, version, and step."""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd

from forecasting.columns import CUTOFF, DS, STEP, UNIQUE_ID, VERSION, Y, quantile_column
from forecasting.config.job import Job
from forecasting.monitor.live import parts, stored_quantiles
from forecasting.series.calendar import season_of
from forecasting.series.folds import shift
from forecasting.series.frequency import Grid
from forecasting.storage.store import Store

__all__ = ["SUMS", "record"]

SUMS: Final = [
    "absolute", "pinball", "actual", "inside", "intervals", "error", "count",  # of forecasts that have actuals
    "naive", "beside_naive", "naive_count",  # absolute errors of the seasonal naive forecast, and of the model there
    "moved", "moves",  # absolute revisions of the median since the vintage before, of the same date
    "made", "broken",  # forecasts, and those that are not finite
]  # fmt: skip
_KEYS: Final = [CUTOFF, VERSION, STEP]
_MEDIAN: Final = quantile_column(0.5)


def record(store: Store, job: Job, *, since: pd.Timestamp | None = None) -> pd.DataFrame:
    """Update the job's score table and return it: one row per cutoff, version, and step, with sums over all series.

    Only rows with changed forecasts or readings are computed again: new vintages, new readings, corrected readings.
    Cutoffs before `since` are skipped, and so are hindcasts. The same forecasts and readings change nothing. Raises
    DataError if nothing was forecast or observed.
    """
    before = store.scores.read(job.name)
    horizon, season = job.window.horizon, season_of(job.series)
    names = stored_quantiles(store, job.name)
    made = store.forecasts.read(job.name, since=_back(since, horizon, job), columns=[STEP, *names], hindcasts=False)
    came = store.observations.read(job.name, since=_back(since, 2 * horizon + season, job), columns=[Y]).dropna(
        subset=[Y]
    )
    wanted = _wanted(made if since is None else made[made[CUTOFF] >= since], came, before, job)
    store.scores.keep(job.name, _scores(made, came, wanted, names, job))
    kept = store.scores.read(job.name)
    return _without_rows() if kept.empty else kept


def _without_rows() -> pd.DataFrame:
    """The table where nothing was scored yet, such as of hindcasts alone."""
    types = {**dict.fromkeys([CUTOFF, DS], "datetime64[us]"), **dict.fromkeys([VERSION, STEP], "int64")}
    empty = pd.DataFrame(columns=[*_KEYS, DS, "digest", *SUMS], dtype="float64")
    return empty.astype(types)


def _back(since: pd.Timestamp | None, steps: int, job: Job) -> pd.Timestamp | None:
    return None if since is None else shift(since, -steps, job.series.freq)


def _wanted(made: pd.DataFrame, came: pd.DataFrame, before: pd.DataFrame, job: Job) -> pd.DataFrame:
    """The groups whose forecasts or readings have changed: keys, ds, made and the digest of the readings."""
    groups = made.groupby([*_KEYS, DS], sort=False).size().rename("made").reset_index()
    groups["digest"] = _digest(groups, came, job)
    if before.empty:
        return groups
    both = groups.merge(before[[*_KEYS, "made", "digest"]], on=_KEYS, how="left", suffixes=("", "_before"))
    same = (both["made"] == both["made_before"]) & (both["digest"] == both["digest_before"])
    return groups[~same.to_numpy()].reset_index(drop=True)


def _digest(groups: pd.DataFrame, came: pd.DataFrame, job: Job) -> np.ndarray:
    """One number (groups,) for the readings at each group's stamp and at the stamp of its naive forecast."""
    grid = Grid.around(pd.concat([came[DS], groups[DS]]), job.series.freq)
    hashed = pd.util.hash_pandas_object(came[[UNIQUE_ID, Y]], index=False).to_numpy().view(np.int64)
    sums = pd.Series(hashed).groupby(list(grid.locate(came[DS]))).sum()  # wraps around: any order gives the same
    index, phase = grid.locate(groups[DS])
    back = _season_back(groups[STEP], job)
    of_stamp, of_naive = (
        sums.reindex(pd.MultiIndex.from_arrays([rows, phase]), fill_value=0).to_numpy()
        for rows in (index, index - back)
    )
    return np.asarray(of_stamp + 3 * of_naive)


def _season_back(step: pd.Series, job: Job) -> np.ndarray:
    """Steps (B,) from each forecast back to the last reading before its cutoff in the same phase of the season."""
    season = season_of(job.series)
    return -(-step.to_numpy() // season) * season


def _scores(made: pd.DataFrame, came: pd.DataFrame, wanted: pd.DataFrame, names: list[str], job: Job) -> pd.DataFrame:
    """The rows of the wanted groups."""
    rows = _revisions(made).merge(wanted[_KEYS], on=_KEYS, how="inner")
    values = rows[names].to_numpy(dtype=np.float64)
    broken = rows[_MEDIAN].isna().to_numpy() | np.isinf(values).any(axis=1)  # a version may lack another's quantiles
    rows["made"], rows["broken"] = 1.0, broken.astype(np.float64)
    both = rows.merge(came, on=[UNIQUE_ID, DS], how="inner")
    sums = parts(both, names).assign(**_naive(both, came, job))
    of_all = rows.groupby(_KEYS)[["moved", "moves", "made", "broken"]].sum()
    found = of_all.join(sums.groupby(_KEYS)[[name for name in SUMS if name in sums.columns]].sum())
    table = wanted[[*_KEYS, DS, "digest"]].merge(found[SUMS].fillna(0.0).reset_index(), on=_KEYS)
    return table.sort_values(_KEYS, ignore_index=True)


def _revisions(made: pd.DataFrame) -> pd.DataFrame:
    """Forecasts with the revision of their median since the vintage before."""
    made = made.sort_values([UNIQUE_ID, DS, CUTOFF, VERSION], ignore_index=True)
    again = made.duplicated([UNIQUE_ID, DS])
    moved = made[_MEDIAN].diff().abs().where(again & np.isfinite(made[_MEDIAN].diff()))
    return made.assign(moved=moved.fillna(0.0), moves=moved.notna().astype(float))


def _naive(both: pd.DataFrame, came: pd.DataFrame, job: Job) -> dict[str, np.ndarray]:
    """The parts of the seasonal naive forecast: the last reading before the cutoff in the same phase."""
    grid = Grid.around(pd.concat([came[DS], both[DS]]), job.series.freq)
    place = pd.MultiIndex.from_arrays([came[UNIQUE_ID], *grid.locate(came[DS])])
    index, phase = grid.locate(both[DS])
    naive_index = index - _season_back(both[STEP], job)
    found = place.get_indexer(pd.MultiIndex.from_arrays([both[UNIQUE_ID], naive_index, phase]))
    readings, y = came[Y].to_numpy(), both[Y].to_numpy()
    naive, model = np.abs(readings[found] - y), np.abs(both[_MEDIAN].to_numpy() - y)
    known = (found >= 0) & np.isfinite(model)
    parts_ = {"naive": naive, "beside_naive": model, "naive_count": np.ones(len(y))}
    return {name: np.where(known, values, 0.0) for name, values in parts_.items()}
