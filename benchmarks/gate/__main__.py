"""The gate under siege: 200 seeded retrains, half of them planted worse, through the real contest and registry.

    python -m benchmarks.gate --json gate.json

Every retrain is judged as a training run judges: against the live model and the baselines, on the same rolling origins,
registered in MLflow, promoted or refused. What a challenger is truly worth is its loss on a long continuation of the
series that no run ever sees. After a promotion the old champion is rolled back to, so that every retrain of a world has
the same opponent. The planted half has faults of which some forecast well but must not go live; the other half are
linear models with more or less noise in their weights than the champion's.

Then as many challengers meet no champion: what the average of the backtest decides, and what would be decided if a
first model had to beat the baselines for sure.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import pandas as pd

from benchmarks.gate.first_model import first_models, summary_of_first
from benchmarks.gate.siege import WORLDS, siege, summary
from benchmarks.harness.command_line import parser, write


def main() -> None:
    """Run all retrains, print what came of each kind."""
    command = parser("gate", __doc__)
    command.add_argument("--worlds", type=int, default=WORLDS, help="of the ten, for a shorter siege")
    options = command.parse_args()
    with tempfile.TemporaryDirectory() as place:
        rows = pd.DataFrame(
            [row for number in range(options.worlds) for row in siege(Path(place) / f"world-{number}", number)]
        )
        first = [
            row for number in range(options.worlds) for row in first_models(Path(place) / f"first-{number}", number)
        ]
    result = summary(rows) | {"no_champion": summary_of_first(first)}
    print(result["table"].to_string(index=False))
    print({key: content for key, content in result.items() if key != "table"})
    write(result | {"table": result["table"].to_dict("records")}, options.json)
    sys.exit(0 if result["planted_promoted"] == 0 and result["better_refused_share"] <= 0.05 else 1)


if __name__ == "__main__":
    main()
