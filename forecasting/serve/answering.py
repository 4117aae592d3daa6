"""How a model answers requests: one protocol, and the one place that knows which kind answers how."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any, NamedTuple, Protocol

from forecasting.bundle.forecaster import Forecaster
from forecasting.bundle.quantile_forecaster import QuantileForecaster
from forecasting.bundle.symbol_forecaster import SymbolForecaster
from forecasting.config.settings import ServeSettings
from forecasting.serve.answers import Answer
from forecasting.serve.continuation import SymbolAnswering
from forecasting.serve.inference import QuantileAnswering
from forecasting.serve.offload import Offload
from forecasting.serve.requests import ForecastQuery, ForecastRequest

__all__ = ["Answering", "Machinery", "answering_of"]


class Answering(Protocol):
    """The way of one open model from a request that was understood to its forecasts."""

    @property
    def full(self) -> bool:
        """Whether one more request would be refused."""

    async def forecast(self, query: ForecastQuery) -> Answer:
        """The forecasts of every series, in the order in which they came, and what is to be said of them.

        Raises ServiceError 422 that lists every violation, 429 where too many requests wait.
        """

    async def prompt(self, request: ForecastRequest) -> dict[str, Any]:
        """What follows the prompt of a request; raises ServiceError 422 for a model that reads none."""

    async def drained(self) -> None:
        """Return when nothing waits or runs any more."""


class Machinery(NamedTuple):
    """What all models of a service share to answer."""

    settings: ServeSettings
    executor: Executor  # of the engine
    offload: Offload
    seen: Callable[[int, int], None]  # told of requests and windows of every call of the engine


def answering_of(forecaster: Forecaster, machinery: Machinery) -> Answering:
    """How this forecaster answers."""
    match forecaster:
        case SymbolForecaster():
            return SymbolAnswering(forecaster, machinery.settings, machinery.offload)
        case QuantileForecaster():
            return QuantileAnswering(
                forecaster, machinery.settings, machinery.executor, machinery.offload, machinery.seen
            )
        case _:
            raise TypeError(f"no way to answer with {type(forecaster).__name__}")
