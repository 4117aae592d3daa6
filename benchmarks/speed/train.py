"""Windows a second of training, loading included and validation left out, beside the loops of other libraries."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.speed.jobs import NETWORKS, flops, measured
from benchmarks.speed.turns import Contestant, answer, contest, peer, ratio

__all__ = ["ours", "train"]

_STEPS: Final = 20  # optimizer steps of a turn
_SIDE: Final = 2048  # of the square matrices whose product is the machine's limit
# who has which network
_PEERS: Final = {
    "lstm": ("torch", "neuralforecast", "darts"),
    "gru": ("torch", "neuralforecast", "darts"),
    "bidirectional": ("torch",),
    "segrnn": (),
}


def train(network: str, folder: Path | None, runs: int) -> dict[str, Any]:
    """How often each other library's rate goes into ours; `vs_limit` is our share of the machine's matrix products."""
    contestants = {name: Contestant(["-m", __name__, name, network]) for name in ("ours", "limit")}
    if folder:
        contestants |= {name: peer(folder, "train", name, network) for name in _PEERS[network]}
    figures = contest(contestants, runs)
    work = flops(network)
    limit = {"limit": figures["limit"] / work} if work else {}
    rates = figures | {"limit": 0.0} | limit
    return {
        "network": network,
        "windows_per_second": round(rates["ours"], 1),
        **{f"vs_{name}": ratio(rates, "ours", name) for name in ("neuralforecast", "darts", "torch")},
        "vs_limit": ratio(rates, "ours", "limit") if work else None,
        "gflops_of_the_machine": round(figures["limit"] / 1e9, 1),
    }


def ours(network: str) -> Callable[[], float]:
    """A turn of our own loop: batches as a fit gathers them, steps as a fit makes them; windows a second."""
    from forecasting.training.batches import Batches, draw
    from forecasting.training.devices import set_up
    from forecasting.training.fit import network_for
    from forecasting.training.loop import compile_network, mean_loss
    from forecasting.training.plan import plan

    job, _, data = measured(NETWORKS[network])
    config = job.train.model_copy(update={"batch_size": 256})
    set_up(config)
    made = network_for(job, data.features)
    learner = compile_network(made, made.get_layer("head").loss, config, plan(config, 10_000))

    def measure() -> float:
        batches = Batches(data.train, draw(len(data.train), 1, 0, _STEPS * 256), 256)
        begin = time.perf_counter()
        mean_loss(learner.train_on_batch, batches)
        return _STEPS * 256 / (time.perf_counter() - begin)

    return measure


def _limit() -> Callable[[], float]:
    """Floating-point operations a second in the product of two matrices, with all cores."""
    factor = np.random.default_rng(1).normal(size=(_SIDE, _SIDE)).astype(np.float32)

    def measure() -> float:
        begin = time.perf_counter()
        for _ in range(10):
            factor @ factor
        return 10 * 2 * _SIDE**3 / (time.perf_counter() - begin)

    return measure


if __name__ == "__main__":
    answer(ours(sys.argv[2]) if sys.argv[1] == "ours" else _limit())
