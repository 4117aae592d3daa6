"""One YAML file is one forecasting job: `load(path)` reads it into frozen, checked models, once, at the edge."""

from __future__ import annotations

import difflib
import re
from math import inf
from pathlib import Path
from typing import Any, Final, Literal

import yaml
from pydantic import BaseModel, Field, ValidationError, field_validator, model_validator

from forecasting.config_loop import Calibrate, Monitor, Schedule
from forecasting.config_source import (
    FileColumns,
    FileSource,
    FramesSource,
    Section,
    Source,
    SqlSource,
    SyntheticSource,
    TextSource,
)
from forecasting.errors import ConfigError

__all__ = [
    "STARTS",
    "Backtest",
    "FileColumns",
    "FileSource",
    "Forecast",
    "FramesSource",
    "Gate",
    "Head",
    "Job",
    "Model",
    "Monitor",
    "Schedule",
    "Series",
    "Source",
    "SqlSource",
    "SyntheticSource",
    "TextSource",
    "Train",
    "Window",
    "beginning_with",
    "load",
    "parse",
]


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


class Model(Section):
    """A name of `MODELS` and its parameters, which are checked against that network's own Config."""

    name: str = "stacked"
    params: dict[str, Any] = Field({})


class Head(Section):
    """A name of `HEADS` and the quantiles that are forecast; the median is always among them."""

    name: str = "quantile"
    quantiles: tuple[float, ...] = (0.1, 0.5, 0.9)

    @field_validator("quantiles")
    @classmethod
    def _increasing(cls, quantiles: tuple[float, ...]) -> tuple[float, ...]:
        if any(not 0 < q < 1 for q in quantiles) or list(quantiles) != sorted(set(quantiles)):
            raise ValueError(f"{list(quantiles)} must increase strictly and lie between 0 and 1")
        if 0.5 not in quantiles:
            raise ValueError(f"{list(quantiles)} must hold the median, 0.5")
        return quantiles


STARTS: Final = {
    "scratch": "drawn at random",
    "champion": "those of the live model",
    "encoder": "those of the live model; the recurrent layers that read the context stay as they are",
    "head": "those of the live model; only the head learns",
}


class Train(Section):
    """How the network is fitted."""

    epochs: int = Field(10, ge=1)
    batch_size: int = Field(256, ge=1)
    learning_rate: float = Field(0.001, gt=0)
    decay: Literal["constant", "cosine"] = "cosine"  # of the learning rate over all epochs
    weight_decay: float = Field(0.0001, ge=0)
    clip_norm: float = Field(1.0, gt=0)
    patience: int = Field(3, ge=1)  # epochs without a better validation loss
    validation: int | float = 0.15  # last part of the training span: a share, or a number of steps
    windows_per_epoch: int | None = Field(None, ge=1)  # none: all of them
    precision: Literal["float32", "mixed_float16", "mixed_bfloat16"] = "float32"
    jit: bool = False  # XLA
    seed: int = 1
    timeout: float | None = Field(None, gt=0)  # seconds
    init: str = "scratch"  # the weights to begin with, see STARTS; or the id of a run, whose weights then all learn
    replay: float = Field(1.0, ge=0, le=1)  # share of what the first weights have learned from that is read again
    final_fit: bool = False  # a challenger that passed is fitted once more, on all readings, before it goes on serving

    @field_validator("init")
    @classmethod
    def _known(cls, value: str) -> str:
        if value not in STARTS and not re.fullmatch("[0-9a-f]{32}", value):
            raise ValueError(f"must be one of {', '.join(STARTS)}, or the id of a run: 32 digits and letters a to f")
        return value

    @field_validator("validation")
    @classmethod
    def _sensible(cls, value: int | float) -> int | float:
        if (isinstance(value, float) and not 0 < value < 1) or value <= 0:
            raise ValueError(f"{value} must be a share between 0 and 1, or a whole number of steps")
        return value


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


class Job(Section):
    """A forecasting job."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")
    source: Source
    series: Series
    window: Window
    model: Model = Model()
    head: Head = Head()
    train: Train = Train()
    backtest: Backtest = Backtest()
    gate: Gate = Gate()
    forecast: Forecast = Forecast()
    schedule: Schedule | None = None
    monitor: Monitor = Monitor()

    @property
    def symbolic(self) -> bool:
        """Whether the job forecasts symbols, not numbers."""
        return self.head.name == "categorical"

    @model_validator(mode="before")
    @classmethod
    def _of_symbols(cls, content: Any) -> Any:
        """What is left out in a job of symbols has the values that fit them."""
        match content:
            case {"head": {"name": "categorical"}, "series": dict() as given}:
                series = {"gaps": "refuse", **given, "categorical": sorted({*given.get("categorical", ()), "y"})}
                gate = {"primary": "nats", "baselines": ["unigram", "bigram", "trigram"], **(content.get("gate") or {})}
                return {**content, "series": series, "gate": gate}
        return content

    @model_validator(mode="after")
    def _joint(self) -> Job:
        if self.series.layout != "none" and self.window.block is not None:
            raise ValueError(f"window.block is for single series; series.layout is {self.series.layout}: leave it out")
        labels = sorted({*self.series.static} & {*self.series.categorical})
        if self.forecast.calibrate.by not in ("all", "series", *labels):
            valid = ", ".join(("all", "series", *labels))
            raise ValueError(f"forecast.calibrate.by is {self.forecast.calibrate.by}; valid here: {valid}")
        if self.train.final_fit and self.symbolic:
            raise ValueError(
                "train.final_fit is for numbers; a network of symbols stays as it was judged: leave it out"
            )
        if self.schedule is not None and self.schedule.monitor is not None and self.symbolic:
            raise ValueError("schedule.monitor is for numbers; forecasts of symbols are not watched: leave it out")
        if self.train.replay < 1 and (self.symbolic or self.series.layout != "none"):
            raise ValueError(
                "train.replay is for single series of numbers; symbols and layouts are read whole: leave it out"
            )
        return self


def beginning_with(job: Job, init: str) -> Job:
    """The job with other first weights; raises ConfigError for those that there are not."""
    content = job.model_dump(mode="json", exclude_unset=True)
    return parse(content | {"train": {**content.get("train", {}), "init": init}}, name="--init")


def load(path: str | Path) -> Job:
    """Read a job from a YAML file; raise ConfigError that lists every violation."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read the configuration {path}: {error}") from error
    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} is not valid YAML: {error}") from error
    if not isinstance(content, dict):
        raise ConfigError(f"{path} must hold a mapping with the keys {', '.join(Job.model_fields)}")
    return parse(content, name=str(path))


def parse(content: dict[str, Any], *, name: str = "configuration") -> Job:
    """Check the content of a configuration; raise ConfigError that lists every violation."""
    try:
        return Job.model_validate(content)
    except ValidationError as error:
        lines = "\n".join(f"  - {_sentence(item)}" for item in error.errors())
        raise ConfigError(f"{name} has {error.error_count()} violation(s):\n{lines}") from error


_SECTIONS: dict[str, Any] = {
    **{name: field.annotation for name, field in Job.model_fields.items() if name != "source"},
    "schedule": Schedule,
    "calibrate": Calibrate,
    "columns": FileColumns,
    "file": FileSource,
    "sql": SqlSource,
    "frames": FramesSource,
    "synthetic": SyntheticSource,
    "text": TextSource,
}


def _sentence(item: Any) -> str:
    place = ".".join(str(part) for part in item["loc"]) or "the whole"
    if item["type"] == "extra_forbidden":
        return f"{place}: unknown key; {_valid_keys(item['loc'])}"
    if item["type"] == "missing":
        return f"{place}: this key is required"
    message = item["msg"].removeprefix("Value error, ")
    got = item.get("input")
    shown = "" if isinstance(got, dict | list | tuple | BaseModel) else f" (got {got!r})"
    return f"{place}: {message}{shown}"


def _valid_keys(location: tuple[Any, ...]) -> str:
    parents = [part for part in location[:-1] if part in _SECTIONS]
    section = _SECTIONS[str(parents[-1])] if parents else Job
    keys = [key for key in section.model_fields if key != "kind" or section.__name__.endswith("Source")]
    close = difflib.get_close_matches(str(location[-1]), keys, n=1)
    hint = f"did you mean {close[0]}? " if close else ""
    return f"{hint}valid keys: {', '.join(keys)}"
