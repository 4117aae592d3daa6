"""The page for people: forecasts, live accuracy, results of runs, versions, and a forecast of one's own file."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Final, TypeVar
from urllib.parse import quote

import anyio
import anyio.to_thread
import pandas as pd
from fastapi import APIRouter, Query, Request, Response

from forecasting.columns import UNIQUE_ID, VERSION
from forecasting.errors import RegistryError, StorageError
from forecasting.registry.versions import PREVIOUS
from forecasting.serve.errors import ServiceError
from forecasting.serve.keys import Scope
from forecasting.serve.logs import where
from forecasting.serve.pages.render import asset, html
from forecasting.serve.pages.scores import TITLES, accuracy, listed, report_of, results, runs, unusual
from forecasting.serve.pages.stored import Stored, alternatives_of, names_of, readings_of, stored
from forecasting.serve.pages.views import Notice, choices, chosen, example_stamps, forecast
from forecasting.serve.requests import ForecastQuery
from forecasting.serve.slot import Loaded, Slot
from forecasting.serve.state import State
from forecasting.storage.store import Store

__all__ = ["refused", "router"]

log = logging.getLogger("gatecast.serve")

router = APIRouter(include_in_schema=False)

_PATIENCE: Final = 0.8  # of the time that a request may take: how long a page waits for the registry
_MOVES: Final = 50  # of the audit of promotions
_FOR_EVER: Final = {"Cache-Control": "public, max-age=31536000, immutable", "Vary": "Accept-Encoding"}

Name = Annotated[str | None, Query(max_length=256)]
Chosen = Annotated[str, Query(max_length=256)]
Result = TypeVar("Result")
Content = dict[str, Any]


class _NothingError(Exception):
    """There is nothing to see, and this is why."""

    def __init__(self, status: int, notice: Notice) -> None:
        super().__init__(notice.title)
        self.status = status
        self.notice = notice


@router.get("/static/{digest}/{name}")
async def static(request: Request, digest: str, name: str) -> Response:
    """A file of the pages; its address changes with its content, so it is kept forever."""
    try:
        found = await anyio.to_thread.run_sync(asset, name)
    except KeyError:
        found = None
    if found is None or found.digest != digest:
        raise ServiceError(404, "not_found", "there is nothing under this address")
    if "gzip" in request.headers.get("accept-encoding", ""):
        headers = {**_FOR_EVER, "Content-Encoding": "gzip"}
        return Response(found.packed, media_type=found.media, headers=headers)
    return Response(found.body, media_type=found.media, headers=_FOR_EVER)


@router.get("/")
async def forecasts(request: Request, model: Name = None, series: Name = None, vintage: Name = None) -> Response:
    """A series, its forecast from the last reading on, and earlier forecasts against what came."""

    async def build(state: State, slot: Slot) -> Content:
        loaded = _loaded(slot)
        spec, store = loaded.forecaster.spec, Store(state.settings.home)
        kept = await anyio.to_thread.run_sync(stored, store, slot.name, spec, series)
        if not kept.names:
            text = f"Readings of {slot.name} appear here once they are stored. A file of your own can be forecast now."
            raise _NothingError(200, Notice("No readings are stored yet", text, "gatecast ingest CONFIG"))
        past = choices(kept.forecasts)
        picked = next((choice for choice in past if choice.value == vintage), None)
        problem, warnings = None, list[str]()
        try:
            if picked:
                made = chosen(kept.forecasts, picked)
            else:
                made, warnings = await _live(request, store, loaded, kept)
        except ServiceError as error:
            made = pd.DataFrame()
            problem = Notice("No forecast from the last reading on", error.message, "", error.details)
        version = int(made[VERSION].iloc[0]) if picked else loaded.version
        others = await anyio.to_thread.run_sync(alternatives_of, store, slot.name, made, version)
        events = await anyio.to_thread.run_sync(unusual, store, slot.name, kept.name)
        seen = await anyio.to_thread.run_sync(forecast, kept, made, others, events)
        found = {"kept": kept, "vintages": past, "picked": picked, "seen": seen, "problem": problem}
        return found | {"warnings": warnings, "others": list(others)}

    return await _page(request, "forecast", model, build)


@router.get("/accuracy")
async def scores(request: Request, model: Name = None, series: Name = None) -> Response:
    """Stored forecasts against the readings that came after them."""

    async def build(state: State, slot: Slot) -> Content:
        spec, store = _loaded(slot).forecaster.spec, Store(state.settings.home)
        names = await anyio.to_thread.run_sync(names_of, store, slot.name)
        if not names:
            text = "Forecasts are compared with the readings that come after them, and none are stored."
            raise _NothingError(200, Notice("No readings are stored yet", text, "gatecast ingest CONFIG"))
        one = series if series in names else None
        events = await anyio.to_thread.run_sync(unusual, store, slot.name, one)
        seen = await anyio.to_thread.run_sync(accuracy, store, slot.name, spec, one, events)
        return {"names": names, "series": one, "seen": seen, "events": listed(events)}

    return await _page(request, "accuracy", model, build)


@router.get("/results")
async def outcomes(request: Request, model: Name = None, run: Name = None) -> Response:
    """What the latest runs found: the verdict of the gate, and the leaderboard."""

    async def build(state: State, slot: Slot) -> Content:
        registry = state.catalog.registry
        latest = runs(await _registry(state, lambda: registry.versions.table(slot.name)))
        picked = next((choice for choice in latest if choice.value == run), latest[0])
        seen = await _registry(state, lambda: results(registry, picked.value))
        return {"runs": latest, "picked": picked, "seen": seen, "titles": TITLES}

    return await _page(request, "results", model, build)


@router.get("/results/report")
async def report(request: Request, model: Chosen, run: Chosen) -> Response:
    """The report of a run as a file to keep; opened here, its scripts would be forbidden."""
    state = State.of(request)
    state.allow(request, "read")
    slot, registry = state.slot(request, model), state.catalog.registry
    missing = ServiceError(404, "not_found", "this run left no report")
    try:
        latest = runs(await _registry(state, lambda: registry.versions.table(slot.name)))
        if run not in {choice.value for choice in latest}:
            raise missing
        text = await _registry(state, lambda: report_of(registry, run))
    except _NothingError as nothing:
        raise ServiceError(nothing.status, "unavailable", nothing.notice.title) from nothing
    if text is None:
        raise missing
    kept = {"Content-Disposition": f"attachment; filename*=UTF-8''{quote(slot.name, safe='')}-{run[:8]}.html"}
    return Response(text, media_type="text/html", headers=kept)


@router.get("/versions")
async def versions(request: Request, model: Name = None) -> Response:
    """All registered versions; who has a key with the scope admin may promote one, or roll back."""

    async def build(state: State, slot: Slot) -> Content:
        table = await _registry(state, lambda: state.catalog.registry.versions.table(slot.name))
        rows = [{**row, "aliases": row["aliases"].split(", ")} for row in table.to_dict("records")]
        metrics = [name for name in ("wql", "mae", "mase", "coverage") if name in table]
        previous = next((row["version"] for row in rows if PREVIOUS in row["aliases"]), None)
        admin = _may(request, "admin")
        registry = state.catalog.registry
        moves = await _registry(state, lambda: registry.aliases.history(slot.name)) if admin else []
        found = {"rows": rows, "previous": previous, "metrics": metrics, "titles": TITLES, "admin": admin}
        return found | {"runs": table["run_id"].nunique(), "moves": moves[:_MOVES]}

    return await _page(request, "versions", model, build)


@router.get("/upload")
async def upload(request: Request, model: Name = None) -> Response:
    """Where a file of one's own is chosen."""

    async def build(state: State, slot: Slot) -> Content:
        spec = _loaded(slot).forecaster.spec
        level = round(100 * (spec.wanted[-1] - spec.wanted[0]), 4) if len(spec.wanted) > 1 else 80.0
        return {
            "spec": spec,
            "compares": bool(spec.series.future),
            "covariates": spec.covariates,
            "level": level,
            "limits": state.serve,
            "stamps": example_stamps(spec.features.freq),
        }

    return await _page(request, "upload", model, build)


async def _live(request: Request, store: Store, loaded: Loaded, kept: Stored) -> tuple[pd.DataFrame, list[str]]:
    """The forecast from the last stored reading on, by the model that serves."""
    State.of(request).allow(request, "forecast")
    spec = loaded.forecaster.spec
    readings = await anyio.to_thread.run_sync(readings_of, store, loaded.name, spec, kept.name)
    query = ForecastQuery(readings, spec.horizon, spec.wanted, "columns")
    made, _, cautions = await loaded.answering.forecast(query)
    table = made.table()
    return table[table[UNIQUE_ID] == kept.name].reset_index(drop=True), [one.message for one in cautions]


async def _page(
    request: Request, view: str, name: str | None, build: Callable[[State, Slot], Awaitable[Content]]
) -> Response:
    """A whole page: what `build` says of the chosen model, or one helpful sentence where there is nothing to say."""
    state = State.of(request)
    try:
        state.allow(request, "read")
    except ServiceError as error:
        return await html("locked.html", {"view": view, "said": error.message, "locked": True})
    served = [slot.name for slot in state.slots(request)]
    frame: Content = {"view": view, "served": served, "slot": None, "locked": False, "keyed": not state.keys.open}
    try:
        slot = await _slot(request, name)
        frame["slot"] = slot
        content = await build(state, slot)
    except _NothingError as nothing:
        return await html("notice.html", {**frame, "notice": nothing.notice}, nothing.status)
    except ServiceError as error:
        notice = Notice("This cannot be shown", error.message, "", error.details)
        return await html("notice.html", {**frame, "notice": notice}, error.status)
    except Exception as error:  # noqa: BLE001 - a person gets a page, whatever went wrong
        log.error("page failed", extra={"request_id": request.state.request_id, **where(error)})
        status = 503 if isinstance(error, StorageError) else 500
        text = f"The log of the service says what went wrong, under the request id {request.state.request_id}."
        return await html("notice.html", {**frame, "notice": Notice("Something went wrong", text)}, status)
    return await html(f"{view}.html", {**frame, **content})


async def refused(error: ServiceError) -> Response:
    """A page in the place of one that a browser asked for, and that is not there or cannot be asked for like that."""
    notice = Notice("This cannot be shown", error.message, "", error.details)
    frame: Content = {"view": "", "served": [], "slot": None, "locked": False, "keyed": False}
    return await html("notice.html", {**frame, "notice": notice}, error.status)


async def _slot(request: Request, name: str | None) -> Slot:
    """The chosen model, by default the first one."""
    state = State.of(request)
    if name is not None:
        return state.slot(request, name)
    first = next(iter(state.slots(request)), None)
    if first is not None:
        return first
    await _registry(state, state.catalog.registry.versions.jobs)
    text = "A model appears here by itself, a few seconds after a run has promoted it. The first one takes minutes:"
    raise _NothingError(200, Notice("No model serves yet", text, "gatecast run configs/quickstart.yaml"))


def _loaded(slot: Slot) -> Loaded:
    if slot.current is None:
        text = f"No version of {slot.name} is open yet. The service keeps trying; reload this page in a moment."
        details = (slot.refusal,) if slot.refusal else ()
        raise _NothingError(503, Notice("This model is not ready", text, "", details))
    if not slot.current.forecaster.spec.wanted:
        text = f"{slot.name} forecasts symbols, and this page draws numbers. Ask it over /v1/forecast."
        raise _NothingError(200, Notice("Nothing to draw", text))
    return slot.current


def _may(request: Request, scope: Scope) -> bool:
    try:
        State.of(request).allow(request, scope)
    except ServiceError:
        return False
    return True


async def _registry(state: State, call: Callable[[], Result]) -> Result:
    """What the registry answers in time; where it does not, the page says so."""
    try:
        with anyio.fail_after(_PATIENCE * state.serve.timeout_seconds):
            return await anyio.to_thread.run_sync(call, abandon_on_cancel=True)
    except (TimeoutError, RegistryError) as error:
        text = "Models that are open go on answering without it. Try again in a moment."
        raise _NothingError(503, Notice("The model registry does not answer", text)) from error
