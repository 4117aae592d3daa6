"""One YAML file is one forecasting job: `load_job(path)` reads it into frozen, checked models, once, at the edge."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, Field, ValidationError, model_validator

from forecasting.config.evaluation import Backtest, Gate
from forecasting.config.network import Head, Model
from forecasting.config.operation import Calibrate, Forecast, Monitor, Schedule
from forecasting.config.section import Section
from forecasting.config.series import Series, Window
from forecasting.config.source import (
    FileColumns,
    FileSource,
    FramesSource,
    Source,
    SqlSource,
    SyntheticSource,
    TextSource,
)
from forecasting.config.training import Train
from forecasting.errors import ConfigError

__all__ = ["Job", "beginning_with", "load_job", "parse_job"]


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
    def kind(self) -> Literal["numbers", "symbols"]:
        """What the job forecasts."""
        return "symbols" if self.head.name == "categorical" else "numbers"

    @property
    def symbolic(self) -> bool:
        """Whether the job forecasts symbols, not numbers."""
        return self.kind == "symbols"

    @property
    def result_content(self) -> dict[str, Any]:
        """All that the job's results depend on, as plain data: not when it runs, nor how it is watched."""
        return self.model_dump(mode="json", exclude={"schedule", "monitor"})

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
    return parse_job(content | {"train": {**content.get("train", {}), "init": init}}, name="--init")


def load_job(path: str | Path) -> Job:
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
    return parse_job(content, name=str(path))


def parse_job(content: dict[str, Any], *, name: str = "configuration") -> Job:
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
