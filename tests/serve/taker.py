"""Takes readings until it is killed, merging all the time: `python -m tests.serve.taker CONFIG FIRST`.

Prints the number of each reading that was kept; reading n of a series stands n hours after its start.
"""

import sys
import threading
import time

import pandas as pd

from forecasting.config.job import load_job
from forecasting.config.settings import ServeSettings, Settings
from forecasting.serve.intake import Intake, ReadingsRequest
from forecasting.storage.store import Store

START = pd.Timestamp("2026-01-01")


def stamp(number: int) -> str:
    """When that reading was made."""
    return (START + pd.Timedelta(hours=number)).isoformat()


def main() -> None:
    """Take one reading after the other."""
    intake = Intake(load_job(sys.argv[1]), Store(Settings().home), ServeSettings())
    threading.Thread(target=lambda: [(intake.merge(), time.sleep(0.05)) for _ in iter(int, 1)], daemon=True).start()
    for number in range(int(sys.argv[2]), 10**6):
        rows = [{"unique_id": "a", "ds": stamp(number), "y": float(number)}]
        intake.accept(ReadingsRequest(records=rows))
        sys.stdout.write(f"{number}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
