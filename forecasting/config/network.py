"""Which network forecasts, and what it puts out."""

from __future__ import annotations

from typing import Any

from pydantic import Field, field_validator

from forecasting.config.section import Section

__all__ = ["Head", "Model"]


class Model(Section):
    """A name of `MODELS` and its parameters, which are checked against that network's own Config."""

    name: str = "stacked"
    params: dict[str, Any] = Field({})


class Head(Section):
    """A name of `HEADS` and the quantiles that are forecast; the median is always among them."""

    name: str = "quantile"
    quantiles: tuple[float, ...] = (0.1, 0.5, 0.9)

    @field_validator("quantiles")
    @classmethod
    def _increasing(cls, quantiles: tuple[float, ...]) -> tuple[float, ...]:
        if any(not 0 < q < 1 for q in quantiles) or list(quantiles) != sorted(set(quantiles)):
            raise ValueError(f"{list(quantiles)} must increase strictly and lie between 0 and 1")
        if 0.5 not in quantiles:
            raise ValueError(f"{list(quantiles)} must hold the median, 0.5")
        return quantiles
