"""Is it alive, is it ready, what does it count."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from forecasting.serve.state import State

__all__ = ["router"]

router = APIRouter(tags=["operation"])


@router.get("/healthz", summary="The process lives")
async def alive() -> dict[str, str]:
    """200 as long as the process answers."""
    return {"status": "alive"}


@router.get("/readyz", summary="Requests may be sent here", responses={503: {"description": "Not (or no longer)"}})
async def ready(request: Request, response: Response) -> dict[str, object]:
    """200 when every served model is open, 503 before, and again while the service drains.

    `details` says for each model how long ago the registry was looked at without a failure, and what went wrong since.
    """
    state = State.of(request)
    response.status_code = 200 if state.ready else 503
    models = {slot.name: slot.current.version if slot.current else None for slot in state.catalog}
    details = {
        slot.name: {"last_look_seconds": round(slot.look_age, 1), "problem": slot.problem} for slot in state.catalog
    }
    return {"ready": state.ready, "models": models, "details": details}


@router.get("/metrics", summary="Counters for Prometheus", response_class=Response)
async def metrics(request: Request) -> Response:
    """The text format of Prometheus."""
    return Response(State.of(request).metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")
