"""Events that flows follow: their names, and how one is sent to a Prefect server without its packages."""

from __future__ import annotations

import os
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

__all__ = ["OBSERVATIONS", "resource", "send"]

OBSERVATIONS: Final = "gatecast.observations"  # new or corrected readings are stored
_SECONDS: Final = 10.0  # for an answer


def resource(job: str) -> dict[str, str]:
    """The name of a job in events."""
    return {"prefect.resource.id": f"gatecast.job.{job}"}


def send(event: str, job: str, payload: Mapping[str, Any]) -> bool:
    """Send an event to the server of PREFECT_API_URL; returns whether there is one. Raises httpx.HTTPError."""
    address = os.environ.get("PREFECT_API_URL")
    if not address:
        return False
    import httpx

    content = {
        "id": str(uuid.uuid4()),
        "occurred": datetime.now(UTC).isoformat(),
        "event": event,
        "resource": resource(job),
        "payload": dict(payload),
    }
    key, login = os.environ.get("PREFECT_API_KEY"), os.environ.get("PREFECT_API_AUTH_STRING")
    user, _, password = (login or "").partition(":")
    answer = httpx.post(
        f"{address.rstrip('/')}/events",
        json=[content],
        headers={"Authorization": f"Bearer {key}"} if key else {},
        auth=(user, password) if login else None,
        timeout=_SECONDS,
    )
    answer.raise_for_status()
    return True
