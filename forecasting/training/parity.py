"""How far the exported graph may differ from the network that was trained."""

from __future__ import annotations

import keras

from forecasting.errors import TrainingError

__all__ = ["accepted"]

PARITY = 1e-5  # in the scaled space; in logits above 1 relatively


def accepted(parity: float) -> float:
    """The largest absolute difference of both, which is logged; raises TrainingError if it is far in float32.

    Networks of lower precision compute with fewer digits than their graphs, which are float32.
    """
    if not parity <= PARITY and keras.config.dtype_policy().name == "float32":
        raise TrainingError(f"the exported graph differs from the network by {parity:.2g}, more than {PARITY:g}")
    return parity
