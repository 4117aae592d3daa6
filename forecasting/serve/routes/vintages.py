"""What is stored: series, their history, the forecasts that were made of them, and how these fared."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Annotated, Any, Final, TypeVar

import pandas as pd
from fastapi import APIRouter, Depends, Query, Request
from pydantic import AfterValidator, BeforeValidator

from forecasting.columns import BASE, CUTOFF, DS, SCENARIO, UNIQUE_ID, VERSION, Y
from forecasting.errors import DataError
from forecasting.monitor.live import By, live_scores
from forecasting.series.frequency import EARLIEST, LATEST
from forecasting.serve.errors import ServiceError
from forecasting.serve.openapi import answer, refusals
from forecasting.serve.recent import since_when
from forecasting.serve.responses import plain
from forecasting.serve.state import State
from forecasting.storage.remarks import recall
from forecasting.storage.store import Store

__all__ = ["router"]

router = APIRouter(prefix="/v1", tags=["vintages"])

_STAMP: Final = "2026-01-31T14:00:00"
_FORECAST: Final = {
    "unique_id": "a",
    "ds": "2026-01-31T15:00:00",
    "cutoff": _STAMP,
    "step": 1,
    "q0.5": 1.6,
    "model": "stacked",
    "version": 3,
    "scenario": "base",
}
_SCORE: Final = {"step": 1, "mae": 0.4, "wql": 0.08, "coverage": 0.81, "bias": -0.01, "count": 240}
_SERIES: Final = {"series": ["a"], "remarks": [{"unique_id": "b", "forecast": False, "reason": "no reading"}]}
_NOTHING: Final = refusals(404, 422, 504)


def _written(text: object) -> object:
    """What is written as a date; a bare number would be read as seconds since 1970."""
    if isinstance(text, str) and text.strip().lstrip("+-").replace(".", "", 1).isdigit():
        raise ValueError("must be a stamp in ISO 8601, such as 2026-01-31T14:00:00")
    return text


def _storable(stamp: datetime) -> datetime:
    if not EARLIEST.item().year <= stamp.year < LATEST.item().year:
        raise ValueError("must lie in the years 1700 to 2250")
    return stamp


Moment = Annotated[datetime, BeforeValidator(_written), AfterValidator(_storable)]
Name = Annotated[str, Query(max_length=64, description="A served model.", examples=["glucose"])]
Series = Annotated[str, Query(min_length=1, max_length=256, description="A series.", examples=["a"])]
Stamp = Annotated[Moment, Query(description="The last stamp that the forecast could see.", examples=[_STAMP])]
Since = Annotated[
    Moment,
    Query(
        description="Earlier cutoffs are left out; default: 30 days before the newest one, or 1,000 steps if longer.",
        examples=[_STAMP],
    ),
]
Scenario = Annotated[
    str, Query(min_length=1, max_length=64, description="An alternative of what is known ahead.", examples=["base"])
]
Version = Annotated[int, Query(ge=1, le=2**31, description="The version that forecast.", examples=[3])]
Result = TypeVar("Result")


def _rows(
    limit: Annotated[int, Query(ge=1, le=1000, description="Vintages on a page.", examples=[50])] = 50,
    offset: Annotated[int, Query(ge=0, le=2**31, description="Where the page begins.", examples=[0])] = 0,
) -> slice:
    return slice(offset, offset + limit)


def _origin(version: Version | None = None, scenario: Scenario = BASE) -> tuple[int | None, str]:
    return version, scenario


@router.get("/series/{name}", summary="Stored series", responses={200: answer(_SERIES), **_NOTHING})
async def series(request: Request, name: str) -> dict[str, Any]:
    """The names of all series that are stored for a model.

    `remarks` are on the latest stored forecasts: series without one, or with one that goes on from an old reading.
    """
    store, job = _store(request, name)
    names = await _read(lambda: store.observations.series(job))
    remarks = await _read(lambda: recall(store.workspace, job))
    return {"series": names, "remarks": [one.model_dump() for one in remarks.series] if remarks else []}


@router.get(
    "/history",
    summary="The last readings of a series",
    responses={200: answer({"history": [{"ds": _STAMP, "y": 1.0}]}), **_NOTHING},
)
async def history(
    request: Request,
    name: Name,
    unique_id: Series,
    n: Annotated[int, Query(ge=1, le=10_000, description="Readings.", examples=[200])] = 200,
) -> dict[str, Any]:
    """Stamps, readings and covariates up to the last reading, oldest first; a missing reading is null."""
    store, job = _store(request, name)
    table = await _read(lambda: store.observations.read(job, unique_id=unique_id))
    table = table.drop(columns=UNIQUE_ID).loc[: table[Y].last_valid_index() if len(table) else None]
    if table.empty or table[Y].isna().all():
        raise ServiceError(404, "unknown_series", "no readings of that series are stored")
    return {"history": plain(table.tail(n))}


@router.get(
    "/vintages",
    summary="Stored forecasts",
    responses={200: answer({"vintages": [_FORECAST], "total": 12, "next": 1, "scenarios": ["base"]}), **_NOTHING},
)
async def vintages(
    request: Request,
    name: Name,
    page: Annotated[slice, Depends(_rows)],
    origin: Annotated[tuple[int | None, str], Depends(_origin)],
    unique_id: Series | None = None,
    cutoff: Stamp | None = None,
    since: Since | None = None,
) -> dict[str, Any]:
    """A vintage is what one version forecast of one series at one cutoff: newest first, each with all of its steps.

    `base` are the forecasts from the stored values, which are scored; `scenario` asks for those of an alternative.
    `scenarios` lists what is stored. `total` counts vintages; `next` is the offset of the next page, null on the last
    one.
    """
    store, job = _store(request, name)
    begin = await _begin(request, name, since)
    at, (version, scenario) = None if cutoff is None else _utc(cutoff), origin
    wanted = {"cutoff": at, "since": begin if at is None else None, "version": version, "unique_id": unique_id}
    read = partial(store.forecasts.read, job) if scenario == BASE else partial(store.alternatives.read, job, scenario)
    rows, total = await _read(lambda: _page(read, wanted, page))
    names = await _read(lambda: [BASE, *store.alternatives.names(job, unique_id)])
    shown = plain(rows.assign(**{SCENARIO: scenario}))
    return {"vintages": shown, "total": total, "next": page.stop if page.stop < total else None, "scenarios": names}


@router.get("/scores", summary="Live accuracy", responses={200: answer({"scores": [_SCORE]}), **_NOTHING})
async def scores(
    request: Request,
    name: Name,
    by: Annotated[By | None, Query(description="One row per step, day of the cutoff, or version.")] = None,
    unique_id: Series | None = None,
    since: Since | None = None,
) -> dict[str, Any]:
    """Stored forecasts against the readings that came after them; without rows where none has come yet."""
    store, job = _store(request, name)
    begin = await _begin(request, name, since)
    return {"scores": plain(await _read(lambda: live_scores(store, job, by, since=begin, unique_id=unique_id)))}


def _store(request: Request, name: str) -> tuple[Store, str]:
    """The tables of this home, and the served name: no other one reaches them."""
    state = State.of(request)
    state.allow(request, "read")
    return Store(state.settings.home), state.slot(request, name).name


async def _begin(request: Request, name: str, since: datetime | None) -> pd.Timestamp:
    """From which cutoff on forecasts are read."""
    if since is not None:
        return _utc(since)
    (store, job), slot = _store(request, name), State.of(request).slot(request, name)
    spec = slot.current.forecaster.spec if slot.current else None
    return await _read(lambda: since_when(store, job, spec))


async def _read(call: Callable[[], Result]) -> Result:
    """What the tables hold, read without holding up anybody; raises ServiceError 404 where they hold nothing."""
    try:
        return await asyncio.to_thread(call)
    except DataError as error:
        raise ServiceError(404, "nothing_stored", str(error)) from None


def _page(read: Callable[..., pd.DataFrame], wanted: dict[str, Any], page: slice) -> tuple[pd.DataFrame, int]:
    """The forecasts of some vintages, and how many vintages there are; only those of the page are read in full."""
    key = [CUTOFF, VERSION, UNIQUE_ID]
    keys = read(**wanted, columns=[])[key].drop_duplicates()
    keys = keys.sort_values(key, ascending=[False, False, True])
    chosen = keys.iloc[page]
    if chosen.empty:
        return pd.DataFrame(), len(keys)
    rows = read(**{**wanted, "since": None, "cutoff": list(chosen[CUTOFF].unique())})
    found = chosen.merge(rows.sort_values(DS, kind="stable"), on=key, how="left")
    return found[rows.columns], len(keys)


def _utc(stamp: datetime) -> pd.Timestamp:
    """As stamps are stored: UTC, without saying so."""
    found = pd.Timestamp(stamp)
    return found if found.tzinfo is None else found.tz_convert("UTC").tz_localize(None)
