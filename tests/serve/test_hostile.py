"""Whatever is sent to whatever route: no fault of the server, no NaN, one shape of error."""

from typing import Any

import httpx
import orjson
import pytest

from benchmarks.hostile.checks import check, each
from benchmarks.hostile.requests import ROUTES, bodies
from benchmarks.hostile.schema import operations


@pytest.mark.parametrize("name", ["buoy", "farm"])
@pytest.mark.parametrize("route", ROUTES)
def test_no_forecast_request_is_too_strange(client: Any, route: str, name: str) -> None:
    """Requests that are almost right, with what people and programs get wrong in every place."""
    path = route.format(name=name)
    each(bodies(path), 60, lambda body: check(client.post(path, body[0], headers=body[1]), path), repeat=True)


def test_no_request_that_the_schema_describes_is_too_strange(client: Any) -> None:
    """Every route of the OpenAPI document, with what fits it and what does not."""
    for method, requests in operations(client.app, "buoy"):

        def send(request: dict[str, Any], method: str = method) -> None:
            path = request.pop("path")
            check(client.runner.run(client.web.request(method, path, **request)), path)

        each(requests, 10, send, repeat=True)


@pytest.mark.parametrize(
    ("status", "content"),
    [
        (500, {"error": {"code": "internal", "message": "", "details": []}}),
        (422, {"detail": "another shape"}),
        (200, {"columns": {"q0.5": [1.0, None]}}),
        (200, {"predictions": [{"q0.5": 1.0}, {"q0.5": None}]}),
    ],
)
def test_the_check_finds_what_it_is_for(status: int, content: Any) -> None:
    """It would fail where something were wrong."""
    with pytest.raises(AssertionError):
        check(httpx.Response(status, json=content), "/v1/forecast")
    with pytest.raises(orjson.JSONDecodeError):
        check(httpx.Response(200, content=b"[NaN]", headers={"content-type": "application/json"}), "/v1/forecast")
