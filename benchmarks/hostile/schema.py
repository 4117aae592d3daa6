"""Requests to every operation of the service, drawn from its OpenAPI document: those that fit and those that do not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI
from hypothesis import strategies as st
from schemathesis import GenerationMode, openapi

__all__ = ["operations"]


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
