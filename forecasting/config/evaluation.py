"""How a model is judged, and when it goes live."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from forecasting.config.section import Section

__all__ = ["Backtest", "Gate"]


class Backtest(Section):
    """Rolling origins: the last `windows` cutoffs, `step` apart."""

    windows: int = Field(50, ge=1)
    step: int = Field(1, ge=1)
    refit: int = Field(0, ge=0)  # refit after every k cutoffs; 0: fit once, before the first
    gap: int = Field(0, ge=0)  # steps between the data a fit may see and its first cutoff


class Gate(Section):
    """When a challenger goes live."""

    primary: str = "wql"
    margin: float = Field(0.0, ge=0)  # share by which the champion's primary metric must be beaten
    confidence: float = Field(0.9, gt=0.5, lt=1)  # of the block-bootstrap interval
    coverage: tuple[float, float] = (0.7, 0.95)  # band for the widest interval of the head
    baselines: tuple[str, ...] = ("naive", "seasonal_naive", "ridge")  # to be beaten
    max_revision: float = Field(2.0, gt=0)  # forecast revisions, as a multiple of the naive forecast's
    max_latency_ms: float = Field(100.0, gt=0)
    max_size_mb: float = Field(100.0, gt=0)
    fallback: Literal["best_baseline", "none"] = "best_baseline"

    @field_validator("coverage")
    @classmethod
    def _band(cls, band: tuple[float, float]) -> tuple[float, float]:
        if not 0 <= band[0] < band[1] <= 1:
            raise ValueError(f"{list(band)} must be [low, high] with 0 <= low < high <= 1")
        return band
