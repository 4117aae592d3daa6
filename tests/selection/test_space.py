"""Whether `auto` learns from readings or from their logarithms is chosen on the validation windows."""

import numpy as np
import pandas as pd
import pytest

from forecasting.config.job import Job, parse_job
from forecasting.selection.space import choose_space
from forecasting.series.defaults import resolve
from forecasting.series.folds import folds

STEPS = 500


def job_of(table: pd.DataFrame, **series: object) -> Job:
    """A job of hours on this table."""
    content = {
        "name": "small",
        "source": {"kind": "synthetic"},
        "series": {"freq": "h", "calendar": [], **series},
        "window": {"context": 24, "horizon": 6},
        "model": "auto",
        "backtest": {"windows": 10, "step": 5},
    }
    return resolve(parse_job(content), table)


def table_of(y: np.ndarray) -> pd.DataFrame:
    """One series."""
    stamps = pd.date_range("2024-01-01", periods=len(y), freq="h", unit="us")
    return pd.DataFrame({"unique_id": "a", "ds": stamps, "y": y}).astype({"unique_id": "str"})


def growing(rng: np.random.Generator) -> np.ndarray:
    """A season that is multiplied with a level, which grows tenfold, and noise that is multiplied, too."""
    hours = np.arange(STEPS)
    season = np.exp(np.sin(2 * np.pi * hours / 24))
    return np.asarray(10 ** (hours / STEPS) * season * np.exp(0.2 * rng.normal(size=STEPS)))


def even(rng: np.random.Generator) -> np.ndarray:
    """The same season added to a level, which stays."""
    return np.asarray(9 + np.sin(2 * np.pi * np.arange(STEPS) / 24) + 0.3 * rng.normal(size=STEPS))


def chosen(y: np.ndarray, **series: object) -> str:
    """The transform that is chosen for a series."""
    table = table_of(y)
    job = job_of(table, **series)
    return choose_space(table, job, folds(table, job)[0]).job.series.transform


def test_a_spread_that_grows_with_the_level_is_learned_in_logarithms(rng: np.random.Generator) -> None:
    """And one that does not is left as it is."""
    assert chosen(growing(rng)) == "log"
    assert chosen(even(rng)) == "none"


@pytest.mark.parametrize("unit", [1e-9, 1e9])
def test_the_unit_decides_nothing(rng: np.random.Generator, unit: float) -> None:
    """In nano and in giga, the choice is the same."""
    assert chosen(unit * growing(rng)) == "log"


def test_a_transform_that_the_job_names_stays(rng: np.random.Generator) -> None:
    """`none` is a choice, too."""
    assert chosen(growing(rng), transform="none") == "none"
    assert chosen(even(rng), transform="log") == "log"


def test_one_reading_without_a_logarithm_keeps_all_as_they_are(rng: np.random.Generator) -> None:
    """A zero in the training span; one after the first cutoff is not known yet."""
    y = growing(rng)
    early, late = y.copy(), y.copy()
    early[100], late[-1] = 0.0, 0.0
    assert chosen(early) == "none"
    assert chosen(late) == "log"
