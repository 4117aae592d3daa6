"""Bodies of requests: strict JSON into documents; everything is bounded before anything is built from it."""

from __future__ import annotations

from typing import Any, Final, TypeVar

import numpy as np
import orjson
from fastapi import Request
from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from forecasting.serve.errors import SHOWN, ServiceError

__all__ = ["Document", "content_type", "few", "json_body", "lists", "parse_as", "parse_json", "rows"]

_DEEPEST: Final = 16
_PARTS: Final = 500_000  # objects and lists of one document: each takes 70 bytes of memory, and as little as 3 to send
_WIDEST: Final = 10_000  # columns of a table

Model = TypeVar("Model", bound="Document")


class Document(BaseModel):
    """A strict document that knows all of its keys; it is read no further than to its first fault of a kind.

    pydantic keeps an error of a kilobyte for every wrong item of a list and every unknown key: lists declare `few`,
    `rows` or `lists`, and an object of many unknown keys is one error.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    @model_validator(mode="before")
    @classmethod
    def _not_too_wide(cls, content: Any) -> Any:
        if isinstance(content, dict) and len(content) > len(cls.model_fields) + SHOWN:
            raise PydanticCustomError("extra_forbidden", "unknown keys")
        return content


def few(most: int) -> BeforeValidator:
    """Refuses a longer list, or an object of more keys, as a whole."""

    def check(content: Any) -> Any:
        if isinstance(content, list | dict) and len(content) > most:
            raise PydanticCustomError("too_many", "at most {most} items are allowed", {"most": most})
        return content

    return BeforeValidator(check)


def _rows(content: Any) -> Any:
    if isinstance(content, list) and not all(type(row) is dict for row in content):
        raise PydanticCustomError("rows", "every row must be an object")
    return content


def _lists(content: Any) -> Any:
    parts = content.values() if isinstance(content, dict) else content if isinstance(content, list) else ()
    if isinstance(content, dict) and len(content) > _WIDEST:
        raise PydanticCustomError("too_many", "at most {most} columns are allowed", {"most": _WIDEST})
    if not all(type(part) is list for part in parts):
        raise PydanticCustomError("lists", "every part should be a valid list")
    return content


rows: Final = BeforeValidator(_rows)  # a list of objects; what is no object is one error
lists: Final = BeforeValidator(_lists)  # lists in a list or by name; what is no list is one error


def parse_json(body: bytes, *, nan: bool = False) -> Any:
    """Strict JSON: no infinity, 64-bit numbers, UTF-8, and NaN only with `nan`, as null; raises ServiceError 400."""
    _check_parts(body)
    try:
        return orjson.loads(_without_nan(body) if nan and b"NaN" in body else body)
    except orjson.JSONDecodeError as error:
        text = f"the body is not valid JSON at line {error.lineno}, column {error.colno}; write null for NaN"
        raise ServiceError(400, "invalid_json", text) from None


def _check_parts(body: bytes) -> None:
    """Bounds on the nesting and the number of objects and lists; brackets inside of strings count, too."""
    marks = np.frombuffer(body, dtype=np.uint8)
    opening = (marks == ord("[")) | (marks == ord("{"))
    count = np.count_nonzero(opening)
    if count > _PARTS:
        raise ServiceError(413, "too_large", f"the JSON holds more than {_PARTS} objects and lists; send columns")
    if count <= _DEEPEST:
        return
    closing = (marks == ord("]")) | (marks == ord("}"))
    steps = opening[opening | closing].astype(np.int8) * 2 - 1
    if np.cumsum(steps, dtype=np.int32).max(initial=0) > _DEEPEST:
        raise ServiceError(400, "too_deep", f"the JSON is nested deeper than {_DEEPEST} levels")


def _without_nan(body: bytes) -> bytes:
    """NaN as null, but for the texts that say NaN; a few passes over the bytes, whatever they are."""
    marks = np.frombuffer(body, dtype=np.uint8)
    slash = marks == ord("\\")
    begins = np.flatnonzero(slash & ~np.append(False, slash[:-1]))
    ends = np.flatnonzero(slash & ~np.append(slash[1:], False))
    quote = marks == ord('"')
    after = ends[(ends - begins) % 2 == 0] + 1  # behind an odd number of backslashes: escaped
    quote[after[after < len(quote)]] = False
    inside = np.bitwise_xor.accumulate(quote)
    found = (marks[:-2] == ord("N")) & (marks[1:-1] == ord("a")) & (marks[2:] == ord("N")) & ~inside[:-2]
    at = np.flatnonzero(found)
    written = marks.copy()
    for place, letter in enumerate(b"nul"):
        written[at + place] = letter
    return np.insert(written, at + 3, ord("l")).tobytes()


async def json_body(request: Request) -> bytes:
    """The body of a request that says it is JSON; raises ServiceError 415 for another type of content."""
    if content_type(request) != "application/json":
        raise ServiceError(415, "wrong_content_type", "send application/json")
    return await request.body()


def content_type(request: Request) -> str:
    """The type of a request's body, without its parameters; empty where none is given."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def parse_as(kind: type[Model], content: Any) -> Model:
    """A JSON document as a model; raises ServiceError 422 that lists every violation."""
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        known = _names(kind)
        found = [_sentence(item, kind, known) for item in error.errors(include_input=False, include_url=False)]
        details = list(dict.fromkeys(found))[:SHOWN]
        raise ServiceError(422, "invalid_request", "the request cannot be understood", details) from None


def _names(kind: type[BaseModel]) -> set[str]:
    """The names of all fields, of nested models too."""
    schema = kind.model_json_schema()
    nested = (part.get("properties", {}) for part in schema.get("$defs", {}).values())
    return {*schema["properties"], *(name for names in nested for name in names)}


def _sentence(item: Any, kind: type[BaseModel], known: set[str]) -> str:
    if item["type"] == "extra_forbidden":
        return f"unknown key; valid keys: {', '.join(kind.model_fields)}"
    place = [str(part) for part in item["loc"] if isinstance(part, int) or part in known]  # nothing that a client named
    return f"{'.'.join(place) or 'body'}: {item['msg']}"
