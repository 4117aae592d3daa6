"""Models of symbols: histories of labels, or a text, in; what follows them out."""

from __future__ import annotations

from typing import Any, Final

import pandas as pd

from forecasting.bundle.forecasts import SymbolForecasts
from forecasting.bundle.generation import Sampling
from forecasting.bundle.symbol_forecaster import SymbolForecaster
from forecasting.columns import DS, PROBABILITY, UNIQUE_ID, UNKNOWN_READ, Y
from forecasting.config.settings import ServeSettings
from forecasting.errors import DataError
from forecasting.series.vocabulary import join_symbols, split_text
from forecasting.serve.answers import Answer
from forecasting.serve.errors import ServiceError
from forecasting.serve.inference import check_steps, faults
from forecasting.serve.offload import Offload
from forecasting.serve.requests import ForecastQuery, ForecastRequest

__all__ = ["SymbolAnswering"]

_READ: Final = 25_000_000  # symbols of a text times those of the vocabulary: 100 MB of logits
_HOT: Final = 100.0  # a temperature at which every symbol is as likely as any other
_PROMPT: Final = {"name", "prompt", "length", "temperature", "seed"}


class SymbolAnswering:
    """A model of symbols, which goes on step by step: every request is worked on by itself, off the event loop."""

    full = False

    def __init__(self, forecaster: SymbolForecaster, settings: ServeSettings, offload: Offload) -> None:
        self._forecaster = forecaster
        self._limits = settings
        self._offload = offload

    async def forecast(self, query: ForecastQuery) -> Answer:
        """What follows every series, as `gatecast forecast` continues it; see `Answering.forecast`."""
        found = await self._offload.run(lambda: _continued(self._forecaster, query, self._limits), large=True)
        return Answer(found, [], self._forecaster.cautions(found))

    async def prompt(self, request: ForecastRequest) -> dict[str, Any]:
        """What follows a text: as a text, as symbols and how probable each was.

        What is not given is as in the job. Raises ServiceError 422 that lists every violation.
        """
        return await self._offload.run(lambda: _prompted(self._forecaster, request, self._limits), large=True)

    async def drained(self) -> None:
        """Nothing waits here."""


def _continued(forecaster: SymbolForecaster, query: ForecastQuery, limits: ServeSettings) -> SymbolForecasts:
    ids, spec = query.readings.unique_id, forecaster.spec
    names = list(dict.fromkeys(ids))
    if len(names) * query.steps > limits.max_symbols:
        fault = f"{len(names)} series of {query.steps} steps, allowed are {limits.max_symbols} symbols together"
        raise ServiceError(422, "invalid_request", "the request cannot be answered", [fault])
    labels = pd.array(query.readings.y, dtype="str")
    table = pd.DataFrame({UNIQUE_ID: pd.array(ids, dtype="str"), DS: query.readings.ds, Y: labels})
    check_steps(table, spec)
    try:
        found = forecaster.continued(table, query.steps)
    except DataError as error:
        raise ServiceError(
            422, "unusable_data", "the labels cannot be used", faults(table, spec, query.steps)
        ) from error
    place = {name: row for row, name in enumerate(found.unique_id)}
    order = [place[name] for name in names]
    return SymbolForecasts(*(part[order] for part in found))


def _prompted(forecaster: SymbolForecaster, request: ForecastRequest, limits: ServeSettings) -> dict[str, Any]:
    own, codes, unit = forecaster.sampling, forecaster.symbols.vocabulary, forecaster.symbols.unit
    read = split_text(request.prompt or "", unit)
    length = request.length or forecaster.spec.horizon
    most = min(limits.max_symbols, _READ // codes.size)
    wrong = []
    if request.model_fields_set - _PROMPT:
        wrong.append(f"with a prompt there are no other keys than {', '.join(sorted(_PROMPT))}")
    if len(read) > most:
        wrong.append(f"prompt holds {len(read)} symbols, allowed are {most}")
    if length > limits.max_symbols:
        wrong.append(f"length is {length}, allowed are {limits.max_symbols} symbols")
    if not 0 <= (request.temperature or 0.0) <= _HOT:
        wrong.append(f"temperature must be between 0 and {_HOT:g}")
    if wrong:
        raise ServiceError(422, "invalid_request", "the request cannot be answered", wrong)
    temperature = own.temperature if request.temperature is None else request.temperature
    sampling = Sampling(temperature, own.seed if request.seed is None else request.seed, own.top)
    found = forecaster.generator.extend(read, length, sampling)
    return {
        "text": join_symbols(found.symbols, unit),
        "symbols": found.symbols.tolist(),
        PROBABILITY: found.probability.astype(float).tolist(),
        UNKNOWN_READ: int((codes.encode(read) == 0).sum()) if read else 0,
    }
