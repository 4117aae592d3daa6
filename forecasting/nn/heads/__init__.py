"""Heads by name: a head turns features into a forecast distribution and knows the loss that trains it.

A head is a layer called with [features (B, H, W), frame (B, H, 2)]; it offers `loss(y_true, output)`, for
`model.compile(loss=head.loss)`, and `quantiles(output)` (B, H, Q).
"""

from collections.abc import Sequence
from typing import Any, Final

from forecasting.errors import ConfigError
from forecasting.nn.heads.quantile import QuantileHead

__all__ = ["HEADS", "build"]

HEADS: Final[dict[str, type[Any]]] = {"quantile": QuantileHead}


def build(name: str, quantiles: Sequence[float]) -> Any:
    """The head of that name for these quantile levels; raises ConfigError for an unknown name or wrong levels."""
    if name not in HEADS:
        raise ConfigError(f"there is no head {name!r}; valid heads: {', '.join(HEADS)}")
    levels = [float(level) for level in quantiles]
    if not levels or any(not 0 < level < 1 for level in levels) or levels != sorted(set(levels)):
        raise ConfigError(f"quantiles {levels} must increase strictly and lie between 0 and 1")
    return HEADS[name](levels, name="head")
