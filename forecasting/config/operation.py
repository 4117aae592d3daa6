"""How a job runs by itself: the sections of its configuration about intervals, schedule and watch."""

from __future__ import annotations

import re
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, field_validator

from forecasting.config.section import Section

__all__ = ["MIN_RESIDUALS", "Calibrate", "Forecast", "Monitor", "Schedule", "least_stamps"]

MIN_RESIDUALS: Final = 50  # of each step, for intervals renewed from live forecasts
_HORIZONS: Final = 4  # stamps of as many: one forecast that went wrong, or well, says little
_FIELD = r"[\d*/,\-A-Za-z#?]+"


class Calibrate(Section):
    """Which residuals an interval is made of."""

    by: str = "all"  # all series alike; series: each its own; a static label: those of the same label
    half_life: int | None = Field(None, ge=1)  # steps after which a residual counts half; none: all count alike


class Forecast(Section):
    """What a forecast run gives besides the quantiles: prediction intervals of these levels, in per cent."""

    levels: tuple[int, ...] = (80,)
    paths: int = Field(200, ge=10)  # sample paths of networks that go on from their own forecasts
    temperature: float = Field(1.0, ge=0)  # of symbols that are drawn; 0: always the most probable one
    top: int | None = Field(None, ge=1)  # symbols are drawn from so many of the most probable; none: from all
    seed: int = 1  # of what is drawn
    calibrate: Calibrate = Calibrate()

    @field_validator("levels")
    @classmethod
    def _percent(cls, levels: tuple[int, ...]) -> tuple[int, ...]:
        if any(not 0 < level < 100 for level in levels):
            raise ValueError(f"{list(levels)} must lie between 0 and 100")
        return levels


class Monitor(Section):
    """When a live model is watched with suspicion; what is left out comes from season and horizon, see the docs."""

    window: int | None = Field(None, ge=20)  # latest steps that are judged; none: see the docs
    level: float = Field(0.01, gt=0, lt=0.5)  # chance that drift is seen where there is none
    confidence: float = Field(0.99, gt=0.5, lt=1)  # that an error or a coverage is really another than promised
    tolerance: float = Field(0.1, ge=0)  # share by which the error may exceed what the backtest promised
    margin: float = Field(0.05, gt=0, lt=1)  # by which coverage may leave what was asked for and what was promised
    silence: int | None = Field(None, ge=1)  # steps without any new reading that raise an alarm; none: two horizons
    patience: int | None = Field(None, ge=1)  # steps until a retraining that did not help is repeated; none: the window


class Schedule(Section):
    """When the job's flows run by themselves: one cron line each, in local time; none: not by the clock."""

    time_zone: str = "UTC"  # IANA name of the zone of all lines
    ingest: str | None = None
    training: str | None = None  # besides: whenever the monitor wants it
    batch: str | None = None  # none: after an ingest that brought readings
    monitor: str | None = None  # none: after an ingest that brought readings

    @field_validator("time_zone")
    @classmethod
    def _zone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError("no IANA time zone, such as UTC or Europe/Berlin") from None
        return name

    @field_validator("ingest", "training", "batch", "monitor")
    @classmethod
    def _five_fields(cls, line: str | None) -> str | None:
        fields = (line or "* * * * *").split()
        if len(fields) != 5 or not all(re.fullmatch(_FIELD, field) for field in fields):
            raise ValueError("a cron line has five fields: minute, hour, day of month, month, day of week")
        return line


def least_stamps(horizon: int) -> int:
    """The stamps that must have been forecast before error and coverage are judged."""
    return max(_HORIZONS * horizon, MIN_RESIDUALS + horizon)
