"""The parts of a job that only the networks can check."""

from forecasting.config import Job
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
        heads.build(job.head.name, job.head.quantiles)
    except ConfigError as error:
        violations.append(str(error))
    if violations:
        raise ConfigError("\n".join(violations))
