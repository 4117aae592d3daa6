"""Where a part of the benchmark runs and for how long, and what it asks of every load."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple

from benchmarks.harness.homes import registry_of
from benchmarks.harness.servers import Server
from benchmarks.serving.load import load
from forecasting.registry.registry import Registry

__all__ = ["CLIENTS", "Figures", "Plan", "answered", "failed", "settle"]

CLIENTS: Final = 64

Figures = dict[str, Any]


class Plan(NamedTuple):
    """Where and how long."""

    home: Path
    body: Path
    scale: float
    repeats: int

    def seconds(self, whole: float) -> float:
        """That long, or the part of it that was asked for."""
        return max(1.0, whole * self.scale)

    def median(self, measure: Callable[[], float]) -> float:
        """The median of all repeats."""
        return round(statistics.median(measure() for _ in range(self.repeats)), 3)

    @property
    def registry(self) -> Registry:
        """The registry of the home."""
        return registry_of(self.home)


def settle(server: Server, plan: Plan) -> None:
    """Until all is warm and the registry was asked once, for which MLflow's client is imported."""
    load(server, plan.body, seconds=plan.seconds(5), clients=CLIENTS)
    time.sleep(5)


def answered(run: Figures) -> Figures:
    """What a load measured, where every request was answered; raises RuntimeError."""
    if failed(run):
        raise RuntimeError(f"not all were answered: {run['statuses']}")
    return run


def failed(run: Figures) -> int:
    """Requests of a load that were not answered with 200."""
    return int(run["requests"] - run["statuses"].get("200", 0))
