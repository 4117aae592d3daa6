"""The output of a network by name: a distribution of numbers, or probabilities of symbols."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import AfterValidator, Field

from forecasting.config.section import Section, by_default, tagged

__all__ = ["Head", "HeadName", "NumberHead", "SymbolHead"]

NumberHeadName: TypeAlias = Literal["quantile", "normal", "student_t", "negative_binomial"]
HeadName: TypeAlias = Literal[NumberHeadName, "categorical"]


def _quantiles(quantiles: tuple[float, ...]) -> tuple[float, ...]:
    if any(not 0 < q < 1 for q in quantiles) or list(quantiles) != sorted(set(quantiles)):
        raise ValueError(f"must increase strictly and lie between 0 and 1, got {list(quantiles)}")
    if 0.5 not in quantiles:
        raise ValueError(f"must include the median, 0.5, got {list(quantiles)}")
    return quantiles


class NumberHead(Section):
    """A distribution of numbers: see [Heads](networks/heads.md)."""

    name: NumberHeadName = "quantile"
    """The distribution: [which one](networks/heads.md#which-one)."""

    quantiles: Annotated[tuple[float, ...], AfterValidator(_quantiles)] = (0.1, 0.5, 0.9)
    """The quantiles that are forecast: increasing, between 0 and 1, the median among them."""


class SymbolHead(Section):
    """Probabilities of [symbols](symbols.md): see [Heads](networks/heads.md#categorical)."""

    model_config = tagged("name")
    name: Literal["categorical"] = "categorical"

    @property
    def quantiles(self) -> tuple[float, ...]:
        """None: symbols have no order."""
        return ()


Head: TypeAlias = Annotated[NumberHead | SymbolHead, Field(discriminator="name"), by_default("name", "quantile")]
