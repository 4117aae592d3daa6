"""What the routes of one app share."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from fastapi import Request

from forecasting.bundle.forecasts import Forecasts
from forecasting.config.settings import ServeSettings, Settings
from forecasting.serve.catalog import Catalog
from forecasting.serve.errors import ServiceError, busy
from forecasting.serve.inference import LARGE
from forecasting.serve.intake import Intakes
from forecasting.serve.keys import Keys, Scope, key_in
from forecasting.serve.metrics import Metrics
from forecasting.serve.slot import Loaded, Slot

__all__ = ["State"]

_LARGE: Final = 65_536  # bytes of a body that are understood in a millisecond or two

Result = TypeVar("Result")


@dataclass
class State:
    """Settings, models, keys, counters and intakes of one app; `leaving` once it was told to end."""

    settings: Settings
    serve: ServeSettings
    catalog: Catalog
    keys: Keys
    metrics: Metrics
    intakes: Intakes
    leaving: bool = False
    orders: set[asyncio.Task[Any]] = field(default_factory=set)

    @classmethod
    def of(cls, request: Request) -> State:
        """The state of the app that a request came to."""
        found: State = request.app.state.gatecast
        return found

    @property
    def ready(self) -> bool:
        """Whether requests may be sent here."""
        return self.catalog.ready and not self.leaving

    def keep(self, order: asyncio.Task[Result]) -> asyncio.Task[Result]:
        """Hold on to work that goes on when its request has been answered; its exception is raised to any waiter."""
        self.orders.add(order)
        order.add_done_callback(self.orders.discard)
        order.add_done_callback(lambda done: done.cancelled() or done.exception())
        return order

    async def work(self, work: Callable[[], Result], *, body: bytes) -> Result:
        """What is made of a body, off the event loop where it is a large one."""
        return await self.catalog.offload.run(work, large=len(body) > _LARGE)

    async def write(self, write: Callable[[], Result], *found: Forecasts) -> Result:
        """What is written of forecasts, off the event loop where they are many."""
        return await self.catalog.offload.run(write, large=sum(one.ds.size for one in found) > LARGE)

    def allow(self, request: Request, scope: Scope) -> None:
        """Raises ServiceError 401 or 403 where the request's key does not allow that."""
        holder = self.keys.check(key_in(request.headers), scope)
        request.state.key, request.state.models = holder.name, holder.models

    def admit(self, model: Loaded) -> None:
        """Raises ServiceError 429 where too many requests wait, before work goes into one more."""
        if model.answering.full:
            raise busy()

    def slots(self, request: Request) -> list[Slot]:
        """The served models that exist for the key of a request, which was allowed before."""
        models = request.state.models
        return [slot for slot in self.catalog if models is None or slot.name in models]

    def slot(self, request: Request, name: str | None) -> Slot:
        """The served model of that name, or the only one; raises ServiceError 404 or 422 that says which there are."""
        found = {slot.name: slot for slot in self.slots(request)}
        if name is None and len(found) == 1:
            return next(iter(found.values()))
        if not found:
            raise ServiceError(404, "unknown_model", "no model is served yet; promote one with gatecast run")
        known = ", ".join(found)
        if name is None:
            raise ServiceError(422, "unknown_model", f"{len(found)} models are served; name one of them: {known}")
        if name not in found:
            raise ServiceError(404, "unknown_model", f"no model of that name is served; served are: {known}")
        return found[name]

    def model(self, request: Request, name: str | None) -> Loaded:
        """The model that answers under that name; raises ServiceError as `slot`, and 503 where none is open yet."""
        slot = self.slot(request, name)
        if slot.current is None:
            text = "no version of this model is open yet; try again in a moment"
            raise ServiceError(503, "not_ready", text, headers={"Retry-After": "5"})
        return slot.current
