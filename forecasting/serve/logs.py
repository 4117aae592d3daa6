"""Logs as one JSON object a line, to standard error."""

from __future__ import annotations

import logging
import sys
import traceback
from datetime import UTC, datetime
from typing import Final

import orjson

__all__ = ["configure", "where"]

_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}


class _Lines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        content = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **{name: value for name, value in vars(record).items() if name not in _STANDARD},
        }
        if record.exc_info:
            content["trace"] = self.formatException(record.exc_info)
        return orjson.dumps(content, default=str).decode()


def configure(level: str = "INFO") -> None:
    """Send all logs there, of other packages their warnings; nothing that a request holds is ever in them."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Lines())
    for name, least in ((None, "WARNING"), ("gatecast", level), ("uvicorn", level)):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(least)
    logging.getLogger("uvicorn.access").disabled = True  # the door writes these lines, with ids and times


def where(error: Exception) -> dict[str, object]:
    """The kind of an error and where it happened; not its text, which may hold what a client sent."""
    frames = traceback.extract_tb(error.__traceback__)
    return {"error": type(error).__name__, "trace": [f"{at.filename}:{at.lineno} {at.name}" for at in frames]}
