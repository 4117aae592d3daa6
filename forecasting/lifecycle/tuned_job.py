"""The result of `gatecast tune`: a job file with the best settings, and the table of trials."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import yaml

from forecasting.config.job import Job, parse_job
from forecasting.errors import ConfigError, DataError
from forecasting.lifecycle.home import Home
from forecasting.runtime import child
from forecasting.runtime.files import write_text
from forecasting.runtime.provenance import run_key
from forecasting.selection.tuned import Tuned
from forecasting.storage import snapshot

__all__ = ["tune", "write_tuned"]

_FOUND: Final = ("season", "calendar", "transform")  # of the section `series`
_TAKEN: Final = ("steps", "learning_rate", "batch_size")
_MEASURES: Final = ("epochs", "windows_per_epoch", "patience", "minutes")  # other ways to say how long a fit takes


def tune(home: Home, job: Job, minutes: float) -> Tuned:
    """Search for settings on the stored observations, for so many minutes of training in all.

    Raises ConfigError for a job of symbols, DataError where nothing is stored yet.
    """
    if job.symbolic:
        raise ConfigError(f"{job.name} forecasts symbols; tune searches for networks that forecast numbers")
    if home.store.observations.version(job.name) is None:
        raise DataError(f"{job.name} has no stored observations; run gatecast ingest first")
    data = snapshot.take(home.store, job)
    work = home.workspace.tuning(job.name, run_key(data.job.result_content, data.fingerprint))
    place = "forecasting.selection.tuning:tune_stored"
    found: Tuned = child.call(place, home.workspace.home, job, data.version, work=work, seconds=60 * minutes)
    return found


def write_tuned(config: Path, output: Path, found: Tuned) -> None:
    """Write the job in `config` once more to `output`, with the best settings in place of its own."""
    content: dict[str, Any] = yaml.safe_load(config.read_text(encoding="utf-8"))
    best = found.job.model_dump(mode="json")
    params = found.job.model.params.model_dump(mode="json", exclude_unset=True)
    train = {key: value for key, value in content.get("train", {}).items() if key not in _MEASURES}
    content |= {
        "series": {**content["series"], **{key: best["series"][key] for key in _FOUND}},
        "window": {**content["window"], "context": best["window"]["context"]},
        "model": {"name": found.job.model.name, "params": params},
        "train": {**train, **{key: best["train"][key] for key in _TAKEN}},
    }
    content.pop("selection", None)
    parse_job(content, name=str(output))
    text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True)
    write_text(output, f"# {config.name}, with the settings that forecast the validation windows best.\n{text}")
