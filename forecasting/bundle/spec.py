"""What goes into a bundle's model and what comes out, as plain data of its own: no key of the YAML can break it."""

from __future__ import annotations

from functools import cached_property
from typing import Literal

from pydantic import BaseModel, ConfigDict

from forecasting.columns import PROBABILITY, SYMBOL, UNKNOWN_READ, Y, quantile_column
from forecasting.config.job import Job
from forecasting.config.series import Series
from forecasting.series.features import Features
from forecasting.series.layout import Layout
from forecasting.series.scaling import Scaler
from forecasting.series.vocabulary import Vocabulary

__all__ = ["IntervalSpec", "Spec", "SymbolSpec", "TableSpec", "level_quantiles", "wanted_quantiles"]


class _Kept(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class TableSpec(_Kept):
    """How a history is read: its frequency and columns, the limits of its readings, what is done about flaws."""

    freq: str
    season: int | None = None
    past: tuple[str, ...] = ()
    future: tuple[str, ...] = ()
    static: tuple[str, ...] = ()
    categorical: tuple[str, ...] = ()
    calendar: tuple[str, ...] = ()
    layout: Literal["none", "line", "grid"] = "none"
    places: tuple[str, ...] = ()
    gaps: Literal["mask", "fill", "refuse"] = "mask"
    max_gap: int | None = None
    aggregate: Literal["mean", "sum", "last", "min", "max", "count"] | None = None
    duplicates: Literal["mean", "first", "last", "sum", "refuse"] = "refuse"
    lower: float | None = None
    upper: float | None = None
    integer: bool = False
    transform: Literal["none", "log1p"] = "none"
    scale: Literal["standard", "robust", "none"] = "standard"
    min_length: int = 2

    @classmethod
    def of(cls, series: Series) -> TableSpec:
        """What a bundle keeps of a job's series: not where they start and end, which chooses what to learn from."""
        return cls(**{name: getattr(series, name) for name in cls.model_fields})

    def as_series(self) -> Series:
        """The same for the functions of `series`, in the words of today's configuration."""
        return Series(**{name: getattr(self, name) for name in TableSpec.model_fields})


class IntervalSpec(_Kept):
    """Which residuals an interval is made of: those of `all` windows, of the same series, or of the same label."""

    by: str = "all"
    half_life: int | None = None  # steps after which a residual counts half; none: all count alike


class SymbolSpec(_Kept):
    """The codes of a model of symbols, and how symbols are drawn."""

    vocabulary: Vocabulary
    unit: Literal["character", "word", "line"] = "word"  # what a symbol of a text is
    temperature: float = 1.0
    top: int | None = None
    seed: int = 1


class Spec(_Kept):
    """Everything about a bundle but its weights: inputs, shapes, limits, vocabularies and scaling state.

    `quantiles` are what the model is asked for; `wanted` is what a forecast shows: those and the bounds of the
    configured prediction intervals. `head` names the distribution that the graph puts out, `block` how many steps it
    gives at once; a longer horizon is reached over `paths` sample paths. A model of symbols has no quantiles.
    """

    job: str
    model: str  # its name in MODELS or BASELINES
    baseline: bool = False  # no network: it serves where none was better
    head: str = "quantile"  # its name in DISTRIBUTIONS
    table: TableSpec
    features: Features
    scaler: Scaler
    layout: Layout | None = None  # where series stand that the model reads together; none: each by itself
    context: int
    horizon: int
    block: int | None = None  # none: the whole horizon
    paths: int = 200
    quantiles: tuple[float, ...]
    wanted: tuple[float, ...]
    intervals: IntervalSpec = IntervalSpec()
    symbols: SymbolSpec | None = None  # none: a model of numbers

    @cached_property
    def series(self) -> Series:
        """How histories are validated and cleaned."""
        return self.table.as_series()

    @property
    def covariates(self) -> tuple[str, ...]:
        """Every covariate that is read: past, future, static."""
        return (*self.features.past, *self.features.future, *self.features.static)

    @property
    def labels(self) -> frozenset[str]:
        """The columns of a history that hold labels; all others hold numbers."""
        return frozenset({*self.features.vocabulary, *((Y,) if self.symbols else ())})

    @property
    def outputs(self) -> tuple[str, ...]:
        """The columns of a forecast behind its keys."""
        return (SYMBOL, PROBABILITY, UNKNOWN_READ) if self.symbols else tuple(map(quantile_column, self.wanted))

    @property
    def most_steps(self) -> int | None:
        """The steps that one request may ask for; none: symbols go on without end."""
        return None if self.symbols else self.horizon


def wanted_quantiles(job: Job) -> tuple[float, ...]:
    """What a forecast of this job shows: the head's quantiles and the bounds of the configured intervals."""
    return tuple(sorted({*job.head.quantiles, *level_quantiles(job.forecast.levels)}))


def level_quantiles(levels: tuple[float, ...]) -> tuple[float, ...]:
    """The quantiles that bound central prediction intervals: a level of 80 % gives 0.1 and 0.9."""
    bounds = {round(50 + side * level / 2, 6) / 100 for level in levels for side in (-1, 1)}
    return tuple(sorted(bounds))
