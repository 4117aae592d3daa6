"""What the OpenAPI document says of answers and refusals, written once."""

from __future__ import annotations

from typing import Any, Final

from pydantic import BaseModel

__all__ = ["answer", "body", "refusals"]

_CODES: Final = {
    400: ("invalid_json", "the body is not valid JSON at line 1, column 7; write null for NaN"),
    401: ("unauthenticated", "give a valid API key as a bearer token"),
    403: ("forbidden", "this API key has no scope admin"),
    404: ("unknown_model", "no model of that name is served; served are: glucose"),
    408: ("slow_body", "the body did not arrive in time"),
    413: ("too_large", "the body is larger than 16 MB; ask for fewer series at once"),
    415: ("wrong_content_type", "send application/json"),
    422: ("invalid_request", "the request cannot be answered"),
    429: ("overloaded", "too many requests wait for this model; try again in a moment"),
    503: ("not_ready", "no version of this model is open yet; try again in a moment"),
    504: ("timeout", "no answer within 10 s"),
}

Responses = dict[int | str, dict[str, Any]]


def answer(example: Any, *, description: str = "Done", media: str = "application/json") -> dict[str, Any]:
    """A response with an example."""
    return {"description": description, "content": {media: {"example": example}}}


def body(kind: type[BaseModel], **examples: Any) -> dict[str, Any]:
    """A JSON body with named examples, for `openapi_extra`."""
    schema = kind.model_json_schema()
    shown = {name: {"value": value} for name, value in examples.items()}
    content = {"schema": _inlined(schema, schema.pop("$defs", {})), "examples": shown}
    return {"requestBody": {"required": True, "content": {"application/json": content}}}


def _inlined(schema: Any, parts: dict[str, Any]) -> Any:
    """A schema without references: they would point to places that the OpenAPI document does not have."""
    if isinstance(schema, list):
        return [_inlined(item, parts) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return _inlined(parts[schema["$ref"].rpartition("/")[2]], parts)
    return {key: _inlined(value, parts) for key, value in schema.items()}


def refusals(*statuses: int, plain: bool = False) -> Responses:
    """The errors of a route beside 401 and 403, which every route may give; `plain` ones are one text."""
    found: Responses = {}
    for status in sorted({401, 403, *statuses}):
        code, message = _CODES[status]
        error: Any = message if plain else {"code": code, "message": message, "details": []}
        found[status] = answer({"error": error}, description=code.replace("_", " ").capitalize())
    return found
