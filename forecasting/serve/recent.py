"""How far back the service reads stored forecasts where nobody says so: a table that grows for years must not."""

from __future__ import annotations

from typing import Final

import pandas as pd

from forecasting.bundle.spec import Spec
from forecasting.series.frequency import offset_of
from forecasting.storage.store import Store

__all__ = ["since_when"]

_DAYS: Final = pd.Timedelta(days=30)
_STEPS: Final = 1000
_AGES: Final = pd.Timedelta(days=100_000)  # no stamp is older, and a calendar ends somewhere


def since_when(store: Store, job: str, spec: Spec | None) -> pd.Timestamp:
    """30 days before the newest cutoff, or 1,000 steps of the model's frequency where these are longer.

    Raises DataError where nothing was forecast.
    """
    last = store.forecasts.last_cutoff(job)
    if spec is None:
        return last - _DAYS
    offset = offset_of(spec.series.freq)
    step = (last - offset) - (last - 2 * offset)  # the step before the last may be a part of one
    return last - max(_DAYS, min(_STEPS * step, _AGES))
