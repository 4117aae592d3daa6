"""The parts of a job that only the networks can check."""

from collections.abc import Callable
from typing import Final

from forecasting.config.job import Job
from forecasting.errors import ConfigError
from forecasting.nn import heads, models

__all__ = ["check"]


def check(job: Job) -> None:
    """Look up the job's network and head and check their parameters; raises ConfigError listing all violations."""
    violations = []
    try:
        models.check(job.model.name, job.model.params)
    except ConfigError as error:
        violations.append(str(error))
    try:
        heads.build(job.head.name, job.head.quantiles, classes=2 if job.head.name == "categorical" else None)
    except ConfigError as error:
        violations.append(str(error))
    if job.window.block is not None and models.goes_step_by_step(job.model.name):
        violations.append(
            f"window.block: {job.model.name} goes step by step and gives one at a time (got {job.window.block}); leave"
            " block out"
        )
    needs = NEEDS.get(job.head.name, _nothing)(job)
    if needs:
        lines = "\n".join(f"  - {need}" for need in needs)
        violations.append(f"head {job.head.name} needs {len(needs)} other setting(s):\n{lines}")
    if job.series.symbolic and not job.symbolic:
        violations.append(f"series.categorical names y: labels need head.name: categorical (got {job.head.name})")
    if job.model.name == "in_step" and not job.symbolic:
        violations.append(f"model in_step forecasts symbols in a job: set head.name: categorical (got {job.head.name})")
    if violations:
        raise ConfigError("\n".join(violations))


def _nothing(_job: Job) -> list[str]:
    return []


def _counts(job: Job) -> list[str]:
    """The negative binomial distribution is one of counts, as they are."""
    series = job.series
    wrong = {
        f"series.integer: true, since only whole numbers are counts (got {_yaml(series.integer)})": not series.integer,
        f"series.lower: 0 or more, since counts are not negative (got {_yaml(series.lower)})": (
            series.lower is None or series.lower < 0
        ),
        f"series.scale: none, since scaled counts are none any more (got {series.scale})": series.scale != "none",
        f"series.transform: none, for the same reason (got {series.transform})": series.transform != "none",
    }
    return [need for need, violated in wrong.items() if violated]


def _symbols(job: Job) -> list[str]:
    """Codes have no level that a network of numbers could forecast, and lanes are read whole."""
    wrong = {
        f"model.name: in_step, the network of symbols (got {job.model.name})": job.model.name != "in_step",
        f"train.windows_per_epoch: none, lanes are read whole (got {job.train.windows_per_epoch})": (
            job.train.windows_per_epoch is not None
        ),
        f"window.block: none, symbols come one by one (got {job.window.block})": job.window.block is not None,
    }
    series = job.series
    numbers = {name: bool(getattr(series, name)) for name in ("past", "future", "static", "calendar", "integer")}
    numbers |= {name: getattr(series, name) is not None for name in ("lower", "upper")}
    numbers |= {"transform": series.transform != "none", "layout": series.layout != "none"}
    numbers |= {"gaps but refuse": series.gaps != "refuse", "duplicates by sum or mean": series.duplicates in _ADDED}
    wrong |= {f"no series.{name}, which is for numbers": given for name, given in numbers.items()}
    return [need for need, violated in wrong.items() if violated]


def _yaml(value: object) -> str:
    return "none" if value is None else str(value).lower()


_ADDED = ("mean", "sum")

NEEDS: Final[dict[str, Callable[[Job], list[str]]]] = {"negative_binomial": _counts, "categorical": _symbols}
