"""Rolling origins of many series with a network that is not fitted again, beside neuralforecast's."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.speed.jobs import NETWORKS, measured
from benchmarks.speed.turns import Contestant, answer, contest, peer, ratio

__all__ = ["backtest"]

SERIES: Final = 1_000
ORIGINS: Final = 100


def backtest(folder: Path | None, runs: int) -> dict[str, Any]:
    """Seconds from the clean table to all forecasts, actuals, and scales; the network is trained before."""
    contestants = {"ours": Contestant(["-m", __name__])}
    if folder:
        contestants["neuralforecast"] = peer(folder, "backtest", "neuralforecast", str(SERIES), str(ORIGINS))
    taken = contest(contestants, runs)
    return {
        "series": SERIES,
        "origins": ORIGINS,
        "seconds": round(taken["ours"], 2),
        "forecasts_per_second": round(SERIES * ORIGINS / taken["ours"]),
        "vs_neuralforecast": ratio(taken, "neuralforecast", "ours"),
    }


def _ours(place: Path) -> Callable[[], float]:
    """A turn of our own backtest; seconds."""
    from forecasting.bundle.artifact import Origin
    from forecasting.evaluation.problem import problem_of
    from forecasting.series.folds import folds
    from forecasting.training.fit import export_graphs, network_for, write_bundle

    job, table, data = measured(NETWORKS["lstm"], series=SERIES, rows=400, origins=ORIGINS)
    network = network_for(job, data.features)
    graphs, parity = export_graphs(network, job, data.valid.batch(np.arange(32)))
    bundle = write_bundle(network, graphs, data, job, place, origin=Origin(parity=parity))
    plan = folds(table, job)

    def measure() -> float:
        begin = time.perf_counter()
        scored = problem_of(job).backtester(table, job, plan)((bundle,), job.model.name).scored
        taken = time.perf_counter() - begin
        if len(scored.cutoff) != SERIES * ORIGINS:
            raise SystemExit(f"{len(scored.cutoff)} forecasts for {SERIES} series and {ORIGINS} origins")
        return taken

    return measure


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        answer(_ours(Path(scratch)))
