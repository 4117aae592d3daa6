"""Order, one row per stamp, bounds and ends of every series; each decision is counted. And the regular grid."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from forecasting.columns import DS, UNIQUE_ID, Y
from forecasting.config.series import Series
from forecasting.errors import DataError
from forecasting.series.aggregate import gather, is_gathered, open_readings
from forecasting.series.frequency import OFF_GRID, Grid
from forecasting.series.sorted_rows import after_end, before_start, known_ahead, only_ahead, outside

__all__ = ["Cleaned", "clean", "regular_grid"]

_KEY = [UNIQUE_ID, DS]


@dataclass(frozen=True)
class Cleaned:
    """A table of unique keys in order of (unique_id, ds), and what was done to it.

    `decisions` has one row per kind: decision, count (of rows, or of series for too_short and all_missing),
    series (how many it touched), note. `left_out` has the reason for every series that is not in the table.
    """

    table: pd.DataFrame
    decisions: pd.DataFrame
    left_out: Mapping[str, str] = field(default_factory=dict)


class _Ledger:
    def __init__(self) -> None:
        self.entries: list[dict[str, object]] = []
        self.left_out: dict[str, str] = {}

    def note(self, decision: str, ids: pd.Series | pd.Index, note: str) -> None:
        if len(ids):
            self.entries.append({"decision": decision, "count": len(ids), "series": ids.nunique(), "note": note})

    def table(self) -> pd.DataFrame:
        return pd.DataFrame(self.entries, columns=["decision", "count", "series", "note"])


def clean(table: pd.DataFrame, series: Series) -> Cleaned:
    """Put a long table in order: only rows that hold something, between the first and last reading of a series.

    Readings at irregular times are gathered into steps where `series.aggregate` says how. Rows after the last reading
    stay where they carry known-ahead covariates. No grid is filled: see `regular_grid`. Cleaning twice changes nothing.
    Raise DataError for contradicting rows of one stamp where `series.duplicates` is `refuse`, where no series remains,
    and for rows that `validate` calls unusable.
    """
    wrong = (table[Y].isna() | (table[Y] == "")) if series.symbolic else np.isinf(table[Y])
    unusable = int(table[_KEY].isna().any(axis=1).sum() + wrong.sum())
    if unusable:
        what = "no label" if series.symbolic else "an infinite y"
        raise DataError(f"{unusable} row(s) have no unique_id, no ds or {what}; see the validation report")
    ledger = _Ledger()
    table = _truncated(table, series, ledger)
    table = _sorted(table, ledger)
    if series.aggregate is not None and not is_gathered(table, series):
        table = _gathered(table, series, ledger)
    elif series.duplicates == "sum":  # the bounds are those of the sum
        table = _bounded(_unique(table, series, ledger), series, ledger)
    else:
        table = _unique(_bounded(table, series, ledger), series, ledger)
    table = _settled(table, series, ledger)
    table = _trimmed(_long_enough(table, series, ledger), series, ledger)
    for name in (*series.past, *series.future, *series.static):
        ledger.note("missing_covariate", table[UNIQUE_ID][table[name].isna()], f"{name} is missing")
    if table.empty:
        raise DataError("no series is left after cleaning:", [str(entry["note"]) for entry in ledger.entries])
    return Cleaned(table, ledger.table(), ledger.left_out)


def _truncated(table: pd.DataFrame, series: Series, ledger: _Ledger) -> pd.DataFrame:
    if series.start is None and series.end is None:
        return table
    before, after = before_start(table[DS], series), after_end(table[DS], series)
    ledger.note("before_start", table[UNIQUE_ID][before], f"left out: before {series.start}")
    ledger.note("after_end", table[UNIQUE_ID][after], f"left out: after {series.end}")
    return table[~before & ~after]


def _sorted(table: pd.DataFrame, ledger: _Ledger) -> pd.DataFrame:
    code, _ = pd.factorize(table[UNIQUE_ID], sort=True)
    table = table.iloc[np.argsort(code, kind="stable")] if (np.diff(code) < 0).any() else table
    back = (np.diff(np.sort(code)) == 0) & (np.diff(table[DS].to_numpy()) < np.timedelta64(0))
    ledger.note("sorted", table[UNIQUE_ID].iloc[1:][back], "put in order: rows that step back in time")
    if back.any():
        table = table.iloc[np.lexsort((table[DS].to_numpy(), np.sort(code)))]
    return table.reset_index(drop=True)


def _bounded(table: pd.DataFrame, series: Series, ledger: _Ledger) -> pd.DataFrame:
    y, bad = table[Y], pd.Series(False, index=table.index)
    if series.lower is not None:
        ledger.note("below_lower", table[UNIQUE_ID][y < series.lower], f"missing from now on: below {series.lower:g}")
        bad |= y < series.lower
    if series.upper is not None:
        ledger.note("above_upper", table[UNIQUE_ID][y > series.upper], f"missing from now on: above {series.upper:g}")
        bad |= y > series.upper
    return table.assign(**{Y: y.mask(bad)}) if bad.any() else table


def _gathered(table: pd.DataFrame, series: Series, ledger: _Ledger) -> pd.DataFrame:
    """One row per step; a step that may still go on has no reading yet. The bounds of sums and counts are theirs."""
    of_steps = series.aggregate in ("sum", "count")
    table = table if of_steps else _bounded(table, series, ledger)
    unfinished = open_readings(table, series)
    ledger.note("open_step", table[UNIQUE_ID][unfinished], f"left out: in a step of {series.freq} that is not over")
    steps = gather(table.assign(**{Y: table[Y].mask(unfinished)}), series)
    what = f"gathered into {len(steps)} steps of {series.freq}: {series.aggregate}"
    ledger.note("aggregated", table[UNIQUE_ID][table[Y].notna()], what)
    return _bounded(steps, series, ledger) if of_steps else steps


def _unique(table: pd.DataFrame, series: Series, ledger: _Ledger) -> pd.DataFrame:
    repeated = _repeated(table)
    if not repeated.any():
        return table
    policy = series.duplicates
    if policy != "sum":  # equal amounts are added, equal readings are one reading
        identical = table.duplicated()
        ledger.note("identical_rows", table[UNIQUE_ID][identical], "left out: rows that repeat another in every column")
        table = table[~identical].reset_index(drop=True)
        repeated = _repeated(table)
    if policy == "refuse" and repeated.any():
        sentence = f"{repeated.sum()} row(s) repeat a stamp of their series with other values"
        remedy = "set series.duplicates to mean, first, last or sum"
        raise DataError(f"{sentence}; {remedy}:", _keys(table[repeated]))
    ledger.note("duplicates", table[UNIQUE_ID][repeated], f"merged into one row per stamp: {policy}")
    if policy in ("first", "last"):
        return table.drop_duplicates(_KEY, keep=policy, ignore_index=True)
    return _merged(table, series)


def _repeated(table: pd.DataFrame) -> np.ndarray:
    """The rows whose key stood before, (rows,); `table` is sorted."""
    same_stamp = np.flatnonzero(np.diff(table[DS].to_numpy(), prepend=np.datetime64("NaT")) == np.timedelta64(0))
    ids = table[UNIQUE_ID]
    repeated = np.zeros(len(table), dtype=bool)
    repeated[same_stamp] = ids.take(same_stamp).to_numpy() == ids.take(same_stamp - 1).to_numpy()
    return repeated


def _merged(table: pd.DataFrame, series: Series) -> pd.DataFrame:
    groups = table.groupby(_KEY, sort=True)
    result: pd.DataFrame = groups.first()  # labels: the first one that is not missing
    numbers = [name for name in result.columns if pd.api.types.is_numeric_dtype(result[name])]
    result[numbers] = groups[numbers].mean()
    if series.duplicates == "sum":
        result[Y] = groups[Y].sum(min_count=1)
    return result.reset_index()[list(table.columns)]


def _settled(table: pd.DataFrame, series: Series, ledger: _Ledger) -> pd.DataFrame:
    """One value of every static covariate for all rows of a series: where it changes, the latest."""
    for name in series.static:
        groups = table.groupby(UNIQUE_ID)[name]
        counts = groups.nunique()
        changes = counts.index[counts > 1]
        ledger.note("static_changed", changes, f"series whose {name} changes: the latest value counts, for all rows")
        if len(changes):
            changed = table[UNIQUE_ID].isin(changes)
            table = table.assign(**{name: table[name].mask(changed, groups.transform("last"))})
    return table


def _long_enough(table: pd.DataFrame, series: Series, ledger: _Ledger) -> pd.DataFrame:
    readings = table.groupby(UNIQUE_ID)[Y].count()
    ahead = only_ahead(pd.factorize(table[UNIQUE_ID])[0], table[Y].isna().to_numpy(), table, series)
    nothing = readings.index[(readings == 0).to_numpy() & ~ahead]
    short = readings.index[(readings > 0) & (readings < series.min_length)]
    for decision, ids, why in (
        ("all_missing", nothing, "no reading"),
        ("too_short", short, f"fewer than {series.min_length} readings"),
    ):
        ledger.note(decision, ids, f"series left out: {why}")
        ledger.left_out |= dict.fromkeys(map(str, ids), why)
    gone = table[UNIQUE_ID].isin([*nothing, *short])
    return table[~gone].reset_index(drop=True) if gone.any() else table


def _trimmed(table: pd.DataFrame, series: Series, ledger: _Ledger) -> pd.DataFrame:
    missing = table[Y].isna().to_numpy()
    if not missing.any():
        return table
    code = pd.factorize(table[UNIQUE_ID])[0]
    leading, trailing = outside(code, missing)
    leading &= ~only_ahead(code, missing, table, series)[code]
    trailing &= ~known_ahead(table, series)
    moving = [*series.past, *series.future]
    empty = missing & ~leading & ~trailing & table[moving].isna().all(axis=1).to_numpy()
    ledger.note("leading_missing", table[UNIQUE_ID][leading], "left out: before the first reading")
    ledger.note("trailing_missing", table[UNIQUE_ID][trailing], "left out: after the last reading")
    ledger.note("empty_rows", table[UNIQUE_ID][empty], "left out: no reading and no covariate")
    kept: pd.DataFrame = table[~(leading | trailing | empty)]
    return kept.reset_index(drop=True)


def regular_grid(table: pd.DataFrame, series: Series) -> pd.DataFrame:
    """A clean table with a row for every step of `series.freq` from the first to the last stamp of each series.

    Added rows hold NaN, and the static covariates of their series. `gaps: fill` carries the last value forward
    (nothing later is ever looked at), up to the last reading of y; `gaps: refuse` raises DataError for a missing
    step or reading.
    """
    if table.empty:
        return table
    grid = Grid.around(table[DS], series.freq)
    index, phase = grid.locate(table[DS])
    code, names = pd.factorize(table[UNIQUE_ID])
    first = np.flatnonzero(np.diff(code, prepend=-1))
    _refuse_off_grid(table, (phase == OFF_GRID) | (phase != phase[first][code]), series)
    sizes = index[np.append(first[1:], len(table)) - 1] - index[first] + 1
    if sizes.sum() > len(table):
        begin = np.cumsum(sizes) - sizes  # where each series begins in the result
        row = np.full(sizes.sum(), -1)
        row[(begin - index[first])[code] + index] = np.arange(len(table))
        steps = np.arange(len(row)) - np.repeat(begin - index[first], sizes)
        code = np.repeat(np.arange(len(names)), sizes)
        table = _spread(table, row, first[code], series)
        table[UNIQUE_ID] = names.take(code)
        table[DS] = grid.stamps(steps, phase[first][code])
    return table if series.gaps == "mask" else _without_gaps(table, code, series)


def _refuse_off_grid(table: pd.DataFrame, off: np.ndarray, series: Series) -> None:
    if off.any():
        sentence = f"{off.sum()} stamp(s) are off the grid of {series.freq}; correct them or series.freq:"
        raise DataError(sentence, _keys(table[off]))


def _keys(table: pd.DataFrame) -> list[str]:
    """Examples of rows for a message."""
    shown = table.head(5)
    return [f"{name} at {ds}" for name, ds in zip(shown[UNIQUE_ID], shown[DS], strict=True)]


def _spread(table: pd.DataFrame, row: np.ndarray, first: np.ndarray, series: Series) -> pd.DataFrame:
    """Every column at the rows `row` of `table`, missing where that is -1; static ones as in the `first` row."""
    content = {name: table[name].array.take(row, allow_fill=True) for name in table.columns}
    if series.static:
        static = table.groupby(UNIQUE_ID, sort=False)[list(series.static)].transform("first")
        content |= {name: static[name].array.take(first) for name in series.static}
    return pd.DataFrame(content)


def _without_gaps(table: pd.DataFrame, code: np.ndarray, series: Series) -> pd.DataFrame:
    missing = table[Y].isna().to_numpy()
    ahead = outside(code, missing)[1]
    gap = missing & ~ahead
    if series.gaps == "refuse" and gap.any():
        sentence = f"{gap.sum()} step(s) of {series.freq} have no reading; set series.gaps to mask or fill:"
        raise DataError(sentence, _keys(table[gap]))
    if series.gaps == "fill":
        columns = [Y, *series.past, *series.future]
        table = table.assign(**{name: _carried_forward(table[name], code) for name in columns})
        table[Y] = table[Y].mask(ahead)
    return table


def _carried_forward(column: pd.Series, code: np.ndarray) -> pd.Series:
    """Every missing value becomes the last one before it in the same series."""
    if not column.isna().any():
        return column
    begins = np.diff(code, prepend=-1) != 0
    source = np.maximum.accumulate(np.where(column.notna() | begins, np.arange(len(column)), 0))
    return column.take(source).set_axis(column.index)
