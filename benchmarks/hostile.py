"""Thousands of strange requests to every route of the service: no fault of the server, no NaN, one shape of error.

    python -m benchmarks.hostile --cases 5000 --json hostile.json

Half of them are forecast requests that are almost right, with what people and programs get wrong put in the place of
anything (hypothesis); half fit the OpenAPI document, or do not (schemathesis). They go to the app in this process.
"""

from __future__ import annotations

import argparse
import asyncio
import copy
import json
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final

import httpx
import hypothesis
import numpy as np
import orjson
from fastapi import FastAPI
from hypothesis import HealthCheck, given
from hypothesis import strategies as st
from schemathesis import GenerationMode, openapi

from benchmarks._homes import NAME, make, settings_of
from forecasting.config.settings import ServeSettings
from forecasting.serve.app import create_app
from forecasting.serve.keys import new_key

__all__ = ["ROUTES", "bodies", "check", "each", "operations"]

ROUTES: Final = ("/v1/forecast", "/v2/models/{name}/infer", "/invocations", "/invocations/{name}")

_LARGE: Final = "@1e309@"  # no JSON library writes that number by itself
_JUNK: Final = (
    None, True, 0, -1, 1, 2**31, 2**63, 2**64, -(2**63) - 1, 0.5, 1e308, -1e308, 5e-324, 1e300, float("nan"),
    float("inf"), _LARGE, "", "a", "NaN", "nan", "null", "1", "now", "today", "NaT", "2026-01-01", "2026-13-45",
    "2026-01-01T00:00:00+25:00", "2026-03-29T02:30:00+01:00", "0001-01-01T00:00:00", "9999-12-31T23:59:59",
    "2026-01-01T00:00:00.123456789", "../../etc/passwd", "<script>alert(1)</script>", "\x00", "ünï\ud800", "x" * 10_000,
    "h", "D", "MS", "FP64", "BYTES", "INT64", [], {}, [[]], [None], [{}], {"a": [1]}, [1, "a", None, [2]],
)  # fmt: skip
_STAMPS: Final = [str(stamp) for stamp in np.arange("2026-01-05T00", "2026-01-05T12", dtype="datetime64[h]")]
_TABLE: Final[dict[str, list[Any]]] = {
    "unique_id": ["a"] * 12,
    "ds": [f"{stamp}:00:00" for stamp in _STAMPS],
    "y": [round(float(np.sin(step)), 3) for step in range(12)],
}
_ROWS: Final = [dict(zip(_TABLE, row, strict=True)) for row in zip(*_TABLE.values(), strict=True)]
_COVARIATES: Final = {"p": 1.0, "label": "low", "f": 0.5, "area": 2.0, "kind": "city"}
_KINDS: Final = {"unique_id": "BYTES", "ds": "BYTES", "y": "FP64"}
_TENSORS: Final = [
    {"name": name, "datatype": _KINDS[name], "shape": [12], "data": values} for name, values in _TABLE.items()
]
_JSON: Final = {"content-type": "application/json"}

Body = tuple[bytes, dict[str, str]]


def main() -> None:
    """Send them all to a model of its own and print how many of each status came back."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=5000)
    parser.add_argument("--home", type=Path, help=f"of a served model named {NAME}; default: one is made")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        found = _run(options.home or make(Path(scratch) / "home"), options.cases)
    print(json.dumps(found, indent=1))
    if options.json:
        options.json.write_text(json.dumps(found), encoding="utf-8")
    sys.exit(0 if found["hostile_cases"] >= options.cases else 1)


def _run(home: Path, cases: int) -> dict[str, Any]:
    made = new_key("admin", ["admin"])
    app = create_app(settings_of(home), ServeSettings(keys=orjson.dumps([made.entry.model_dump(mode="json")]).decode()))
    statuses: dict[int, int] = {}
    with asyncio.Runner() as runner:
        lifespan = app.router.lifespan_context(app)
        runner.run(lifespan.__aenter__())
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        key = {"X-API-Key": made.secret}
        web = httpx.AsyncClient(transport=transport, base_url="http://gatecast", headers=key)

        def send(method: str, path: str, **request: Any) -> None:
            response = runner.run(web.request(method, path, **request))
            check(response, path)
            statuses[response.status_code] = statuses.get(response.status_code, 0) + 1

        _described(app, send, cases // 2)
        while sum(statuses.values()) < cases:  # routes without a parameter have but few different requests
            _forecasts(send, cases - sum(statuses.values()))
        runner.run(lifespan.__aexit__(None, None, None))
    return {"hostile_cases": sum(statuses.values()), "statuses": {str(key): statuses[key] for key in sorted(statuses)}}


def _forecasts(send: Callable[..., None], cases: int) -> None:
    for route in ROUTES:
        path = route.format(name=NAME)
        each(bodies(path), -(-cases // len(ROUTES)), partial(_post, send, path))


def _post(send: Callable[..., None], path: str, body: Body) -> None:
    send("POST", path, content=body[0], headers=body[1])


def _described(app: FastAPI, send: Callable[..., None], cases: int) -> None:
    every = list(operations(app, NAME))
    for method, requests in every:
        each(requests, -(-cases // len(every)), lambda request, method=method: send(method, **request))


def each(values: st.SearchStrategy[Any], examples: int, use: Callable[[Any], None], *, repeat: bool = False) -> None:
    """Use that many examples; with `repeat` they are the same ones every time."""
    quiet = list(HealthCheck)

    @hypothesis.settings(
        max_examples=examples, deadline=None, database=None, suppress_health_check=quiet, derandomize=repeat
    )
    @given(values)
    def run(value: Any) -> None:
        use(value)

    run()


def bodies(path: str) -> st.SearchStrategy[Body]:
    """Bodies with their headers for a forecast route: right ones, damaged in a few places."""
    plain = st.sampled_from(_whole(path)).flatmap(lambda whole: _damaged(whole).map(_written))
    raw = st.builds(
        _torn, plain, st.integers(0, 400), st.sampled_from([b"", b"\xff", b"[" * 200, b"NaN", b"}", b"\x00"])
    )
    other = st.builds(lambda body, kind: (body[0], {"content-type": kind}), plain, st.sampled_from(["text/plain", ""]))
    rows = st.lists(st.lists(st.sampled_from([str(junk) for junk in _JUNK]), min_size=3, max_size=3), max_size=4)
    return st.one_of(plain, plain, raw, other, rows.map(_csv) if "invocations" in path else plain)


def _whole(path: str) -> list[Any]:
    rich = [{**row, **_COVARIATES} for row in _ROWS]
    if path == "/v1/forecast":
        asked = {"h": 2, "level": [80], "freq": "h"}
        return [
            {"name": name, **table, **asked}
            for name in (NAME, "farm")
            for table in ({"columns": _TABLE}, {"records": rich}, {"records": _ROWS, "future": _ROWS[:2]})
        ]
    if path.endswith("infer"):
        return [{"inputs": _TENSORS}, {"id": "1", "inputs": _TENSORS, "outputs": [{"name": "q0.5"}]}]
    split = {"columns": list(_TABLE), "data": [list(row.values()) for row in _ROWS]}
    return [{"dataframe_split": split, "params": {"levels": [80]}}, {"dataframe_records": rich}, {"inputs": _TABLE}]


def _damaged(whole: Any) -> st.SearchStrategy[Any]:
    places = list(_places(whole))
    change = st.tuples(st.sampled_from(places), st.sampled_from(_JUNK), st.sampled_from(["put", "drop", "add"]))
    return st.lists(change, max_size=3).map(lambda changes: _changed(whole, changes))


def _places(content: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to every value of a document; of long lists to the first, the second and the last."""
    if path:
        yield path
    keys = list(content) if isinstance(content, dict) else []
    if isinstance(content, list) and content:
        keys = sorted({0, min(1, len(content) - 1), len(content) - 1})
    for key in keys:
        yield from _places(content[key], (*path, key))


def _changed(whole: Any, changes: list[tuple[tuple[Any, ...], Any, str]]) -> Any:
    found = copy.deepcopy(whole)
    for (*way, last), junk, how in copy.deepcopy(changes):  # a later change may reach into what an earlier one put
        try:
            place = found
            for key in way:
                place = place[key]
            if how == "drop":
                del place[last]
            elif how == "add" and isinstance(place, dict):
                place[str(junk)[:50]] = junk
            else:
                place[last] = junk
        except (LookupError, TypeError):  # an earlier change has taken it away
            continue
    return found


def _written(content: Any) -> Body:
    text = json.dumps(content).replace(json.dumps(_LARGE), "1e309")
    return text.encode(), _JSON


def _torn(body: Body, place: int, piece: bytes) -> Body:
    return body[0][:place] + piece + (b"" if piece in (b"", b"}") else body[0][place:]), body[1]


def _csv(rows: list[list[str]]) -> Body:
    lines = [",".join(_TABLE), *(",".join(row) for row in rows)]
    return "\n".join(lines).encode("utf-8", "replace"), {"content-type": "text/csv"}


def operations(app: FastAPI, name: str) -> Iterator[tuple[str, st.SearchStrategy[dict[str, Any]]]]:
    """The method of every operation of the OpenAPI document, and requests for it; every other one names that model."""
    schema = openapi.from_dict(app.openapi())
    for found in schema.get_all_operations():
        operation = found.ok()
        cases = st.one_of(operation.as_strategy(mode) for mode in _modes(operation))
        named = operation.full_path.replace("{name}", name).replace("{version}", "1")
        yield operation.method.upper(), st.builds(_request, cases, st.booleans(), st.just((named, name)))


def _modes(operation: Any) -> list[GenerationMode]:
    """Requests that fit, and where anything can be wrong also those that do not."""
    anything = bool(operation.body) or any(True for _ in operation.iter_parameters())
    return [GenerationMode.POSITIVE, GenerationMode.NEGATIVE] if anything else [GenerationMode.POSITIVE]


def _request(case: Any, name_it: bool, named: tuple[str, str]) -> dict[str, Any]:
    given = case.as_transport_kwargs()
    params = dict(given.get("params") or {})
    if name_it and "name" in params:
        params["name"] = named[1]
    request: dict[str, Any] = {"path": named[0] if name_it else given["url"], "params": params}
    if isinstance(given.get("data"), bytes | str):
        request["content"] = given["data"]
    elif "json" in given or "data" in given:
        request["content"] = json.dumps(given.get("json", given.get("data")), default=str).encode()
    kind = given["headers"].get("Content-Type")
    return {**request, "headers": {"content-type": kind or "application/json"}} if "content" in request else request


def check(response: httpx.Response, path: str) -> None:
    """Raises AssertionError for a fault of the server, a value that is no number, or an error of another shape."""
    where = f"{response.status_code} from {path}: {response.text[:300]}"
    if response.status_code >= 500:
        raise AssertionError(where)
    is_json = response.headers.get("content-type", "").startswith("application/json")
    if response.status_code >= 400 and not is_json:
        raise AssertionError(where)
    if not is_json or path == "/version" or not response.content.strip():
        return
    content = orjson.loads(response.content)  # strict: refuses NaN
    if response.status_code >= 400 and not _is_error(content, path):
        raise AssertionError(where)
    if response.status_code == 200 and not all(_finite(content)):
        raise AssertionError(where)


def _is_error(content: Any, path: str) -> bool:
    if path == "/v2" or path.startswith("/v2/"):
        return isinstance(content, dict) and content.keys() == {"error"} and isinstance(content["error"], str)
    return content.keys() == {"error"} and content["error"].keys() == {"code", "message", "details"}


def _finite(content: Any) -> Iterator[bool]:
    """Whether each forecast of an answer is a number."""
    tables = [content.get(key) for key in ("records", "predictions")] if isinstance(content, dict) else []
    for row in (row for table in tables for row in table or []):
        yield all(isinstance(value, float) for name, value in row.items() if name[0] == "q")
    for name, values in (content.get("columns") or {}).items() if isinstance(content, dict) else ():
        yield name[0] != "q" or all(isinstance(value, float) for value in values)


if __name__ == "__main__":
    main()
