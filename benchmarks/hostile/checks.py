"""What every answer must be, whatever was asked, and how many examples are tried."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import hypothesis
import orjson
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

__all__ = ["check", "each"]


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
