"""Live accuracy: stored forecasts against the readings that followed."""

from __future__ import annotations

from typing import Final, Literal

import numpy as np
import pandas as pd

from forecasting.bundle.scoring import inside, pinball
from forecasting.columns import (
    CUTOFF,
    DS,
    STEP,
    UNIQUE_ID,
    VERSION,
    Y,
    column_quantile,
    quantile_column,
    quantile_columns,
)
from forecasting.errors import DataError
from forecasting.storage.store import Store

__all__ = ["By", "live_scores", "parts", "scored", "scores", "stored_quantiles"]

By = Literal["step", "day", "version"]

_KEYS: Final[dict[By, str]] = {"step": STEP, "day": "day", "version": VERSION}
_MEDIAN: Final = quantile_column(0.5)
_SUMS: Final = ["absolute", "pinball", "actual", "inside", "intervals", "error", "count"]


def live_scores(
    store: Store, job: str, by: By | None = None, *, since: pd.Timestamp | None = None, unique_id: str | None = None
) -> pd.DataFrame:
    """One row for all forecasts that have actuals, or per step, day of the cutoff, or model version.

    Columns: the group, `mae`, `wql`, `coverage` (of the widest interval), `bias` (mean of forecast minus actual),
    `count`; each a ratio of sums as in a backtest, NaN for 0 / 0. `since` leaves out earlier cutoffs.
    No rows before the first actual; raises DataError if nothing was forecast or observed.
    """
    return scores(scored(store, job, since=since, unique_id=unique_id), by)


def scores(rows: pd.DataFrame, by: By | None = None) -> pd.DataFrame:
    """The same from the rows of `scored`, for several groupings of one read."""
    keys = [] if by is None else [_KEYS[by]]
    if rows.empty:
        return pd.DataFrame(columns=[*keys, "mae", "wql", "coverage", "bias", "count"])
    sums = rows.groupby(keys)[_SUMS].sum().reset_index() if keys else rows[_SUMS].sum().to_frame().T
    with np.errstate(divide="ignore", invalid="ignore"):
        return sums[keys].assign(
            mae=sums["absolute"] / sums["count"],
            wql=_ratio(sums["pinball"], sums["actual"]),
            coverage=_ratio(sums["inside"], sums["intervals"]),
            bias=sums["error"] / sums["count"],
            count=sums["count"].astype(np.int64),
        )


def _ratio(numerator: pd.Series, denominator: pd.Series) -> pd.Series:
    return numerator / denominator.where(denominator > 0)


def scored(store: Store, job: str, *, since: pd.Timestamp | None = None, unique_id: str | None = None) -> pd.DataFrame:
    """The parts of every metric and the keys of all groupings, one row per forecast that has an actual.

    Reads only forecasts made at or after `since`, and of those only the scored columns; hindcasts are not live. Raises
    DataError like `live_scores`.
    """
    names = stored_quantiles(store, job)
    made = store.forecasts.read(job, since=since, unique_id=unique_id, columns=[STEP, *names], hindcasts=False)
    came = store.observations.read(job, unique_id=unique_id, since=since, columns=[Y]).dropna(subset=[Y])
    return parts(made.merge(came, on=[UNIQUE_ID, DS], how="inner"), names)


def stored_quantiles(store: Store, job: str) -> list[str]:
    """The quantile columns of the stored forecasts, in order; raises DataError if there is no median."""
    names = quantile_columns(store.forecasts.columns(job))
    if _MEDIAN not in names:
        raise DataError(f"the stored forecasts of {job} have no median; the monitor needs forecasts of numbers")
    return names


def parts(both: pd.DataFrame, names: list[str]) -> pd.DataFrame:
    """The parts of every metric of forecasts joined with their readings, and the keys."""
    quantiles = [column_quantile(name) for name in names]
    y = both[Y].to_numpy(dtype=np.float64)
    values = both[names].to_numpy(dtype=np.float64)  # (R, Q)
    error = both[_MEDIAN].to_numpy(dtype=np.float64) - y
    covered = inside(y, values)
    sums = {
        "absolute": np.abs(error),
        "pinball": pinball(y, values, quantiles),
        "actual": np.abs(y),
        "inside": np.nan_to_num(covered),
        "intervals": (~np.isnan(covered)).astype(np.float64),  # versions may differ in their quantiles
        "error": error,
        "count": np.ones(len(y)),
    }
    keys = both[[UNIQUE_ID, DS, CUTOFF, STEP, VERSION]]
    return keys.assign(day=both[CUTOFF].dt.normalize(), **sums)
