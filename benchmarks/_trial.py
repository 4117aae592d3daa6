"""Homes that faults are tried on: commands as processes of their own, and what must be the same in the end."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import psutil

from forecasting.bundle.artifact import open_bundle
from forecasting.config.settings import Settings
from forecasting.errors import GatecastError, UnknownVersionError
from forecasting.registry.cache import Cache
from forecasting.registry.client import connect
from forecasting.registry.registry import Registry
from forecasting.runtime.files import write_text
from forecasting.runtime.workspace import Workspace
from forecasting.storage.fingerprint import fingerprint
from forecasting.storage.store import Store

__all__ = ["NAME", "Bench", "Done", "Home", "Round", "kill_tree"]

NAME = "tiny"
JOB = """
name: tiny
source: {kind: synthetic, series: 8, length: 300, freq: h, season: 24, noise: 0.1, seed: 1}
series: {freq: h}
window: {context: 12, horizon: 4}
model: {name: stacked, params: {cell: gru, units: [4]}}
train: {epochs: 2, batch_size: 64, learning_rate: 0.01, seed: 1, windows_per_epoch: 256}
backtest: {windows: 10, step: 2}
"""
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


class Round(NamedTuple):
    """What was done to a home, and every promise that was broken."""

    note: str
    violations: list[str]


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
        command = [sys.executable, "-c", "from forecasting.cli.main import main; main()", verb, str(self.config), *rest]
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
        place = Settings(home=self.path)
        return Registry(self.tracking or place.tracking_uri, place.home, place.locks)

    def content(self) -> Content:
        """Everything that must be the same in the end, however it came about."""
        return {**_tables(self), **_registered(self)}

    def copy(self, path: Path) -> Home:
        """The same at another place."""
        shutil.copytree(self.path, path, dirs_exist_ok=True)
        return replace(self, path=path)


@dataclass
class Bench:
    """The folder of all homes; what rounds begin with is made once."""

    place: Path
    draw: np.random.Generator
    count: Counter[str] = field(default_factory=Counter)
    seconds: dict[str, float] = field(default_factory=dict)  # what was measured once

    @property
    def config(self) -> Path:
        """The job."""
        path = self.place / "tiny.yaml"
        write_text(path, JOB)
        return path

    @cached_property
    def ingested(self) -> Home:
        """A home with readings."""
        return self._made("ingested", None, "ingest")

    @cached_property
    def trained(self) -> Home:
        """A home with a live model, a refused one, and forecasts."""
        return self._made("trained", self.ingested, "train")

    @cached_property
    def live(self) -> Home:
        """The same before its first forecasts."""
        home = self.fresh(self.trained, "live")
        for name in ("forecasts", "parts"):
            shutil.rmtree(Workspace(home.path).tables(NAME) / name)
        return home

    @cached_property
    def forecast(self) -> Home:
        """A home whose first forecasts were made in shards."""
        return self._made("forecast", self.live, "forecast", "--shards", "4")

    def _made(self, name: str, begin: Home | None, *words: str) -> Home:
        """What an undisturbed command makes of another home."""
        home, finished = Home(self.place / name, self.config), self.place / f"{name}.done"
        if not finished.exists():  # not made elsewhere and renamed: MLflow's database knows the place of its files
            shutil.rmtree(home.path, ignore_errors=True)
            done = (begin.copy(home.path) if begin else home).run(*words)
            if done.code:
                raise SystemExit(f"an undisturbed {words[0]} ended with {done.code}:\n{done.said}")
            finished.touch()
        return home

    def fresh(self, home: Home, case: str) -> Home:
        """A copy for one round."""
        self.count[case] += 1
        path = self.place / "rounds" / f"{case}-{self.count[case]}"
        shutil.rmtree(path, ignore_errors=True)
        return home.copy(path)

    def held_against(
        self, home: Home, twin: Home, repeats: Callable[[], Done] | None = None, *, keep: bool = False
    ) -> list[str]:
        """What a home has otherwise than its twin, after the command was repeated where there is one to repeat.

        A home that has all the same goes, but where it is to be kept.
        """
        found = []
        if repeats is not None and (done := repeats()).code != 0:
            return [f"the repetition ended with {done.code}: {done.last}"]
        mine, other = home.content(), twin.content()
        found += [f"{key}: {mine[key]} against {other[key]}" for key in other if mine[key] != other[key]]
        if not found and not keep:
            shutil.rmtree(home.path)
        return found


def kill_tree(pid: int) -> None:
    """SIGKILL for a process and all that it has started."""
    try:
        parent = psutil.Process(pid)
        tree = [parent, *parent.children(recursive=True)]
    except psutil.NoSuchProcess:
        return
    for each in tree:
        try:
            each.kill()
        except psutil.NoSuchProcess:
            continue


def _tables(home: Home) -> Content:
    """Fingerprints of the tables, and rows that are stored more than once."""
    store, found = Store(home.path), {}
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
    if not home.tracking and not Workspace(home.path).database.exists():
        return {"versions": [], "runs": [], "bundles": 0}  # looking would make one
    try:
        table = registry.versions.table(home.name).sort_values("version")
    except UnknownVersionError:
        return {"versions": [], "runs": [], "bundles": 0}
    versions = list(table[["version", "aliases", "model", "verdict"]].itertuples(index=False, name=None))
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
