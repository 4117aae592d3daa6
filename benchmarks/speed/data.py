"""The loader alone: windows a second gathered from the panel into batches, beside what training takes."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

from benchmarks.speed.jobs import NETWORKS, measured
from benchmarks.speed.turns import Contestant, answer, contest, ratio

__all__ = ["data"]

_BATCH: Final = 256


def data(network: str, runs: int) -> dict[str, Any]:
    """`vs_train` is how many times as many windows a second the loader gives as training takes."""
    contestants = {
        "loader": Contestant(["-m", __name__]),
        "train": Contestant(["-m", "benchmarks.speed.train", "ours", network]),
    }
    rates = contest(contestants, runs)
    return {
        "network": network,
        "windows_per_second": round(rates["loader"], 1),
        "training_windows_per_second": round(rates["train"], 1),
        "vs_train": ratio(rates, "loader", "train"),
    }


def _loader() -> Callable[[], float]:
    """A turn of the loader: every training window once, in an order of its own; windows a second."""
    from forecasting.training.batches import Batches, draw

    windows = measured(NETWORKS["lstm"]).data.train

    def measure() -> float:
        begin = time.perf_counter()
        count = sum(len(targets) for _, targets in Batches(windows, draw(len(windows), 1, 0, None), _BATCH))
        return count / (time.perf_counter() - begin)

    return measure


if __name__ == "__main__":
    answer(_loader())
