"""What the store holds of one series: its readings, and the forecasts that were made of it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from forecasting.bundle.fast_path import Readings
from forecasting.bundle.spec import Spec
from forecasting.columns import CUTOFF, DS, SCENARIO, UNIQUE_ID, VERSION, Y
from forecasting.errors import DataError
from forecasting.serve.recent import since_when
from forecasting.storage.remarks import Remark, recall
from forecasting.storage.store import Store

__all__ = ["Stored", "alternatives_of", "names_of", "readings_of", "stored"]

_MOST = 20_000  # last rows of a series that a forecast is made from; no context is longer


class Stored(NamedTuple):
    """The series of a job, and the rows of the chosen one in order of time; no names where nothing is stored."""

    names: list[str]
    name: str
    readings: pd.DataFrame  # ds, y and covariates; rows after the last reading hold what is known ahead
    forecasts: pd.DataFrame  # cutoff, version, ds, step, q…; of the latest vintages
    remarks: tuple[Remark, ...] = ()  # on series without a usual forecast in the latest batch

    @property
    def remark(self) -> Remark | None:
        """What is to be said of the chosen series."""
        return next((one for one in self.remarks if one.unique_id == self.name), None)


def names_of(store: Store, job: str) -> list[str]:
    """All stored series, none where nothing is stored; it blocks."""
    try:
        return store.observations.series(job)
    except DataError:
        return []


def stored(store: Store, job: str, spec: Spec, wanted: str | None) -> Stored:
    """What is stored of the series `wanted`, or of the first one where it is unknown; it blocks."""
    names = names_of(store, job)
    if not names:
        return Stored([], "", pd.DataFrame(), pd.DataFrame())
    name = wanted if wanted in names else names[0]
    readings = store.observations.read(job, unique_id=name)
    try:
        made = store.forecasts.read(job, unique_id=name, since=since_when(store, job, spec))
        forecasts = made.sort_values([CUTOFF, VERSION, DS], ignore_index=True)
    except DataError:
        forecasts = pd.DataFrame()
    remarks = recall(store.workspace, job)
    return Stored(names, name, readings, forecasts, remarks.series if remarks else ())


def alternatives_of(store: Store, job: str, made: pd.DataFrame, version: int) -> dict[str, pd.DataFrame]:
    """The stored alternatives of a forecast, from the same cutoff by the same version, by their names; it blocks."""
    if made.empty:
        return {}
    name, cutoff = str(made[UNIQUE_ID].iloc[0]), pd.Timestamp(made[CUTOFF].iloc[0])
    found = store.alternatives.read(job, cutoff=cutoff, version=version, unique_id=name)
    return {str(key): table.sort_values(DS, ignore_index=True) for key, table in found.groupby(SCENARIO)}


def readings_of(store: Store, job: str, spec: Spec, name: str) -> Readings:
    """The stored readings that a forecast of this series needs: of a frame or a line, those of all series; blocks."""
    table = store.observations.read(job, unique_id=name if spec.layout is None else None)
    table = table.groupby(UNIQUE_ID, sort=False).tail(_MOST)
    return Readings(
        table[UNIQUE_ID].tolist(),
        table[DS].to_numpy(dtype="datetime64[us]"),
        table[Y].to_numpy(dtype=np.float64),
        {
            column: table[column].to_numpy(dtype=object if column in spec.labels else np.float64)
            for column in spec.covariates
        },
    )
