"""The page for people: forecasts, live accuracy, results of runs, versions, and a forecast of one's own file."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Final, TypeVar

import anyio
import anyio.to_thread
import pandas as pd
from fastapi import APIRouter, Query, Request, Response

from forecasting.bundle.forecasts import Forecasts
from forecasting.columns import DS, UNIQUE_ID, Y
from forecasting.errors import RegistryError, StorageError
from forecasting.registry.versions import PREVIOUS
from forecasting.serve.bodies import content_type, parse_as
from forecasting.serve.errors import ServiceError
from forecasting.serve.keys import Scope
from forecasting.serve.logs import where
from forecasting.serve.pages.charts import forecast_chart
from forecasting.serve.pages.render import address, asset, render
from forecasting.serve.pages.scores import TITLES, accuracy, results, runs
from forecasting.serve.pages.stored import Stored, names_of, readings_of, stored
from forecasting.serve.pages.upload import columns_of_csv, header_of_csv, wanted_columns
from forecasting.serve.pages.views import Notice, choices, chosen, example_stamps, forecast, table_of
from forecasting.serve.requests import ForecastQuery, ForecastRequest, query_of
from forecasting.serve.slot import Loaded, Slot
from forecasting.serve.state import State
from forecasting.storage.store import Store

__all__ = ["refused", "router"]

log = logging.getLogger("gatecast.serve")

router = APIRouter(include_in_schema=False)

_PATIENCE: Final = 0.8  # of the time that a request may take: how long a page waits for the registry
_DRAWN: Final = 6  # series of an uploaded file
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
_MOVES: Final = 50  # of the audit of promotions
_LISTED: Final = 240  # rows of its forecast
_FOR_EVER: Final = {"Cache-Control": "public, max-age=31536000, immutable", "Vary": "Accept-Encoding"}

Name = Annotated[str | None, Query(max_length=256)]
# of each wanted column, in their order, its place in the file; nothing between commas where the file lacks it
Columns = Annotated[str | None, Query(max_length=20_000, pattern=r"^\d{0,5}(,\d{0,5})*$")]
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
        seen = await anyio.to_thread.run_sync(forecast, kept, made)
        found = {"kept": kept, "vintages": past, "picked": picked, "seen": seen, "problem": problem}
        return found | {"warnings": warnings}

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
        seen = await anyio.to_thread.run_sync(accuracy, store, slot.name, spec, one)
        return {"names": names, "series": one, "seen": seen}

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
            "covariates": spec.covariates,
            "level": level,
            "limits": state.serve,
            "stamps": example_stamps(spec.features.freq),
        }

    return await _page(request, "upload", model, build)


@router.post("/upload/columns")
async def map_columns(request: Request, model: Name = None) -> Response:
    """Which column of a CSV file, whose header is the body, stands for which of the model's: a part of the form."""
    loaded = _sender(request, model)
    spec, body = loaded.forecaster.spec, await request.body()
    header, places = await State.of(request).work(lambda: header_of_csv(body, spec), body=body)
    rows = list(zip(wanted_columns(spec), places, strict=True))
    return await _html("columns.html", {"header": header, "rows": rows})


@router.post("/upload")
async def forecast_file(
    request: Request, model: Name = None, h: int | None = None, level: float = 80.0, columns: Columns = None
) -> Response:
    """The forecast of a CSV file that is the body: a part of a page, with charts, a table and the numbers as CSV."""
    state, loaded = State.of(request), _sender(request, model)
    state.admit(loaded)
    spec, body = loaded.forecaster.spec, await request.body()
    places = None if columns is None else [int(place) if place else None for place in columns.split(",")]

    def read() -> ForecastQuery:
        table = columns_of_csv(body, spec, most=state.serve.max_rows, places=places)
        content = {"columns": table, "h": h, "level": [level]}
        return query_of(parse_as(ForecastRequest, content), spec, state.serve)

    query = await state.work(read, body=body)
    made, skipped, cautions = await loaded.answering.forecast(query)
    content = await anyio.to_thread.run_sync(_answer, query, made)
    warnings = [one.message for one in cautions]
    return await _html("answer.html", {**content, "skipped": skipped, "warnings": warnings, "loaded": loaded})


def _sender(request: Request, model: str | None) -> Loaded:
    """The model that somebody sends a CSV file to, who may; raises ServiceError."""
    state = State.of(request)
    state.allow(request, "forecast")
    if content_type(request) != "text/csv":
        raise ServiceError(415, "wrong_content_type", "send a CSV file as text/csv")
    return state.model(request, model)


def _answer(query: ForecastQuery, made: Forecasts) -> Content:
    table, readings = made.table(), query.readings.table()
    names = list(dict.fromkeys(table[UNIQUE_ID]))
    charts = [
        (name, forecast_chart(_known(readings, name), table[table[UNIQUE_ID] == name])) for name in names[:_DRAWN]
    ]
    columns, rows = table_of(table.head(_LISTED))
    named = zip(table[UNIQUE_ID].head(_LISTED), rows, strict=True)
    return {
        "charts": charts,
        "series": len(names),
        "columns": ["Series", *columns],
        "rows": [[name, *row] for name, row in named],
        "total": len(table),
        "csv": _spreadsheet(table).to_csv(index=False),
    }


def _spreadsheet(table: pd.DataFrame) -> pd.DataFrame:
    """The same for a program that runs cells which begin like a formula: those get an apostrophe, and stay texts."""
    names = table[UNIQUE_ID].astype("str")
    return table.assign(**{UNIQUE_ID: names.where(~names.str.startswith(_FORMULA), "'" + names)})


def _known(readings: pd.DataFrame, name: str) -> pd.DataFrame:
    return readings[readings[UNIQUE_ID] == name].dropna(subset=[Y]).sort_values(DS)


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
        return await _html("locked.html", {"view": view, "said": error.message, "locked": True})
    served = [slot.name for slot in state.slots(request)]
    frame: Content = {"view": view, "served": served, "slot": None, "locked": False, "keyed": not state.keys.open}
    try:
        slot = await _slot(request, name)
        frame["slot"] = slot
        content = await build(state, slot)
    except _NothingError as nothing:
        return await _html("notice.html", {**frame, "notice": nothing.notice}, nothing.status)
    except ServiceError as error:
        notice = Notice("This cannot be shown", error.message, "", error.details)
        return await _html("notice.html", {**frame, "notice": notice}, error.status)
    except Exception as error:  # noqa: BLE001 - a person gets a page, whatever went wrong
        log.error("page failed", extra={"request_id": request.state.request_id, **where(error)})
        status = 503 if isinstance(error, StorageError) else 500
        text = f"The log of the service says what went wrong, under the request id {request.state.request_id}."
        return await _html("notice.html", {**frame, "notice": Notice("Something went wrong", text)}, status)
    return await _html(f"{view}.html", {**frame, **content})


async def refused(error: ServiceError) -> Response:
    """A page in the place of one that a browser asked for, and that is not there or cannot be asked for like that."""
    notice = Notice("This cannot be shown", error.message, "", error.details)
    frame: Content = {"view": "", "served": [], "slot": None, "locked": False, "keyed": False}
    return await _html("notice.html", {**frame, "notice": notice}, error.status)


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


async def _html(template: str, content: Content, status: int = 200) -> Response:
    whole = {"plotly": address("plotly-basic.min.js"), **content}
    text = await anyio.to_thread.run_sync(render, template, whole)
    return Response(text, status, media_type="text/html")
