"""What a person is told, once for each key."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict

__all__ = ["Message"]


class Message(BaseModel):
    """A message about a job; what happens again, or is found again, has the same key."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: str
    job: str
    event: str  # promoted, refused, monitor, anomaly, failed, or test
    title: str
    text: str
    facts: dict[str, Any] = {}  # for programs
