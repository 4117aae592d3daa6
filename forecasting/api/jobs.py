"""Jobs from Python: the keys of the YAML as arguments, or a YAML file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from forecasting.config.job import Job, load_job, parse_job
from forecasting.config.source import FileSource
from forecasting.errors import ConfigError

__all__ = ["check_source", "job", "load"]

_IN_MEMORY: Final = "(a table in memory)"  # the path of a job whose readings come as a table


def job(freq: str, horizon: int, *, name: str = "forecast", **sections: Any) -> Job:
    """A job that forecasts `horizon` steps of `freq`, a pandas offset alias; everything else is chosen.

    `sections` are those of the configuration, with the same keys. Without `source`, the job reads the tables that it is
    given. Raises ConfigError that lists every violation.

    Examples:
        >>> import forecasting as fc
        >>> job = fc.job(freq="h", horizon=24, selection={"budget": "fast"}, series={"future": ["temperature"]})
        >>> job.window.horizon, job.model.name, job.series.future
        (24, 'auto', ('temperature',))
    """
    given = {"source": {"kind": "file", "path": _IN_MEMORY}, **sections}
    own: dict[str, dict[str, Any]] = {"series": {"freq": freq}, "window": {"horizon": horizon}}
    merged = {key: _merged(key, given.get(key, {}), content) for key, content in own.items()}
    return parse_job({**given, **merged, "name": name}, name="the job")


def load(path: str | Path) -> Job:
    """Read a job from a YAML file; raises ConfigError that lists every violation.

    Examples:
        >>> import forecasting as fc
        >>> fc.load("configs/quickstart.yaml").name
        'glucose'
    """
    return load_job(path)


def check_source(job: Job) -> None:
    """Raise ConfigError if the job has no source of its own to read from."""
    if isinstance(job.source, FileSource) and job.source.path == _IN_MEMORY:
        raise ConfigError("the job has no source; give it one: source={'kind': 'file', 'path': 'readings.csv'}")


def _merged(key: str, given: Any, own: dict[str, Any]) -> dict[str, Any]:
    if not isinstance(given, Mapping):
        raise ConfigError(f"{key} must be a mapping of its keys, got {given!r}")
    if twice := sorted(own.keys() & given.keys()):
        raise ConfigError(f"{key}.{twice[0]} is the argument {twice[0]}; leave it out of {key}")
    return {**own, **given}
