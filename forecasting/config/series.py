"""The meaning of the rows, and how much of them a network reads."""

from __future__ import annotations

import re
from collections.abc import Iterator
from math import inf
from typing import Annotated, Any, Final, Literal, TypeAlias

from pydantic import AfterValidator, Field

from forecasting.config.chosen import AUTO, SHOWN, Chosen
from forecasting.config.frequency import Frequency, begins_a_step, ends_of_steps
from forecasting.config.section import Fault, Section

__all__ = ["Series", "TimeFeature", "Window"]

TimeFeature: TypeAlias = Literal[
    "minute",
    "hour",
    "day_of_week",
    "day_of_month",
    "day_of_year",
    "week_of_year",
    "month",
    "quarter",
    "weekend",
]


def _region(code: str) -> str:
    if not re.fullmatch(_REGION, code):
        raise ValueError(f"must be a country such as AT, or a part of one such as US-NY, got {code!r}")
    return code


_REGION: Final = r"^[A-Z]{2}(-[A-Z0-9]{1,3})?$"
Region = Annotated[str, AfterValidator(_region), Field(json_schema_extra={"pattern": _REGION})]


def _covariates_are_of_one_kind(series: Any) -> Iterator[Fault]:
    named = [*series.past, *series.future, *series.static]
    if twice := sorted({name for name in named if named.count(name) > 1}):
        yield Fault("", f"{', '.join(twice)} must be in only one of past, future, and static")


def _labels_are_covariates(series: Any) -> Iterator[Fault]:
    known = {*series.past, *series.future, *series.static, "y"}
    if unknown := sorted(set(series.categorical) - known):
        yield Fault("categorical", f"{', '.join(unknown)} is not in past, future, or static")


def _places_are_of_a_line(series: Any) -> Iterator[Fault]:
    if series.places and series.layout != "line":
        yield Fault("places", f"this orders a line, but layout is {series.layout}; leave it out")
    if twice := sorted({place for place in series.places if series.places.count(place) > 1}):
        yield Fault("places", f"names {', '.join(twice)} more than once")


def _bounds_are_in_order(series: Any) -> Iterator[Fault]:
    if series.lower is not None and series.upper is not None and series.lower >= series.upper:
        yield Fault("lower", f"must be below upper, which is {series.upper:g}, got {series.lower:g}")


def _logarithm_is_defined(series: Any) -> Iterator[Fault]:
    if series.transform == "log1p" and (series.lower is None or series.lower <= -1):
        got = "none" if series.lower is None else f"{series.lower:g}"
        yield Fault("lower", f"the transform log1p needs a bound above -1, for example 0, got {got}")


def _steps_end_at_their_stamp(series: Any) -> Iterator[Fault]:
    freq = series.freq
    if series.aggregate is not None and begins_a_step(freq):
        ends = ends_of_steps(freq)
        yield Fault("aggregate", f"a step ends at its stamp, and those of {freq} begin one; set freq to {ends}")


def _days_have_a_use(series: Any) -> Iterator[Fault]:
    usual = type(series).model_fields["days_around"].default  # written out where a job comes from JSON
    if series.days_around != usual and series.holidays is None and series.events is None:
        yield Fault("days_around", "there are neither holidays nor events; name them, or leave it out")


class Series(Section):
    """The meaning of the rows, and how they are cleaned."""

    RULES = (
        _steps_end_at_their_stamp,
        _days_have_a_use,
        _covariates_are_of_one_kind,
        _labels_are_covariates,
        _places_are_of_a_line,
        _bounds_are_in_order,
        _logarithm_is_defined,
    )

    freq: Frequency
    """The step of the series, a pandas offset alias: 5min, h, D, B, W-SUN, ME, QS, …"""

    season: int | None = Field(None, ge=1)
    """Steps in a season, for seasonal naive and MASE; `null`: the natural one of `freq`."""

    past: tuple[str, ...] = ()
    """Covariates that are known only up to the cutoff."""

    future: tuple[str, ...] = ()
    """Covariates that are known ahead: a forecast needs their values over the horizon."""

    static: tuple[str, ...] = ()
    """Covariates with one value per series."""

    categorical: tuple[str, ...] = ()
    """The covariates above, and `y`, that are labels, not numbers. A label never seen in training has its own bucket.
    """

    calendar: tuple[TimeFeature, ...] = ()
    """[Time features](#time-features), known ahead for every stamp."""

    holidays: Region | None = Field(None, examples=["US-NY"])
    """[Public holidays](data.md#holidays-and-events) of a country, or of a part of it, known ahead."""

    events: str | None = Field(None, examples=["promotions.csv"])
    """A CSV file of [events](data.md#holidays-and-events) that are known ahead, with the columns `ds`, `name`, and, for
    events of several days, `until`."""

    days_around: int = Field(1, ge=0, le=14)
    """Days before and after a holiday or an event that have features of their own."""

    layout: Literal["none", "line", "grid"] = "none"
    """Series that a network reads together, as neighbors: see [Frames and lines](frames.md)."""

    places: tuple[str, ...] = ()
    """The order of the series on a line; empty: alphabetical."""

    gaps: Literal["mask", "fill", "refuse"] = "mask"
    """`mask`: missing steps are marked for the network; `fill`: they take the last reading; `refuse`: an error."""

    max_gap: int | None = Field(None, ge=0)
    """No window for training or calibration spans a longer gap; `null`: the context."""

    aggregate: Literal["mean", "sum", "last", "min", "max", "count"] | None = None
    """How the readings of a step are combined if they come at [irregular times](data.md#irregular-sensors); `null`:
    every stamp must lie on the grid of `freq`."""

    duplicates: Literal["mean", "first", "last", "sum", "refuse"] = "refuse"
    """How two readings of one series at one stamp are combined; `refuse`: an error."""

    lower: float | None = None
    """Lower readings count as missing, and forecasts are clipped."""

    upper: float | None = None
    """Higher readings count as missing, and forecasts are clipped."""

    integer: bool = False
    """Whether forecasts are whole numbers."""

    transform: Literal["none", "log", "log1p"] = "none"
    """What the network sees. `log`: log(y), for readings above zero; later ones at or below zero count as very low.
    `log1p`: log(1 + y), which depends on the unit; it needs `lower` above -1. With `model: auto`, where the key is left
    out, `log` is chosen where a ridge regression forecasts the validation span better by it."""

    scale: Literal["standard", "robust", "none"] = "standard"
    """How each series is scaled: `standard` by mean and standard deviation, `robust` by median and quartiles, or
    `none`."""

    start: str | None = Field(None, examples=["2024-03-31"])
    """Rows before this stamp are left out."""

    end: str | None = Field(None, examples=["2024-03"])
    """Rows after this stamp are left out; a day, a month, or a year includes all of it: `2024-03` keeps March."""

    min_length: int = Field(2, ge=1)
    """Shorter series are left out and reported."""

    @property
    def bounds(self) -> tuple[float, float]:
        """Between which a reading counts; infinite where there is no bound."""
        return -inf if self.lower is None else self.lower, inf if self.upper is None else self.upper

    @property
    def knows_ahead(self) -> bool:
        """Whether any input is known ahead: a covariate, the calendar, holidays, or events."""
        return bool(self.future or self.calendar or self.holidays or self.events)

    @property
    def symbolic(self) -> bool:
        """Whether the readings are labels."""
        return "y" in self.categorical


def _block_is_within_the_horizon(window: Any) -> Iterator[Fault]:
    if window.block is not None and window.block > window.horizon:
        yield Fault("block", f"must be at most the horizon of {window.horizon} steps, got {window.block}")


class Window(Section):
    """How much of the past the network reads and how far ahead it forecasts, in steps of `series.freq`."""

    RULES = (_block_is_within_the_horizon,)

    context: Chosen = Field(AUTO, examples=[72], json_schema_extra=SHOWN)
    """Steps that the network reads; `auto`: two to three seasons, and more than the horizon, as the data allows."""

    horizon: int = Field(ge=1, le=10_000, examples=[12])
    """Steps that it forecasts."""

    block: int | None = Field(None, ge=1)
    """Steps that a direct network forecasts at once, at most the horizon; `null`: all of them."""

    stride: int = Field(1, ge=1)
    """Steps between the starts of neighboring training windows."""

    min_observed: float = Field(0.5, gt=0, le=1)
    """Share of the context that must be actual readings."""

    @property
    def at_once(self) -> int:
        """The steps that a direct network gives at once."""
        return self.block or self.horizon
