"""The folder of all homes that faults are tried on, and how a round ends."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.faults.homes import NAME, Done, Home, differences
from forecasting.runtime.files import write_text
from forecasting.runtime.workspace import Workspace

__all__ = ["Bench", "Round"]

JOB = """
name: tiny
source: {kind: synthetic, series: 8, length: 300, freq: h, season: 24, noise: 0.1, seed: 1}
series: {freq: h}
window: {context: 12, horizon: 4}
model: {name: stacked, params: {cell: gru, units: [4]}}
train: {epochs: 2, batch_size: 64, learning_rate: 0.01, seed: 1, windows_per_epoch: 256}
backtest: {windows: 10, step: 2}
"""


class Round(NamedTuple):
    """What was done to a home, and every promise that was broken."""

    note: str
    violations: list[str]


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
        if repeats is not None and (done := repeats()).code != 0:
            return [f"the repetition ended with {done.code}: {done.last}"]
        found = differences(home, twin)
        if not found and not keep:
            shutil.rmtree(home.path)
        return found
