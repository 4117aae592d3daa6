"""The served models, their registered versions, and which one answers."""

from __future__ import annotations

import asyncio
import errno
import logging
from collections.abc import Callable
from typing import Any, Final, TypeVar

import numpy as np
from fastapi import APIRouter, Request, Response
from pydantic import Field

from forecasting.errors import (
    GatecastError,
    LockedError,
    PermissionDeniedError,
    RefusedVersionError,
    UnknownVersionError,
)
from forecasting.registry.aliases import Cause
from forecasting.serve.bodies import Document, json_body, parse_as, parse_json
from forecasting.serve.errors import ServiceError
from forecasting.serve.openapi import answer, body, refusals
from forecasting.serve.responses import origin_of, plain
from forecasting.serve.slot import Slot
from forecasting.serve.state import State

__all__ = ["router"]

log = logging.getLogger("gatecast.audit")

router = APIRouter(prefix="/v1/models", tags=["models"])

_MODEL: Final = {
    "name": "glucose",
    "version": 3,
    "kind": "stacked",
    "baseline": False,
    "coverage": {"80": 0.81},
    "horizon": 24,
    "context": 96,
    "freq": "h",
    "quantiles": [0.1, 0.5, 0.9],
    "covariates": {"past": [], "future": ["holiday"], "static": []},
    "symbols": None,
    "since": "2026-01-31T14:00:00+00:00",
    "wanted": "champion",
    "refusal": None,
}
_VERSION: Final = {
    "version": 3,
    "aliases": ["champion"],
    "model": "stacked",
    "verdict": "passed",
    "created": "2026-01-31T13:59:00",
    "run_id": "0af3",
    "metrics": {"wql": 0.12, "mae": 1.4},
}
_MOVE: Final = {
    "at": "2026-01-31T13:59:00.000000Z",
    "what": "promote",
    "version": 3,
    "before": 2,
    "by": "key ops",
    "from": "10.0.0.7",
    "why": "better on holidays",
}
_DOWN: Final = refusals(404, 503)
_GOES_ON: Final = answer(_MODEL, description="It takes longer, and goes on: what still answers")
_SEALED: Final = (errno.EROFS, errno.EACCES, errno.EPERM)  # locks in a home that may only be read
_LOCK, _PATIENCE = 0.5, 0.8  # of the time that a request may take: for the lock of the aliases, and for all

Result = TypeVar("Result")


class Promotion(Document):
    """The version that is to be champion."""

    version: int = Field(ge=1, le=2**31)
    force: bool = Field(False, description="Even if the gate refused it; needs `why`.")
    why: str = Field("", max_length=1000, description="The reason, for the audit.")


@router.get("", summary="The served models", responses={200: answer({"models": [_MODEL]}), **refusals()})
async def models(request: Request) -> dict[str, Any]:
    """Every served name with the version that answers; `refusal` says why a newer one does not."""
    state = State.of(request)
    state.allow(request, "read")
    return {"models": [_described(state, slot) for slot in state.slots(request)]}


@router.get(
    "/{name}/versions", summary="Registered versions", responses={200: answer({"versions": [_VERSION]}), **_DOWN}
)
async def versions(request: Request, name: str) -> dict[str, Any]:
    """All versions in the registry, newest first, with their aliases, metrics and verdicts."""
    state = State.of(request)
    state.allow(request, "read")
    slot = state.slot(request, name)
    table = await _registry(lambda: state.catalog.registry.versions.table(slot.name))
    facts = ["version", "model", "verdict", "created", "run_id"]
    rows = plain(table.drop(columns="aliases"))
    return {
        "versions": [
            {
                **{fact: row.pop(fact) for fact in facts},
                "aliases": aliases.split(", ") if aliases else [],
                "metrics": {metric: value for metric, value in row.items() if value is not None},
            }
            for row, aliases in zip(rows, table["aliases"], strict=True)
        ]
    }


@router.get(
    "/{name}/promotions", summary="The audit of promotions", responses={200: answer({"promotions": [_MOVE]}), **_DOWN}
)
async def promotions(request: Request, name: str) -> dict[str, Any]:
    """Who made which version the champion, when, from where, and why, newest first; needs the scope admin."""
    state = State.of(request)
    state.allow(request, "admin")
    slot = state.slot(request, name)
    return {"promotions": await _registry(lambda: state.catalog.registry.aliases.history(slot.name))}


@router.post("/{name}/reload", summary="Look at the registry now", responses={200: answer(_MODEL), **_DOWN})
async def reload(request: Request, name: str) -> dict[str, Any]:
    """Take the version that the registry names, even if it was refused before; needs the scope admin."""
    state = State.of(request)
    state.allow(request, "admin")
    slot = state.slot(request, name)
    await _registry(lambda: state.catalog.registry.versions.get(slot.name, slot.wanted))
    return await _looked(state, slot)


@router.post(
    "/{name}/promote",
    summary="Make a version the champion",
    openapi_extra=body(Promotion, promote={"version": 3}),
    responses={200: answer(_MODEL), 202: _GOES_ON, **refusals(400, 404, 415, 422, 503)},
)
async def promote(request: Request, response: Response, name: str) -> dict[str, Any]:
    """The alias moves and the service follows at once; needs the scope admin.

    Where the version cannot be used the old one goes on answering, and `refusal` says why. 202 where that takes longer
    than a request may: it goes on, and `/versions` will tell.
    """
    state = State.of(request)
    state.allow(request, "admin")
    slot = state.slot(request, name)
    wanted = parse_as(Promotion, parse_json(await json_body(request)))
    cause = _cause(request, wanted.why, force=wanted.force)
    registry, patience = state.catalog.registry, _LOCK * state.serve.timeout_seconds
    return await _ordered(
        request,
        slot,
        response,
        "promotion",
        lambda: registry.aliases.promote(slot.name, wanted.version, cause=cause, patience=patience),
    )


@router.post(
    "/{name}/rollback",
    summary="Put the previous champion back",
    responses={200: answer(_MODEL), 202: _GOES_ON, **_DOWN},
)
async def rollback(request: Request, response: Response, name: str) -> dict[str, Any]:
    """The alias moves and the service follows at once, or later as in a promotion; needs the scope admin."""
    state = State.of(request)
    state.allow(request, "admin")
    slot = state.slot(request, name)
    registry, patience = state.catalog.registry, _LOCK * state.serve.timeout_seconds
    cause = _cause(request)
    return await _ordered(
        request,
        slot,
        response,
        "rollback",
        lambda: registry.aliases.rollback(slot.name, cause=cause, patience=patience),
    )


async def _ordered(
    request: Request, slot: Slot, response: Response, kind: str, order: Callable[[], object]
) -> dict[str, Any]:
    """Move aliases and follow. An order is carried out, whether somebody waits for it or not; who gave it is logged."""
    state = State.of(request)

    before = slot.current.version if slot.current else None

    async def carry_out() -> dict[str, Any]:
        await _registry(order)
        told = await _looked(state, slot)
        log.info(kind, extra={**_origin(request), "model": slot.name, "before": before, "version": told["version"]})
        return told

    work = state.keep(asyncio.create_task(carry_out()))
    done, _ = await asyncio.wait({work}, timeout=_PATIENCE * state.serve.timeout_seconds)
    if done:
        return work.result()
    response.status_code = 202
    return _described(state, slot)


def _cause(request: Request, why: str = "", *, force: bool = False) -> Cause:
    """Who gives an order, for the audit: the name of the key, and the address."""
    asked = _origin(request)
    return Cause(why, by=f"key {asked['key']}" if asked["key"] else "", address=asked["address"], force=force)


def _origin(request: Request) -> dict[str, Any]:
    """Who asks, from where, and under which id the access log knows it."""
    address = request.client.host if request.client else ""
    return {"request_id": request.state.request_id, "key": request.state.key, "address": address}


async def _looked(state: State, slot: Slot) -> dict[str, Any]:
    await state.catalog.look(slot.name, again=True)
    return _described(state, slot)


async def _registry(call: Callable[[], Result]) -> Result:
    """What the registry answers, without holding up anybody; raises ServiceError 404 or 503."""
    try:
        return await asyncio.to_thread(call)
    except UnknownVersionError as error:
        raise ServiceError(404, "unknown_version", str(error)) from None
    except RefusedVersionError as error:
        hint = 'send "force": true, and the reason as "why"'
        raise ServiceError(422, "refused_version", str(error), [hint]) from None
    except LockedError:
        text = "somebody else judges or promotes a version of this model; nothing was changed, try again in a moment"
        raise ServiceError(503, "locked", text, headers={"Retry-After": "10"}) from None
    except (OSError, GatecastError) as error:
        if isinstance(error, PermissionDeniedError) or getattr(error, "errno", None) in _SEALED:
            text = "the service may only read the registry; use gatecast promote or gatecast rollback"
            raise ServiceError(403, "read_only_registry", text) from None
        log.warning("registry failed", extra={"reason": str(error)})
        text = "the model registry does not answer; the models that are open go on answering"
        raise ServiceError(503, "registry_down", text, headers={"Retry-After": "10"}) from None


def _described(state: State, slot: Slot) -> dict[str, Any]:
    refusal = slot.refusal and slot.refusal.replace(f"{state.settings.home}/", "")
    told: dict[str, Any] = {"name": slot.name, "version": None, "wanted": slot.wanted, "refusal": refusal}
    model = slot.current
    if model is None:
        return told
    spec = model.forecaster.spec
    return {
        **told,
        **origin_of(model),
        "horizon": spec.horizon,
        "context": spec.context,
        "freq": spec.features.freq,
        "quantiles": np.asarray(spec.wanted).tolist(),
        "covariates": {kind: list(getattr(spec.features, kind)) for kind in ("past", "future", "static")},
        "symbols": spec.symbols and {"count": len(spec.symbols.vocabulary.symbols), "unit": spec.symbols.unit},
        "since": model.since.isoformat(timespec="seconds"),
    }
