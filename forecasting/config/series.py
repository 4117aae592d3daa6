"""What the rows mean, and how much of them a network reads."""

from __future__ import annotations

from math import inf
from typing import Literal

from pydantic import Field, model_validator

from forecasting.config.section import Section

__all__ = ["Series", "Window"]


class Series(Section):
    """What the rows mean and how they are put in order."""

    freq: str  # a pandas offset alias: 5min, h, D, B, W-SUN, ME, QS, …
    season: int | None = Field(None, ge=1)  # steps in a season; none: the natural one of `freq`
    past: tuple[str, ...] = ()  # covariates known up to now
    future: tuple[str, ...] = ()  # covariates known ahead
    static: tuple[str, ...] = ()  # one value per series
    categorical: tuple[str, ...] = ()  # those of the covariates above, and of y, that are labels, not numbers
    calendar: tuple[str, ...] = ()  # time features known ahead, see `gatecast check --help`
    layout: Literal["none", "line", "grid"] = "none"  # series that a network reads together, as neighbours
    places: tuple[str, ...] = ()  # the order of the series on a line; none: that of their names
    gaps: Literal["mask", "fill", "refuse"] = "mask"
    max_gap: int | None = Field(None, ge=0)  # longer gaps split a series; none: the window's context
    duplicates: Literal["mean", "first", "last", "sum", "refuse"] = "refuse"
    lower: float | None = None  # readings below are treated as missing, forecasts are clipped
    upper: float | None = None
    integer: bool = False
    transform: Literal["none", "log1p"] = "none"
    scale: Literal["standard", "robust", "none"] = "standard"
    start: str | None = None  # rows before are left out
    end: str | None = None  # rows after are left out
    min_length: int = Field(2, ge=1)  # shorter series are left out and reported

    @property
    def bounds(self) -> tuple[float, float]:
        """Between which a reading counts; infinite where there is no bound."""
        return -inf if self.lower is None else self.lower, inf if self.upper is None else self.upper

    @property
    def symbolic(self) -> bool:
        """Whether the readings are labels."""
        return "y" in self.categorical

    @model_validator(mode="after")
    def _consistent(self) -> Series:
        named = [*self.past, *self.future, *self.static]
        twice = sorted({name for name in named if named.count(name) > 1})
        if twice:
            raise ValueError(f"{', '.join(twice)} stands in more than one of past, future and static")
        unknown = sorted(set(self.categorical) - {*named, "y"})
        if unknown:
            raise ValueError(f"categorical names {', '.join(unknown)}, not among past, future or static")
        if self.places and self.layout != "line":
            raise ValueError(f"places is the order of a line, but layout is {self.layout}")
        if len(set(self.places)) < len(self.places):
            raise ValueError(
                f"places names {', '.join(sorted({p for p in self.places if self.places.count(p) > 1}))} twice"
            )
        if self.lower is not None and self.upper is not None and self.lower >= self.upper:
            raise ValueError(f"lower {self.lower} is not below upper {self.upper}")
        if self.transform == "log1p" and self.lower is None:
            raise ValueError("transform log1p needs a lower bound above -1, for example lower: 0")
        if self.transform == "log1p" and self.lower is not None and self.lower <= -1:
            raise ValueError(f"transform log1p needs a lower bound above -1, not {self.lower}")
        return self


class Window(Section):
    """How much of the past the network reads and how far ahead it forecasts, in steps."""

    context: int = Field(ge=1, le=100_000)
    horizon: int = Field(ge=1, le=10_000)
    block: int | None = Field(None, ge=1)  # steps that the network gives at once, then goes on from its own; none: all
    stride: int = Field(1, ge=1)
    min_observed: float = Field(0.5, gt=0, le=1)  # share of the context that must be real readings

    @model_validator(mode="after")
    def _within(self) -> Window:
        if self.block is not None and self.block > self.horizon:
            raise ValueError(f"block {self.block} is longer than the horizon {self.horizon}")
        return self

    @property
    def at_once(self) -> int:
        """The steps that a direct network gives at once."""
        return self.block or self.horizon
