"""Readings that are sent, in Nixtla's long format."""

from __future__ import annotations

from typing import Final

import orjson
from fastapi import APIRouter, Request, Response

from forecasting.serve.bodies import json_body, parse_as, parse_json
from forecasting.serve.intake import ReadingsRequest
from forecasting.serve.openapi import answer, body, refusals
from forecasting.serve.state import State

__all__ = ["router"]

router = APIRouter(prefix="/v1", tags=["readings"])

_STAMPS: Final = ["2026-01-01T00:00:00", "2026-01-01T01:00:00"]
_COLUMNS: Final = {"name": "glucose", "columns": {"unique_id": ["a"] * 2, "ds": _STAMPS, "y": [1.0, 2.0]}}
_RECORDS: Final = {"name": "glucose", "records": [{"unique_id": "a", "ds": _STAMPS[0], "y": 1.0}]}
_ANSWER: Final = {"name": "glucose", "rows": 2, "readings": 2, "series": 1}


@router.post(
    "/readings",
    summary="Send readings",
    status_code=202,
    openapi_extra=body(ReadingsRequest, columns=_COLUMNS, records=_RECORDS),
    response_class=Response,
    responses={202: answer(_ANSWER, description="Kept"), **refusals(400, 404, 413, 415, 422, 429, 503, 504)},
)
async def post_readings(request: Request) -> Response:
    """Keep the readings of a table, all of them or none; they are on disk before this is answered.

    A row is known by `unique_id` and `ds`: the same one again changes nothing, another value corrects it. They join the
    stored readings within seconds. `notes` say what is to be said of them, such as readings out of bounds.
    """
    state = State.of(request)
    state.allow(request, "write")
    sent = await json_body(request)
    content = await state.work(lambda: parse_as(ReadingsRequest, parse_json(sent)), body=sent)
    intake = state.intakes.intake(content.name, request.state.models)
    kept = await state.intakes.accept(intake, content)
    return Response(orjson.dumps(kept), 202, media_type="application/json")
