"""A home under faults: commands as processes of their own, and what must be the same in the end."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.harness.homes import registry_of
from benchmarks.harness.processes import GATECAST, kill_tree
from forecasting.bundle.artifact import open_bundle
from forecasting.errors import GatecastError, UnknownVersionError
from forecasting.registry.cache import Cache
from forecasting.registry.client import connect
from forecasting.registry.registry import Registry
from forecasting.storage.fingerprint import fingerprint
from forecasting.storage.store import Store

__all__ = ["NAME", "PATIENT", "Done", "Home", "differences"]

NAME = "tiny"
PATIENT = 600.0  # seconds that a command may take on a busy machine

Content = dict[str, Any]


class Done(NamedTuple):
    """How a command ended, and what it said on standard error."""

    code: int
    said: str

    @property
    def last(self) -> str:
        """Its error, else its last line."""
        lines = self.said.strip().splitlines() or ["(nothing)"]
        return next((line for line in reversed(lines) if line.startswith("error: ")), lines[-1].removeprefix("· "))

    @property
    def clean(self) -> bool:
        """Whether it did its work, or told in one error of the library why not."""
        told = self.last.startswith("error: ") and not self.last.startswith("error: unexpected")
        return self.code == 0 or (self.code in (1, 2, 3) and told)


@dataclass(frozen=True)
class Home:
    """A home with its job, as a process sees it; `tracking` names an MLflow other than its own database."""

    path: Path
    config: Path
    tracking: str | None = None
    name: str = NAME  # of the job
    extra: Mapping[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        """Of every command."""
        quiet = {"CUDA_VISIBLE_DEVICES": "", "TF_CPP_MIN_LOG_LEVEL": "3", "PREFECT_LOGGING_LEVEL": "ERROR"}
        named = {"GATECAST_TRACKING_URI": self.tracking} if self.tracking else {}
        inherited = {key: value for key, value in os.environ.items() if not key.startswith(("GATECAST_", "PREFECT_"))}
        return {**inherited, **quiet, "GATECAST_HOME": str(self.path), **named, **self.extra}

    def start(self, *words: str) -> subprocess.Popen[str]:
        """A command of this home in a session of its own; standard error is a pipe."""
        verb, *rest = words
        command = [sys.executable, *GATECAST, verb, str(self.config), *rest]
        return subprocess.Popen(
            command,
            env=self.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, *words: str, seconds: float = PATIENT) -> Done:
        """The same, until its end."""
        process = self.start(*words)
        try:
            said = process.communicate(timeout=seconds)[1]
        except subprocess.TimeoutExpired:
            kill_tree(process.pid)
            return Done(-1, f"{process.communicate()[1]}\nstill running after {seconds:g} s")
        return Done(process.returncode, said)

    @property
    def registry(self) -> Registry:
        """Versions and aliases of this home."""
        return registry_of(self.path, self.tracking)

    def content(self) -> Content:
        """Everything that must be the same in the end, however it came about."""
        return {**_tables(self), **_registered(self)}

    def copy(self, path: Path) -> Home:
        """The same at another place."""
        shutil.copytree(self.path, path, dirs_exist_ok=True)
        return replace(self, path=path)


def differences(home: Home, twin: Home) -> list[str]:
    """What a home has otherwise than its undisturbed twin; empty where it has all the same."""
    mine, other = home.content(), twin.content()
    return [f"{key}: {mine[key]} against {other[key]}" for key in other if mine[key] != other[key]]


def _tables(home: Home) -> Content:
    """Fingerprints of the tables, and rows that are stored more than once."""
    store = Store(home.path)
    found: Content = {}
    for name, read, keys in (
        ("observations", store.observations.read, ["unique_id", "ds"]),
        ("forecasts", store.forecasts.read, ["unique_id", "ds", "cutoff", "version"]),
    ):
        try:
            table = read(home.name)
        except GatecastError:
            found[name] = None
            continue
        repeated = int(table.duplicated(keys).sum())
        found[name] = (len(table), repeated, fingerprint(table.drop(columns="created", errors="ignore"))[:12])
    return found


def _registered(home: Home) -> Content:
    """Versions, aliases, runs with their states; bundles that are not whole raise."""
    registry = home.registry
    if not home.tracking and not (home.path / "mlflow.db").exists():
        return {"versions": [], "runs": [], "bundles": 0}  # looking would make one
    try:
        table = registry.versions.table(home.name).sort_values("version")
    except UnknownVersionError:
        return {"versions": [], "runs": [], "bundles": 0}
    versions = list(table[["version", "aliases", "model", "verdict", "wql"]].itertuples(index=False, name=None))
    whole = 0
    for version in table["version"]:
        open_bundle(Cache(registry.versions, home.path / "whole").download(home.name, int(version)))
        whole += 1
    shutil.rmtree(home.path / "whole")
    return {"versions": versions, "runs": sorted(_runs(home)), "bundles": whole}


def _runs(home: Home) -> Iterator[str]:
    with connect(home.registry.versions.tracking_uri) as client:
        experiment = client.get_experiment_by_name(home.name)
        for run in client.search_runs([experiment.experiment_id]) if experiment else ():
            yield str(run.info.status)
