"""Numbers that may be left to the data: a whole number, or `auto`."""

from __future__ import annotations

from typing import Annotated, Any, Final, TypeAlias

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema
from pydantic.config import JsonDict

__all__ = ["AUTO", "SHOWN", "Chosen"]

AUTO: Final = 0  # stands for `auto` until the data has been seen
SHOWN: Final[JsonDict] = {"default": "auto"}  # what a schema says of a default of AUTO
_MOST: Final = 100_000


def _number(value: Any) -> Any:
    if value == "auto":
        return AUTO
    if isinstance(value, int) and not isinstance(value, bool) and not 1 <= value <= _MOST:
        raise ValueError(f"must be a whole number from 1 to {_MOST:,}, or auto, got {value}")
    return value


Chosen: TypeAlias = Annotated[
    int,
    BeforeValidator(_number),
    PlainSerializer(lambda value: "auto" if value == AUTO else value),
    WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 1, "maximum": _MOST}, {"const": "auto"}]}),
]
