"""What looking inside tells, measured.

    python -m benchmarks.insight context --seeds 3      # advice on the context, followed on real data sets
    python -m benchmarks.insight gradients              # gradients over the lags, and what clipping does
    python -m benchmarks.insight units --epochs 4       # what units of tiny Shakespeare track, also by chance

context: quickstart, sensors, and aep are trained with their context and with the one that the reach advises, for each
seed; `wql_change` is the change of the weighted quantile loss on the rolling origins. gradients: networks of 32 units
on white noise whose answer is one reading 15 steps back. units and aep need GATECAST_DATASETS, the folder of the larger
public data sets.
"""

from __future__ import annotations

from pathlib import Path

from benchmarks.harness.command_line import one_of, parser, publish
from benchmarks.harness.homes import data_folder

CASES = ("context", "gradients", "units")
CONFIGS = Path(__file__).parents[2] / "configs"
JOBS = {  # of `context`
    "quickstart": CONFIGS / "quickstart.yaml",
    "sensors": CONFIGS / "sensors.yaml",
    "aep": Path(__file__).with_name("aep.yaml"),
}


def main() -> None:
    """Measure the cases that were asked for."""
    command = parser("insight", __doc__)
    known = f"default: all of {', '.join(CASES)}"
    command.add_argument("cases", nargs="*", type=one_of(CASES), default=[*CASES], metavar="CASE", help=known)
    command.add_argument("--epochs", type=int, default=4, help="of the network of characters (default: 4)")
    command.add_argument("--steps", type=int, default=1500, help="of the networks of `gradients` (default: 1500)")
    jobs = f"of `context` (default: {', '.join(JOBS)})"
    command.add_argument("--jobs", nargs="+", type=one_of(JOBS), default=[*JOBS], metavar="JOB", help=jobs)
    command.add_argument("--seeds", type=int, default=1, help="of `context`, from 1 on (default: 1)")
    options = command.parse_args()
    figures: dict[str, object] = {}
    if "context" in options.cases:
        from benchmarks.insight import context

        seeds = range(1, options.seeds + 1)
        figures["context"] = {
            name: {f"seed {seed}": context.measure(JOBS[name], seed) for seed in seeds} for name in options.jobs
        }
    if "gradients" in options.cases:
        from benchmarks.insight import gradients

        figures["gradients"] = gradients.measure(options.steps)
    if "units" in options.cases:
        from benchmarks.insight import units

        data_folder()
        figures["units"] = units.measure(options.epochs)
    publish(figures, options.json)


if __name__ == "__main__":
    main()
