"""From a request that was understood to its forecasts: the narrow door where it fits, the careful way where not."""

from __future__ import annotations

import numpy as np

from forecasting.bundle.forecaster import Forecaster, Forecasts
from forecasting.bundle.online import Readings, panel_of
from forecasting.columns import UNIQUE_ID
from forecasting.errors import DataError
from forecasting.series.validate import validate
from forecasting.series.window import Windows, at_rows
from forecasting.serve.batching import BusyError
from forecasting.serve.errors import ServiceError
from forecasting.serve.requests import Asked
from forecasting.serve.slot import Loaded

__all__ = ["forecast"]


async def forecast(model: Loaded, asked: Asked) -> Forecasts:
    """The forecasts of every series, in the order in which they came, cut to the steps asked for.

    Raises ServiceError 422 that lists every violation, 429 where too many requests wait.
    """
    windows = _windows(model.forecaster, asked.readings)
    everything = np.arange(len(windows))
    try:
        base = await model.batcher.run(windows.batch(everything))
    except BusyError:
        text = "too many requests wait for this model; try again in a moment"
        raise ServiceError(429, "overloaded", text, headers={"Retry-After": "1"}) from None
    values = model.forecaster.finish(base, windows, everything, asked.quantiles)
    if not np.isfinite(values).all():
        raise ServiceError(422, "not_finite", "these readings give a forecast that is no finite number")
    rows = windows.rows(everything)
    stamps = windows.panel.stamps
    return Forecasts(
        windows.panel.unique_id[windows.panel.series_of(rows)],
        stamps[rows],
        stamps[rows[:, None] + np.arange(1, asked.steps + 1)],
        values[:, : asked.steps],
        asked.quantiles,
    )


def _windows(forecaster: Forecaster, readings: Readings) -> Windows:
    spec = forecaster.spec
    panel = panel_of(readings, spec)
    if panel is not None:
        return at_rows(panel, panel.offsets[1:] - spec.horizon - 1, context=spec.context, horizon=spec.horizon)
    try:
        return forecaster.latest(readings.table())
    except DataError as error:
        raise ServiceError(
            422, "unusable_data", "the readings cannot be used", _faults(forecaster, readings)
        ) from error


def _faults(forecaster: Forecaster, readings: Readings) -> list[str]:
    """Every violation, without the names and stamps that came."""
    table = readings.table()
    report = validate(table, forecaster.spec.series.model_copy(update={"min_length": 1}))
    faults = [
        f"{violation.rule}: {violation.count} row(s), e.g. row {', '.join(map(str, violation.rows[:5]))}"
        if violation.rows
        else f"{violation.rule}: {violation.count}"
        for violation in report.errors
    ]
    ahead = forecaster.spec.features.future
    if not faults and ahead:
        faults.append(
            f"{', '.join(ahead)}: needed for each of the next {forecaster.spec.horizon} steps of every series"
        )
    return faults or [f"no usable reading in any of the {table[UNIQUE_ID].nunique()} series"]
