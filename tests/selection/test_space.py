"""Whether `auto` learns from readings or from their logarithms is chosen on the validation windows."""

from typing import cast

import numpy as np
import pandas as pd
import pytest

from forecasting.config.job import Job, parse_job
from forecasting.selection.members import Watched
from forecasting.selection.space import choose_space, is_lasting
from forecasting.series.defaults import resolve
from forecasting.series.folds import folds
from forecasting.series.scaling import Scaler
from forecasting.series.windows import Windows

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


def test_a_gain_that_one_quarter_does_not_share_is_none(rng: np.random.Generator) -> None:
    """Better by far in all, whatever the order of the windows; the quarter in which it is worse decides."""
    y = 10 + rng.normal(size=(40, 3))
    order = rng.permutation(40)
    watched = Watched(cast(Windows, None), np.arange(40), y, *np.ones((2, 40, 1, 1)), Scaler())
    off = np.ones((40, 1, 1))
    plain = y[..., None] + off
    better, mixed = y[..., None] + 0.5 * off, y[..., None] + np.where(order < 10, 1.1, 0.2)[:, None, None]

    class At(Watched):
        @property
        def cutoffs(self) -> np.ndarray:
            return order

    at = At(*watched)
    assert is_lasting(at, plain, better, (0.5,))
    assert not is_lasting(at, plain, mixed, (0.5,))
    assert not is_lasting(at, plain, y[..., None] + 0.99 * off, (0.5,))
