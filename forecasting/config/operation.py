"""How a job runs by itself: the sections of its configuration about forecasts, schedule, and monitoring."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import Field

from forecasting.config.clock import CronLine, TimeZone
from forecasting.config.section import Section

__all__ = ["MIN_RESIDUALS", "Anomalies", "Calibrate", "Forecast", "Monitor", "Schedule", "least_stamps"]

MIN_RESIDUALS: Final = 50  # of each step, for intervals renewed from live forecasts
_HORIZONS: Final = 4  # in a window: one forecast that went wrong, or well, says little


class Calibrate(Section):
    """The residuals that the intervals are made of."""

    by: str = Field("all", examples=["all", "series"])
    """Residuals of `all` series; of the series alone (`series`); or of the series with the same label (the name of a
    static label). A group with fewer than 50 residuals of a step uses those of all; more than 400 series have fewer
    each, see [Calibration](evaluation.md#calibration-intervals-with-valid-coverage)."""

    half_life: int | None = Field(None, ge=1)
    """Steps after which a residual counts half, so that intervals follow a changing world; `null`: all count alike."""


class Forecast(Section):
    """The content of a forecast."""

    levels: tuple[Annotated[int, Field(gt=0, lt=100)], ...] = (80,)
    """Prediction intervals in percent, besides the quantiles of the head."""

    paths: int = Field(200, ge=10)
    """Sample paths of each window, where a model goes on from its own forecasts."""

    temperature: float = Field(1.0, ge=0)
    """Temperature for drawing symbols; 0 always takes the most probable."""

    top: int | None = Field(None, ge=1)
    """Draw only from this many of the most probable symbols; `null`: from all."""

    seed: int = 1
    """Seed for drawing symbols."""

    missing_ahead: Literal["refuse", "last", "seasonal", "climatology"] = "refuse"
    """How values of `series.future` that are missing in the horizon are [filled](data.md#known-ahead-values): as the
    `last` known one, as that of one season before (`seasonal`), or as the mean, for labels the most frequent one, of
    the same place of the season in the context (`climatology`). The answer says which were filled. `refuse`: such a
    series has no forecast."""

    max_age: int | None = Field(None, ge=1)
    """Steps without a reading, counted to the newest one of all series and to now, after which a series is stale: it is
    forecast and named in the warnings. `null`: one horizon, and now does not count."""

    calibrate: Calibrate = Calibrate()
    """The residuals that the intervals are made of."""


class Anomalies(Section):
    """Readings that no forecast expected: [Anomalies](monitoring.md#anomalies)."""

    alarms_per_month: float = Field(1.0, gt=0, le=1000)
    """False alarms that are accepted of each series in a month."""


class Monitor(Section):
    """When a live model needs attention: [Monitoring](monitoring.md) explains each rule."""

    window: int | None = Field(None, ge=20)
    """Number of latest steps to test for drift, to renew intervals from, and to show; at least four horizons and at
    least one horizon plus 50. `null`: 100, twice the season, or four horizons, whichever is longest."""

    false_alarms: float = Field(1.0, ge=0.1, le=365)
    """False alarms a year that are accepted, of all tests together; fewer make every one of them slower."""

    tolerance: float = Field(0.1, ge=0)
    """Share by which the live error may exceed that of the backtest."""

    margin: float = Field(0.05, gt=0, lt=1)
    """Tolerated distance of the live coverage from the nominal coverage and from the backtest's."""

    silence: int | None = Field(None, ge=1)
    """Steps without a new reading after which an alarm is raised; `null`: two horizons."""

    patience: int | None = Field(None, ge=1)
    """Steps to wait before repeating a retraining that did not help; `null`: the window."""

    anomalies: Anomalies | None = Anomalies()
    """How readings are judged when they come; `null`: not at all."""


class Schedule(Section):
    """When the job's flows run by themselves.

    `gatecast deploy` brings the schedule to Prefect: [Schedule](schedule.md). A job without a schedule runs only on
    request. Each line has the five fields of cron.
    """

    time_zone: TimeZone = "UTC"
    """IANA name of the zone of all lines: [changes of the clock](schedule.md#changes-of-the-clock)."""

    ingest: CronLine | None = None
    """When to ingest; `null`: not by the clock."""

    training: CronLine | None = None
    """When to train; the monitor may also request a training at any time. `null`: not by the clock."""

    batch: CronLine | None = None
    """When to forecast; `null`: after every ingest that brought readings."""

    monitor: CronLine | None = None
    """When to check the live model; `null`: after every ingest that brought readings."""


def least_stamps(horizon: int) -> int:
    """The stamps that a window must have, so that intervals can be renewed from it."""
    return max(_HORIZONS * horizon, MIN_RESIDUALS + horizon)
