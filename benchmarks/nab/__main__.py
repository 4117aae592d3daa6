"""The Numenta Anomaly Benchmark: unusual readings of real series, by its standard profile.

    python -m benchmarks.nab --json nab.json

Four files with known causes, those of the data sets that GATECAST_DATASETS names. A ridge forecasts each of them as in
production: fitted on the probation, and again every four weeks on everything that has come. The detector accepts as
many false alarms a month as --alarms says, by default one, as a job does. Beside it stand a threshold at three
deviations of the probation, the best threshold in hindsight, and the published scores of NAB's own detectors on the
same files (results/*/*_standard_scores.csv of the repository numenta/NAB), whose thresholds were chosen by scores on
the whole corpus.
"""

from __future__ import annotations

import sys
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from benchmarks.harness.command_line import one_of, parser, publish
from benchmarks.harness.homes import data_folder
from benchmarks.nab.scoring import Scored, normalized, score
from benchmarks.nab.streams import STREAMS, Stream, alarms, forecasts, threshold_alarms

__all__ = ["PUBLISHED", "main", "measure"]

_DEVIATIONS: Final = (1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 5.0, 6.0, 8.0)

# not normalized; in the order of STREAMS
PUBLISHED: Final = {
    "ARTime": (3.775210, 1.657733, 2.556330, -0.257470),
    "numenta": (2.341892, 1.322635, 2.893217, -0.573049),
    "windowedGaussian": (-5.0, -2.0, -4.0, -1.11),
    "null": (-5.0, -2.0, -4.0, -1.0),
}


def main() -> None:
    """Measure the files that were asked for."""
    command = parser("nab", __doc__)
    known = f"default: all of {', '.join(STREAMS)}"
    command.add_argument("streams", nargs="*", type=one_of(STREAMS), default=[*STREAMS], metavar="FILE", help=known)
    command.add_argument("--alarms", type=float, default=1.0, help="false alarms accepted in a month")
    options = command.parse_args()
    publish(measure(options.streams, options.alarms), options.json)


def measure(names: list[str], per_month: float) -> dict[str, Any]:
    """Scores of every detector, by file and in all."""
    found: dict[str, dict[str, tuple[Scored, float]]] = {"gatecast": {}, "threshold": {}}
    tried: dict[float, list[tuple[float, int]]] = {deviations: [] for deviations in _DEVIATIONS}
    for name in names:
        stream = Stream.read(data_folder() / "sensors" / "nab", name)
        mine = _scored(stream, alarms(stream, forecasts(stream), per_month))
        found["gatecast"][name] = mine
        found["threshold"][name] = _scored(stream, threshold_alarms(stream, 3.0))
        for deviations, scores in tried.items():
            one = _scored(stream, threshold_alarms(stream, deviations))[0]
            scores.append((one.score, one.windows))
        print(f"{name}: {mine[0]}, {mine[1]:.2f} false alarms a week", file=sys.stderr)
    windows = [one.windows for one, _ in found["gatecast"].values()]
    published = {
        model: normalized([(scores[[*STREAMS].index(name)], count) for name, count in zip(names, windows, strict=True)])
        for model, scores in PUBLISHED.items()
    }
    best = max(tried, key=lambda deviations: normalized(tried[deviations]))
    return {
        **{model: _summary(files) for model, files in found.items()},
        "best_threshold": {"deviations": best, "score": normalized(tried[best])},
        "published": published,
        "alarms_per_month": per_month,
    }


def _scored(stream: Stream, detected: npt.NDArray[np.bool_]) -> tuple[Scored, float]:
    """The score, and false alarms a week."""
    found = score(detected, stream.windows)
    return found, found.false_alarms / stream.weeks


def _summary(files: dict[str, tuple[Scored, float]]) -> dict[str, Any]:
    return {
        "score": normalized([(one.score, one.windows) for one, _ in files.values()]),
        "files": {name: one._asdict() | {"false_alarms_a_week": rate} for name, (one, rate) in files.items()},
    }


if __name__ == "__main__":
    main()
