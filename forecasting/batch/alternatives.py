"""Scenarios: alternative values of known-ahead covariates replace the stored ones after the last reading."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from forecasting.batch.histories import Histories
from forecasting.batch.part_files import Failure, Made
from forecasting.batch.plan import Alternative, Plan
from forecasting.bundle.cautions import Caution, merged, of_series
from forecasting.bundle.spec import Spec
from forecasting.columns import BASE, DS, UNIQUE_ID, Y
from forecasting.config.job import Job
from forecasting.errors import ConfigError, DataError
from forecasting.series.clean import clean
from forecasting.series.frequency import offset_of
from forecasting.series.validate import validate
from forecasting.storage.ingestion import any_length
from forecasting.storage.store import Store

__all__ = ["MOST", "Changed", "alternative_of", "check_names", "with_alternative"]

MOST: Final = 20  # alternatives at once
_KEYS: Final = [UNIQUE_ID, DS]
_NAME: Final = re.compile(r"[\w][\w .+-]{0,63}")


def check_names(names: list[str]) -> None:
    """Raise ConfigError that lists every name that no alternative can have, and for too many of them."""
    faults = [
        f"{name!r}: a name has up to 64 letters, digits, blanks, and . _ + -"
        for name in names
        if not _NAME.fullmatch(name)
    ]
    if BASE in names:
        faults.append(f"{BASE} is the forecast from the stored values: ingest them, and give alternatives other names")
    if len(set(names)) < len(names):
        faults.append("two alternatives have one name")
    if len(names) > MOST:
        faults.append(f"{len(names)} alternatives, allowed are {MOST}")
    if faults:
        raise ConfigError("these alternatives cannot be forecast:", faults)


def alternative_of(store: Store, job: Job, name: str, table: pd.DataFrame) -> Alternative:
    """Values known ahead, checked and cleaned like ingested ones; without `unique_id` they are those of every series.

    Raises DataError that lists every violation.
    """
    given = tuple(column for column in job.series.future if column in table)
    if UNIQUE_ID not in table:
        names = pd.DataFrame({UNIQUE_ID: pd.array(store.observations.series(job.name), dtype="str")})
        table = names.merge(table, how="cross")
    labels = tuple(column for column in job.series.categorical if column in given)
    series = any_length(job.series).model_copy(
        update={"past": (), "static": (), "future": given, "categorical": labels, "symbolic": False}
    )
    whole = table.assign(**{Y: np.nan})[[*_KEYS, Y, *given]]
    try:
        if infinite := [column for column in given if column not in labels and np.isinf(whole[column]).any()]:
            raise DataError(f"{', '.join(infinite)} has infinite values")
        validate(whole, series).raise_for_errors()
        return Alternative(name, clean(whole, series).table.drop(columns=Y))
    except DataError as error:
        raise DataError(f"the alternative {name} cannot be used:", [str(error)]) from error


class Changed(NamedTuple):
    """The histories of the series that an alternative names, the series that it says nothing of, and warnings."""

    histories: Histories
    failures: tuple[Failure, ...]
    cautions: tuple[Caution, ...]

    def beside(self, made: Made) -> Made:
        """The forecasts with these failures and warnings."""
        failures = sorted((*made.failures, *self.failures), key=lambda one: one.unique_id)
        return Made(made.table, tuple(failures), merged((*made.cautions, *self.cautions)))


def with_alternative(histories: Histories, plan: Plan, spec: Spec) -> Changed:
    """The histories of a shard with the values of the plan's alternative after the last reading of each series.

    A value that the alternative lacks stays as stored. Series that it does not name are left out, unless the model
    reads all of them together.
    """
    table = histories.others
    ends = table[table[Y].notna()].groupby(UNIQUE_ID)[DS].max()
    given = pq.read_table(plan.ahead, filters=[(UNIQUE_ID, "in", list(ends.index))]).to_pandas()
    later = given[given[DS] > given[UNIQUE_ID].map(ends)]
    named, used = set(given[UNIQUE_ID]), set(later[UNIQUE_ID])
    reason = f"{plan.alternative} gives nothing after the last reading"
    failures = tuple(Failure(unique_id=name, reason=reason) for name in sorted(named - used))
    kept = table if spec.layout is not None else table[table[UNIQUE_ID].isin(used)]
    both = _replaced(kept, later, spec)
    cautions = _left_as_stored(both, later, ends, spec, plan.horizon or spec.horizon)
    return Changed(histories._replace(others=both), failures, tuple(cautions))


def _replaced(table: pd.DataFrame, later: pd.DataFrame, spec: Spec) -> pd.DataFrame:
    """The table with every value of `later`, in rows of their own where there are none."""
    both = later.set_index(_KEYS).combine_first(table.set_index(_KEYS)).reset_index()
    static = list(spec.series.static)
    if static:
        both[static] = both.groupby(UNIQUE_ID, sort=False)[static].ffill()
    return both[table.columns].sort_values(_KEYS, kind="stable", ignore_index=True)


def _left_as_stored(both: pd.DataFrame, later: pd.DataFrame, ends: pd.Series, spec: Spec, steps: int) -> list[Caution]:
    """The warning on series for which an alternative gives a column at some of the next steps, and not at others."""
    offset = offset_of(spec.features.freq)
    until = both[UNIQUE_ID].map(ends.map({end: end + steps * offset for end in ends.unique()}))
    ahead = both[(both[DS] > both[UNIQUE_ID].map(ends)) & (both[DS] <= until)]
    given = ahead[_KEYS].merge(later, on=_KEYS, how="left")
    found = []
    for name in (name for name in spec.series.future if name in later):
        lacks = pd.Series(given[name].isna().to_numpy() & ahead[name].notna().to_numpy(), index=given[UNIQUE_ID])
        some = lacks.groupby(level=0).any()
        if some.any():
            what = f"have no {name} at some of the next {steps} steps in this alternative, where the stored one counts"
            found.append(of_series("as_stored", what, [str(one) for one in some.index[some]]))
    return found
