"""From a request that was understood to its forecasts: shared calls of the engine, large work off the event loop."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any, Final

import numpy as np
import pandas as pd

from forecasting.bundle.fast_path import Readings
from forecasting.bundle.forecasts import QuantileForecasts
from forecasting.bundle.quantile_forecaster import Latest, QuantileForecaster
from forecasting.bundle.spec import Spec
from forecasting.columns import DS, UNIQUE_ID
from forecasting.config.settings import ServeSettings
from forecasting.errors import DataError
from forecasting.runtime.processes import cores
from forecasting.series.frequency import Grid
from forecasting.series.validate import validate
from forecasting.series.windows import Batch, Windows
from forecasting.serve.answers import Answer
from forecasting.serve.batching import Batcher, BusyError
from forecasting.serve.errors import ServiceError, busy
from forecasting.serve.offload import Offload
from forecasting.serve.requests import ForecastQuery, ForecastRequest
from forecasting.serve.violations import sentences

__all__ = ["LARGE", "QuantileAnswering", "check_steps", "faults"]

_MOST_STEPS: Final = 1_000_000  # from the first stamp of each series to its last: what a gap may be filled to
_MANY: Final = 2_000  # rows, and
LARGE: Final = 20_000  # forecasts: work with more of them is done off the event loop
_CORES: Final = cores()
_NAMED: Final = 5  # series in a message
_FEW: Final = 8  # steps between stamps that may all be wide by chance


class QuantileAnswering:
    """A model of numbers: requests share calls of its engine, and large ones are prepared off the event loop."""

    def __init__(
        self,
        forecaster: QuantileForecaster,
        settings: ServeSettings,
        executor: Executor,
        offload: Offload,
        seen: Callable[[int, int], None],
    ) -> None:
        self._forecaster = forecaster
        self._offload = offload
        self.batcher = Batcher(
            forecaster.bundle.predictor.quantiles,
            executor,
            most=settings.batch_windows,
            wait=settings.batch_wait_ms / 1000,
            capacity=settings.queue,
            calls=_CORES if settings.batch_windows == 1 else 1,  # where none are shared, they run side by side
            seen=seen,
        )

    @property
    def full(self) -> bool:
        """Whether one more request would be refused."""
        return self.batcher.full

    async def forecast(self, query: ForecastQuery) -> Answer:
        """The forecasts of every series, cut to the steps asked for; see `Answering.forecast`."""
        large = len(query.readings.y) > _MANY
        latest, batch = await self._offload.run(lambda: _prepared(self._forecaster, query), large=large)
        try:
            read = await self.batcher.run(batch)
        except BusyError:
            raise busy() from None
        large = len(latest.windows) * self._forecaster.spec.horizon * len(query.quantiles) > LARGE
        return await self._offload.run(lambda: _finished(self._forecaster, latest, read, query), large=large)

    async def prompt(self, request: ForecastRequest) -> dict[str, Any]:  # noqa: ARG002 - the protocol's
        """Raises ServiceError 422: numbers follow no text."""
        text = "prompt, length, temperature and seed are for models of symbols; give a history"
        raise ServiceError(422, "invalid_request", "the request cannot be answered", [text])

    async def drained(self) -> None:
        """Return when nothing waits or runs any more."""
        await self.batcher.drained()


def _prepared(forecaster: QuantileForecaster, query: ForecastQuery) -> tuple[Latest, Batch]:
    _check_together(query.readings, forecaster.spec)
    with np.errstate(over="ignore", invalid="ignore"):  # checked: what is no number is no forecast
        latest = _latest(forecaster, query)
        return latest, _batch(forecaster, latest.windows)


def _finished(forecaster: QuantileForecaster, latest: Latest, read: np.ndarray, query: ForecastQuery) -> Answer:
    windows = latest.windows
    everything = np.arange(len(windows))
    with np.errstate(over="ignore", invalid="ignore"):
        base = forecaster.bundle.predictor.pick(read, windows, everything)
        values = forecaster.finish(base, windows, everything, query.quantiles)
    _check_finite(values)
    return Answer(*_in_order(windows, values, query), latest.cautions)


def _in_order(windows: Windows, values: np.ndarray, query: ForecastQuery) -> tuple[QuantileForecasts, list[str]]:
    """The forecasts in the order of the request, and the series that have none."""
    rows, stamps = windows.rows(np.arange(len(windows))), windows.panel.stamps
    names = windows.panel.unique_id[windows.panel.series_of(rows)]
    place = {name: row for row, name in enumerate(names)}
    wanted = dict.fromkeys(query.readings.unique_id)
    order = np.array([place[name] for name in wanted if name in place])
    steps = np.arange(1, query.steps + 1)
    found = QuantileForecasts(
        names[order],
        stamps[rows[order]],
        stamps[rows[order, None] + steps],
        values[order, : query.steps],
        query.quantiles,
    )
    return found, [name for name in wanted if name not in place]


def _batch(forecaster: QuantileForecaster, windows: Windows) -> Batch:
    """What the model reads of all windows: the windows, or the frames that their series stand in."""
    try:
        batch = forecaster.bundle.predictor.batch(windows, np.arange(len(windows)))
    except DataError as error:
        text = "this model reads its series together; these are others, or some are missing"
        raise ServiceError(422, "unusable_data", text) from error
    _check_finite(*batch.values())
    return batch


def _check_together(readings: Readings, spec: Spec) -> None:
    """Raises ServiceError 422 where a frame or a line is not whole: a cell that says nothing has rows without y."""
    if spec.layout is None:
        return
    cells, given = spec.layout.place_of, set(readings.unique_id)
    missing, strangers = [name for name in cells if name not in given], len(given - cells.keys())
    wrong = []
    if missing:
        some = ", ".join(missing[:_NAMED]) + (", …" if len(missing) > _NAMED else "")
        wrong.append(f"{len(missing)} of {len(cells)} series are missing: {some}; where one says nothing, y is null")
    if strangers:
        wrong.append(f"{strangers} series have no place in its layout")
    if wrong:
        raise ServiceError(422, "unusable_data", "this model reads its series together", wrong)


def _check_finite(*arrays: np.ndarray) -> None:
    if not all(np.isfinite(array).all() for array in arrays):
        raise ServiceError(422, "not_finite", "these readings give a forecast that is no finite number")


def _latest(forecaster: QuantileForecaster, query: ForecastQuery) -> Latest:
    spec = forecaster.spec
    try:
        return forecaster.latest(query.readings, steps=query.steps, guard=lambda table: check_steps(table, spec))
    except DataError as error:
        found = faults(query.readings.table(), spec, query.steps)
        raise ServiceError(422, "unusable_data", "the readings cannot be used", found) from error


def check_steps(table: pd.DataFrame, spec: Spec) -> None:
    """Raises ServiceError for stamps that span too much to be filled, and for those of a coarser frequency."""
    index, _ = Grid.around(table[DS], spec.series.freq).locate(table[DS])
    code, _ = pd.factorize(table[UNIQUE_ID])
    order = np.lexsort((index, code))
    index, apart = index[order], np.diff(index[order])[np.diff(code[order]) == 0]
    ends = np.flatnonzero(np.diff(code[order], append=-1))
    spans = index[ends] - index[np.append(0, ends[:-1] + 1)]
    if spans.sum() > _MOST_STEPS:
        fault = f"the stamps span {spans.sum()} steps of {spec.series.freq}, allowed are {_MOST_STEPS}"
        raise ServiceError(422, "unusable_data", "the readings cannot be used", [fault])
    apart = apart[apart > 0]
    common = int(np.gcd.reduce(apart)) if len(apart) >= _FEW else 1
    if common > 1:
        fault = f"all stamps lie {common} steps of {spec.series.freq} or a multiple apart; resample the history"
        raise ServiceError(422, "unusable_data", "the readings have another frequency than the model", [fault])


def faults(table: pd.DataFrame, spec: Spec, steps: int) -> list[str]:
    """Every violation, without the names and stamps that came."""
    report = validate(table, spec.series.model_copy(update={"min_length": 1}))
    found = sentences(report.errors)
    if not found and spec.features.future:
        ahead = ", ".join(spec.features.future)
        found.append(f"{ahead}: needed for each of the next {steps} steps of every series, in rows without y")
    return found or ["no series has a reading within the model's bounds"]
