"""One shape for every error: a code, a sentence and its details; never a trace, never an echo of what came."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import orjson
from starlette.responses import Response

__all__ = ["CLOSE", "SHOWN", "ServiceError", "busy"]

SHOWN: Final = 20  # violations in one answer
CLOSE: Final = {"Connection": "close"}


class ServiceError(Exception):
    """What a client is told: HTTP status, a code for programs, a sentence for people, and all violations."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        details: Sequence[str] = (),
        *,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.details = tuple(details)
        self.headers = dict(headers or {})

    def response(self, path: str = "/") -> Response:
        """The answer under that path: `{"error": {"code", "message", "details"}}`, or what its protocol asks for."""
        return Response(_body(self, path), self.status, self.headers, media_type="application/json")


def busy() -> ServiceError:
    """What is told where too many requests wait."""
    text = "too many requests wait for this model; try again in a moment"
    return ServiceError(429, "overloaded", text, headers={"Retry-After": "1"})


def _body(error: ServiceError, path: str) -> bytes:
    if path == "/v2" or path.startswith("/v2/"):  # Open Inference Protocol: one text
        text = f"{error.message}: {'; '.join(error.details)}" if error.details else error.message
        return orjson.dumps({"error": text})
    content = {"code": error.code, "message": error.message, "details": list(error.details)}
    return orjson.dumps({"error": content})
