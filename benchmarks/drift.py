"""How often drift is seen where there is none, and how soon a shift by one standard deviation is found."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.signal import lfilter
from scipy.special import ndtr, ndtri

from benchmarks.harness.command_line import parser, write
from forecasting.config.settings import Settings
from forecasting.monitor.drift import find_drift

__all__ = ["main"]

Floats = npt.NDArray[np.float64]

ALPHA = 0.0025  # of each of four tests that share one per cent
REFERENCE = 1000
RECENT = 50
EVERY = 10  # points between two looks, where there are several
SEASON = 24


class Kind(NamedTuple):
    """A stationary series: AR(1), with a season or without, normal or with Student's t of three degrees."""

    phi: float
    season: int
    heavy: bool

    @property
    def name(self) -> str:
        """In words."""
        words = [
            f"AR({self.phi:g})",
            *(["seasonal"] if self.season > 1 else []),
            *(["heavy tails"] if self.heavy else []),
        ]
        return ", ".join(words)

    @property
    def at_most(self) -> float:
        """The share of shifts by one deviation, 50 points long, that any test can find at this level.

        For normal noise, and told where the shift begins: Neyman and Pearson's test of the whitened step.
        """
        energy = (1 + (RECENT - 1) * (1 - self.phi) ** 2) / (1 - self.phi**2)
        return float(ndtr(np.sqrt(energy) + ndtri(ALPHA)))

    def draw(self, rows: int, rng: np.random.Generator) -> Floats:
        """One series with marginal standard deviation 1 around its season."""
        noise = rng.standard_t(3, rows + 200) / np.sqrt(3) if self.heavy else rng.normal(size=rows + 200)
        series: Floats = lfilter([np.sqrt(1 - self.phi**2)], [1, -self.phi], noise)[200:]
        return series + (2 * np.sin(2 * np.pi * np.arange(rows) / self.season) if self.season > 1 else 0.0)


KINDS = [
    Kind(phi, season, heavy)
    for season, heavy in ((1, False), (SEASON, False), (SEASON, True))
    for phi in (0, 0.4, 0.6, 0.8)
]


def alarm(series: Floats, season: int) -> tuple[bool, bool]:
    """Whether the level or the shape of the rows after the reference is said to have drifted."""
    drift = find_drift(series[:, None], REFERENCE, season=season)
    return drift.mean_shift.chance <= ALPHA, drift.shape.chance <= ALPHA


def first_alarm(series: Floats, season: int, start: int) -> int | None:
    """The look after so many points at which an alarm is raised first; none: at none up to the end."""
    looks = range(start + EVERY, len(series) - REFERENCE + 1, EVERY)
    return next((look for look in looks if any(alarm(series[: REFERENCE + look], season))), None)


def of_kind(kind: Kind, series: int, seed: int) -> dict[str, Any]:
    """The rates of one kind: one look after 50 points; ten looks at 100 points; a shift that begins after 50 points."""
    rng = np.random.default_rng(seed)
    still = [alarm(kind.draw(REFERENCE + RECENT, rng), kind.season) for _ in range(series)]
    few = max(series // 4, 1)
    moved, ever, found = [], [], []
    for _ in range(few):
        long = kind.draw(REFERENCE + 2 * RECENT, rng)
        moved.append(any(alarm(_shifted(long[: REFERENCE + RECENT], REFERENCE), kind.season)))
        ever.append(first_alarm(long, kind.season, 0) is not None)
        at = first_alarm(_shifted(long, REFERENCE + RECENT), kind.season, RECENT)
        found.append(None if at is None else at - RECENT)
    return {
        "series": series,
        "false_alarms": float(np.mean([any(pair) for pair in still])),
        "false_level": float(np.mean([pair[0] for pair in still])),
        "false_shape": float(np.mean([pair[1] for pair in still])),
        "false_in_ten_looks": float(np.mean(ever)),
        "found_in_one_look": float(np.mean(moved)),
        "at_most": None if kind.heavy else kind.at_most,
        "found_within_50": float(np.mean([at is not None for at in found])),
        "median_points": float(np.median([at if at is not None else np.inf for at in found])),
    }


def _shifted(series: Floats, since: int, size: float = 1.0) -> Floats:
    return series + np.where(np.arange(len(series)) >= since, size, 0.0)


def real_series(folder: Path) -> Iterator[tuple[str, int, Floats]]:
    """Name, season and readings of hourly and daily series that ship with the larger data sets."""
    ett = pd.read_csv(folder / "ett" / "ETTh1.csv.gz")
    for name in ett.columns[1:]:
        yield f"ETTh1 {name}", 24, ett[name].to_numpy(dtype=np.float64)
    load = pd.read_csv(folder / "load" / "AEP_hourly.csv.gz")
    yield "AEP load", 24, load.sort_values(load.columns[0])[load.columns[1]].to_numpy(dtype=np.float64)
    rates = pd.read_csv(folder / "lstnet" / "exchange_rate.txt.gz", header=None)
    for number in range(3):
        yield f"exchange rate {number}", 5, rates[number].to_numpy(dtype=np.float64)
    cold = pd.read_csv(folder / "classics" / "daily-min-temperatures.csv")
    yield "minimum temperature", 1, pd.to_numeric(cold[cold.columns[1]], errors="coerce").to_numpy(dtype=np.float64)


def of_real(series: Floats, season: int, cuts: int, seed: int) -> dict[str, Any]:
    """Alarms at random places of a real series, as it is and with a shift by one deviation of what is not season."""
    rng = np.random.default_rng(seed)
    starts = rng.integers(0, len(series) - REFERENCE - RECENT, cuts)
    pieces = [series[start : start + REFERENCE + RECENT] for start in starts]
    deviations = [
        float(np.nanstd(piece[season:REFERENCE] - piece[: REFERENCE - season]) / np.sqrt(2)) for piece in pieces
    ]
    return {
        "cuts": cuts,
        "alarms": float(np.mean([any(alarm(piece, season)) for piece in pieces])),
        "found_in_one_look": float(
            np.mean(
                [
                    any(alarm(_shifted(piece, REFERENCE, size), season))
                    for piece, size in zip(pieces, deviations, strict=True)
                ]
            )
        ),
    }


def _show(name: str, figures: dict[str, Any]) -> None:
    print(f"{name:32s}", {key: value and round(value, 4) for key, value in figures.items()}, flush=True)


def main() -> None:
    """Print a table, and write the figures where `--json` says."""
    command = parser("drift", __doc__)
    command.add_argument("--series", type=int, default=1200, help="simulated series without drift, over all kinds")
    command.add_argument("--cuts", type=int, default=50, help="places in each real series")
    command.add_argument("--seed", type=int, default=1)
    options = command.parse_args()
    begun = time.process_time()
    each = -(-options.series // len(KINDS))
    kinds = {}
    for number, kind in enumerate(KINDS):
        kinds[kind.name] = of_kind(kind, each, options.seed + number)
        _show(kind.name, kinds[kind.name])
    real = {}
    if Settings().datasets.is_dir():
        for name, season, readings in real_series(Settings().datasets):
            real[name] = of_real(readings, season, options.cuts, options.seed)
            _show(name, real[name])
    total = {
        key: float(np.mean([row[key] for row in kinds.values()])) for key in ("false_alarms", "false_in_ten_looks")
    }
    result = {"alpha": ALPHA, "all": total, "kinds": kinds, "real": real, "cpu_seconds": time.process_time() - begun}
    print(json.dumps(total))
    write(result, options.json)


if __name__ == "__main__":
    main()
