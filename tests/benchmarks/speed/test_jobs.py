"""What is measured is what the documentation says: sizes, windows, and the work in a window."""

import numpy as np
import pytest

from benchmarks.speed.jobs import NETWORKS, flops, measured
from forecasting.training.fit import network_for


@pytest.mark.parametrize("name", ["lstm", "gru", "bidirectional"])
def test_the_work_of_a_window_follows_from_the_weights(name: str) -> None:
    """Each weight of the recurrent layers costs a multiplication and an addition a step, and twice that backward.

    The first layer gives no gradient to its inputs.
    """
    job, _, data = measured(NETWORKS[name], series=2, rows=300)
    network = network_for(job, data.features)
    kernels = [
        weight for weight in network.weights if weight.path.split("/")[-1] in ("kernel", "recurrent_kernel")
        and ("lstm" in weight.path or "gru" in weight.path)
    ]  # fmt: skip
    products = 3 * sum(kernel.shape[0] * kernel.shape[1] for kernel in kernels)
    products -= sum(kernel.shape[1] for kernel in kernels if kernel.shape[0] == 1)
    assert flops(name) == 2 * 96 * products


def test_every_walk_gives_its_windows() -> None:
    """Contexts of 96 hours before 24, on the part of 1,000 hours that a fit may see."""
    job, table, data = measured(NETWORKS["lstm"], series=3)
    assert (job.window.context, job.window.horizon) == (96, 24)
    assert len(table) == 3_000
    assert data.train.batch(np.arange(5))["past"].shape == (5, 96, 1)
