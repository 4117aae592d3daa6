"""One YAML file is one forecasting job: `load_job(path)` reads it into frozen, checked models, once, at the edge."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Final, Literal, get_args

import yaml
from pydantic import AfterValidator, Field, ValidationError

from forecasting.config.evaluation import Backtest, Gate, Ngram
from forecasting.config.head import Head, NumberHead
from forecasting.config.network import AutoModel, Model
from forecasting.config.notify import Notify
from forecasting.config.operation import Forecast, Monitor, Schedule
from forecasting.config.rules import RULES
from forecasting.config.section import Section, faults_of
from forecasting.config.selection import Selection
from forecasting.config.series import Series, Window
from forecasting.config.source import Source
from forecasting.config.training import Train
from forecasting.errors import ConfigError

__all__ = ["Job", "beginning_with", "load_job", "parse_job"]


_NAME: Final = r"^[a-z0-9][a-z0-9_-]{0,62}$"


def _job_name(name: str) -> str:
    if not re.fullmatch(_NAME, name):
        raise ValueError(
            f"must be up to 63 lowercase letters, digits, - and _, starting with a letter or a digit, got {name!r}"
        )
    return name


class Job(Section):
    """A forecasting job."""

    RULES = RULES

    name: Annotated[str, AfterValidator(_job_name)] = Field(json_schema_extra={"pattern": _NAME}, examples=["glucose"])
    """Lowercase letters, digits, `-`, and `_`; the name of the model in the registry and of the tables."""

    source: Source
    """Where the data comes from."""

    series: Series
    """The meaning of the rows, and how they are cleaned."""

    window: Window
    """How much the network reads, and how far it forecasts."""

    model: Model = AutoModel()
    """The network, or the search for one."""

    head: Head = NumberHead()
    """The distribution that is forecast."""

    selection: Selection = Selection()
    """How long the model `auto` may search."""

    train: Train = Train()
    """How the network is fitted."""

    backtest: Backtest = Backtest()
    """The rolling origins on which all candidates are judged."""

    gate: Gate = Gate()
    """When a challenger goes live."""

    forecast: Forecast = Forecast()
    """The content of a forecast."""

    schedule: Schedule | None = None
    """When the job runs by itself; `null`: only on request."""

    monitor: Monitor = Monitor()
    """When a live model needs attention."""

    notify: Notify | None = None
    """Who is told when something happens; `null`: those in the file that `GATECAST_NOTIFY` names."""

    @property
    def kind(self) -> Literal["numbers", "symbols"]:
        """The kind of forecast: numbers or symbols."""
        return "symbols" if self.head.name == "categorical" else "numbers"

    @property
    def symbolic(self) -> bool:
        """Whether the job forecasts symbols, not numbers."""
        return self.kind == "symbols"

    @property
    def result_content(self) -> dict[str, Any]:
        """The part of the job that its results depend on, as plain data: without schedule, monitoring, and whom
        to tell."""
        return self.model_dump(mode="json", exclude={"schedule", "monitor", "notify"})

    @classmethod
    def _complete(cls, content: Any) -> Any:
        """Fill in the defaults of a job of symbols; `model: auto` is short for its name."""
        if isinstance(content, dict) and isinstance(content.get("model"), str):
            content = {**content, "model": {"name": content["model"]}}
        match content:
            case {"head": {"name": "categorical"}, "series": dict() as given}:
                labels, gate = given.get("categorical", []), content.get("gate", {})
                series = {"gaps": "refuse", **given}
                if isinstance(labels, list | tuple) and "y" not in labels:
                    series["categorical"] = [*labels, "y"]
                if isinstance(gate, dict):
                    gate = {"primary": "nats", "baselines": list(get_args(Ngram)), **gate}
                return {**content, "series": series, "gate": gate}
        return content


def beginning_with(job: Job, init: str) -> Job:
    """The job with other first weights; raises ConfigError if `init` is unknown."""
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
        faults = faults_of(error)
        lines = "\n".join(f"  - {fault}" for fault in faults)
        raise ConfigError(f"{name} has {len(faults)} violation{'s' * (len(faults) > 1)}:\n{lines}") from error
