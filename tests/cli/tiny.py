"""The answer of a command, and rows for a tiny job."""

from typing import Any, NamedTuple

import pandas as pd

WAVE = [float(i % 24) for i in range(300)]


class Answer(NamedTuple):
    """How a command ended and what it said."""

    code: int
    out: str
    err: str

    @property
    def message(self) -> str:
        """What is said of the error: standard error without the steps of the progress."""
        lines = [line for line in self.err.splitlines() if not line.startswith("·")]
        return "\n".join(lines)


def rows(values: list[Any], name: str = "a") -> str:
    """A CSV file of one series."""
    stamps = pd.date_range("2026-01-01", periods=len(values), freq="h")
    return "unique_id,ds,y\n" + "".join(f"{name},{ds},{y}\n" for ds, y in zip(stamps, values, strict=True))
