"""How a model is judged, and when it goes live."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import AfterValidator, Field

from forecasting.config.chosen import AUTO, SHOWN, Chosen
from forecasting.config.section import Section

__all__ = ["Backtest", "Baseline", "Gate", "Ngram", "PrimaryMetric", "PrimarySymbolMetric", "Rival"]

# ranking metrics, for numbers and for symbols, and the baselines of either
PrimaryMetric: TypeAlias = Literal["wql", "mae", "mse", "rmse", "mase", "rmsse", "smape", "crps"]
PrimarySymbolMetric: TypeAlias = Literal["nats", "bits"]
Baseline: TypeAlias = Literal["naive", "seasonal_naive", "drift", "ridge"]
Ngram: TypeAlias = Literal["unigram", "bigram", "trigram"]


def _band(band: tuple[float, float]) -> tuple[float, float]:
    if not 0 <= band[0] < band[1] <= 1:
        raise ValueError(f"must be [low, high] with 0 <= low < high <= 1, got {list(band)}")
    return band


Rival: TypeAlias = Literal["theta", "ets", "mstl", "lightgbm", "fracast"]


class Backtest(Section):
    """The rolling origins on which all candidates are judged."""

    windows: Chosen = Field(AUTO, json_schema_extra=SHOWN)
    """Number of cutoffs, counted back from the last one that has a whole horizon of data after it; those that fall into
    a gap do not count. `auto`: at most 100, over thirty horizons or a fifth of the history."""

    step: Chosen = Field(AUTO, json_schema_extra=SHOWN)
    """Steps between neighboring cutoffs; `auto`: as far apart as the windows have to be, or 1 where `windows` is a
    number."""

    rivals: tuple[Rival, ...] = ()
    """[Methods of other packages](baselines.md#rivals) on the same cutoffs, which cannot go live. They need the extra
    `rivals`, and `fracast` the package of that name."""

    cutoffs: Literal["calendar", "each"] = "calendar"
    """`calendar`: all series are judged at the same stamps; `each`: every series at its own, counted back from its own
    last reading, for panels whose [series end apart](evaluation.md#cutoffs)."""

    refit: int = Field(0, ge=0)
    """Fit again after this many cutoffs; 0: once, before the first."""

    gap: int = Field(0, ge=0)
    """Steps between the data that a fit may see and its first cutoff."""

    @classmethod
    def _complete(cls, content: Any) -> Any:
        """A number of cutoffs that says no more has them one step apart."""
        if isinstance(content, dict) and content.get("windows", "auto") != "auto":
            return {"step": 1, **content}
        return content


class Gate(Section):
    """When a challenger goes live: [Evaluation](evaluation.md) explains each rule."""

    primary: PrimaryMetric | PrimarySymbolMetric = "wql"
    """The [metric](evaluation.md#metrics) that decides. `nats` and `bits` are for [symbols](symbols.md), where `nats`
    is the default."""

    margin: float = Field(0.0, ge=0)
    """Share by which a challenger must beat the champion."""

    confidence: float = Field(0.9, gt=0.5, lt=1)
    """Confidence of the block-bootstrap interval that decides whether a candidate is really better."""

    coverage: Annotated[tuple[float, float], AfterValidator(_band)] = (0.7, 0.95)
    """Band for the share of actuals inside the widest interval of the head."""

    baselines: tuple[Baseline | Ngram, ...] = ("naive", "seasonal_naive", "ridge")
    """[Baselines](baselines.md) that a network must beat. For [symbols](symbols.md) they are n-grams, by default all
    three."""

    max_revision: float = Field(2.0, gt=0)
    """Largest revision between neighboring forecasts, as a multiple of that of naive."""

    max_latency_ms: float = Field(100.0, gt=0)
    """Slowest forecast of one series, in milliseconds."""

    max_size_mb: float = Field(100.0, gt=0)
    """Largest bundle, in megabytes."""

    fallback: Literal["best_baseline", "none"] = "best_baseline"
    """The model that goes live if no network passes and there is no champion; `none`: nothing, with exit code 3."""
