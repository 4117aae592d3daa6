"""How a command or a program runs a flow."""

from __future__ import annotations

import os
from typing import Any

from forecasting.errors import GatecastError

__all__ = ["in_process"]


def in_process(flow: Any, *args: Any, **named: Any) -> Any:
    """Run a flow: tracked if a Prefect server is configured, otherwise in this process without any server.

    Raises GatecastError if that server fails; finished work is kept.
    """
    if not os.environ.get("PREFECT_API_URL"):
        return flow.fn(*args, **named)
    from httpx import HTTPError
    from prefect import tags

    try:
        with tags("gatecast"):  # as for deployed runs: killed ones are found and set to Crashed
            return flow(*args, **named)
    except (HTTPError, RuntimeError) as error:
        why = str(error).strip().split("\n", 1)[0]
        if isinstance(error, RuntimeError) and "Failed to reach API" not in why:
            raise
        raise GatecastError(f"the Prefect server of PREFECT_API_URL failed: {why}; run again to resume") from error
