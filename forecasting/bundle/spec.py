"""The inputs and outputs of a bundle's model, as models of its own: no change of the YAML can break a bundle."""

from __future__ import annotations

from functools import cached_property
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from forecasting.columns import PROBABILITY, SYMBOL, UNKNOWN_READ, Y, quantile_column
from forecasting.config.frequency import Frequency
from forecasting.config.job import Job
from forecasting.config.series import Series
from forecasting.series.features import Features
from forecasting.series.layout import Layout
from forecasting.series.scaling import Scaler
from forecasting.series.vocabulary import Vocabulary

__all__ = ["IntervalSpec", "MemberSpec", "Spec", "SymbolSpec", "TableSpec", "level_quantiles", "wanted_quantiles"]

_STEPS: Final = 1_000_000  # of a context or a horizon: a bundle that says more would take all memory

Steps = Annotated[int, Field(ge=1, le=_STEPS)]
Quantiles = Annotated[tuple[Annotated[float, Field(gt=0, lt=1)], ...], Field(max_length=1000)]


class _Kept(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class TableSpec(_Kept):
    """How a history is read: its frequency and columns, the limits of its readings, and the handling of flaws."""

    freq: Frequency
    season: int | None = None
    past: tuple[str, ...] = ()
    future: tuple[str, ...] = ()
    static: tuple[str, ...] = ()
    categorical: tuple[str, ...] = ()
    calendar: tuple[str, ...] = ()
    holidays: str | None = None
    events: str | None = None
    layout: Literal["none", "line", "grid"] = "none"
    places: tuple[str, ...] = ()
    gaps: Literal["mask", "fill", "refuse"] = "mask"
    max_gap: int | None = None
    aggregate: Literal["mean", "sum", "last", "min", "max", "count"] | None = None
    duplicates: Literal["mean", "first", "last", "sum", "refuse"] = "refuse"
    lower: float | None = None
    upper: float | None = None
    integer: bool = False
    transform: Literal["none", "log", "log1p"] = "none"
    scale: Literal["standard", "robust", "none"] = "standard"
    min_length: int = 2

    @classmethod
    def of(cls, series: Series) -> TableSpec:
        """The part of a job's series that a bundle keeps: without start and end, which select the training data."""
        return cls(**{name: getattr(series, name) for name in cls.model_fields})

    def as_series(self) -> Series:
        """The same for the functions of `series`, as today's configuration."""
        return Series(**{name: getattr(self, name) for name in TableSpec.model_fields})


class IntervalSpec(_Kept):
    """The residuals behind an interval: those of `all` windows, of the same series, or of the same label."""

    by: str = "all"
    half_life: int | None = None  # steps after which a residual counts half; none: all count equally


class SymbolSpec(_Kept):
    """The codes of a model of symbols, and how symbols are drawn."""

    vocabulary: Vocabulary
    unit: Literal["character", "word", "line"] = "word"  # the unit of a symbol in a text
    temperature: float = 1.0
    top: int | None = None
    seed: int = 1


class MemberFit(_Kept):
    """How the network of a member was trained, so that a last fit can train it once more."""

    params: dict[str, Any]  # of the network
    planned: int  # optimizer steps that its learning rate was planned for
    steps: int  # up to its best weights
    seed: int


class MemberSpec(_Kept):
    """A model inside an ensemble: its name in MODELS or BASELINES, its settings in words, its share, and its fit.

    Linear maps, and members of bundles of before, have no fit.
    """

    model: str
    title: str
    weight: float
    context: int
    fit: MemberFit | None = None


class Spec(_Kept):
    """Everything about a bundle except its weights: inputs, shapes, limits, vocabularies, and scaling state.

    `quantiles` are the model's; `wanted` are the forecast's: those and the bounds of the configured prediction
    intervals. `head` names the distribution of the graph's output, `block` the number of steps per call; a longer
    horizon uses `paths` sample paths. A model of symbols has no quantiles.
    """

    job: str
    model: str  # its name in MODELS or BASELINES
    baseline: bool = False  # not a network: it serves if no network was better
    head: str = "quantile"  # its name in DISTRIBUTIONS
    table: TableSpec
    features: Features
    scaler: Scaler
    layout: Layout | None = None  # where series stand that the model reads together; none: each by itself
    context: Steps
    horizon: Steps
    block: Steps | None = None  # none: the whole horizon
    paths: Annotated[int, Field(ge=1, le=100_000)] = 200
    quantiles: Quantiles
    wanted: Quantiles
    intervals: IntervalSpec = IntervalSpec()
    symbols: SymbolSpec | None = None  # none: a model of numbers
    members: tuple[MemberSpec, ...] = ()  # of an ensemble; none: a single model
    extremes: tuple[tuple[float, float], ...] = ()  # of every observed channel, scaled; none: not known
    missing_ahead: Literal["refuse", "last", "seasonal", "climatology"] = "refuse"
    max_age: Steps | None = None  # after so many steps without a reading a series is stale; none: one horizon

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        self.table.as_series()  # raises for what today's code cannot read
        if self.features.freq != self.table.freq:
            raise ValueError(f"features of freq {self.features.freq} for a table of freq {self.table.freq}")
        return self

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
        """The largest horizon of one request; none: symbols continue without end."""
        return None if self.symbols else self.horizon


def wanted_quantiles(job: Job) -> tuple[float, ...]:
    """The quantiles of a forecast of this job: the head's, and the bounds of the configured intervals."""
    return tuple(sorted({*job.head.quantiles, *level_quantiles(job.forecast.levels)}))


def level_quantiles(levels: tuple[float, ...]) -> tuple[float, ...]:
    """The quantiles that bound central prediction intervals: a level of 80 % gives 0.1 and 0.9."""
    bounds = {round(50 + side * level / 2, 6) / 100 for level in levels for side in (-1, 1)}
    return tuple(sorted(bounds))
