"""What goes into a bundle's model and what comes out, as plain data."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from forecasting.config.job import Job
from forecasting.config.operation import Calibrate
from forecasting.config.series import Series
from forecasting.series.features import Features
from forecasting.series.layout import Layout
from forecasting.series.scaling import Scaler
from forecasting.series.vocabulary import Vocabulary

__all__ = ["Spec", "Symbols", "level_quantiles", "wanted_quantiles"]


class Symbols(BaseModel):
    """The codes of a model of symbols, and how what follows is drawn."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    vocabulary: Vocabulary
    unit: Literal["character", "word", "line"] = "word"  # what a symbol of a text is
    temperature: float = 1.0
    top: int | None = None
    seed: int = 1


class Spec(BaseModel):
    """Everything about a bundle but its weights: inputs, shapes, limits, vocabularies and scaling state.

    `quantiles` are what the model is asked for; `wanted` is what a forecast shows: those and the bounds of the
    configured prediction intervals. `head` names the distribution that the graph puts out, `block` how many steps it
    gives at once; a longer horizon is reached over `paths` sample paths.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    job: str
    model: str  # its name in MODELS or BASELINES
    baseline: bool = False  # no network: it serves where none was better
    head: str = "quantile"  # its name in DISTRIBUTIONS
    series: Series  # freq, limits and policies, as configured
    features: Features
    scaler: Scaler
    layout: Layout | None = None  # where series stand that the model reads together; none: each by itself
    context: int
    horizon: int
    block: int | None = None  # none: the whole horizon
    paths: int = 200
    quantiles: tuple[float, ...]
    wanted: tuple[float, ...]
    calibrate: Calibrate = Calibrate()  # which residuals its intervals are made of
    symbols: Symbols | None = None  # none: a model of numbers


def wanted_quantiles(job: Job) -> tuple[float, ...]:
    """What a forecast of this job shows: the head's quantiles and the bounds of the intervals asked for."""
    return tuple(sorted({*job.head.quantiles, *level_quantiles(job.forecast.levels)}))


def level_quantiles(levels: tuple[float, ...]) -> tuple[float, ...]:
    """The quantiles that bound central prediction intervals: 80 per cent gives 0.1 and 0.9."""
    bounds = {round(50 + side * level / 2, 6) / 100 for level in levels for side in (-1, 1)}
    return tuple(sorted(bounds))
