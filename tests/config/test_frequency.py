"""The grammar of frequencies against pandas, which it must never need, and against the grid that stamps go on."""

import numpy as np
import pandas as pd
import pytest
from pandas.tseries.frequencies import to_offset
from pydantic import TypeAdapter, ValidationError

from forecasting.config.frequency import ALIASES, Frequency
from forecasting.series.frequency import Grid

READ: TypeAdapter[str] = TypeAdapter(Frequency)


def refusal(freq: str) -> str:
    """The sentence for a frequency that is refused."""
    with pytest.raises(ValidationError) as caught:
        READ.validate_python(freq)
    return caught.value.errors()[0]["msg"]


@pytest.mark.parametrize("count", ["", "1", "2", "15"])
@pytest.mark.parametrize("alias", ALIASES)
def test_accepted_frequencies_are_steps_of_a_grid(alias: str, count: str) -> None:
    """pandas knows each without a warning, and each of its stamps is one step after the one before."""
    freq = READ.validate_python(count + alias)
    assert to_offset(freq).n == int(count or 1)
    stamps = pd.Series(pd.date_range("2024-01-01", periods=30, freq=freq, unit="us"))
    grid = Grid.around(stamps, freq)
    index, phase = grid.locate(stamps)
    assert (np.diff(index) == 1).all()
    assert len(set(phase)) == 1
    np.testing.assert_array_equal(grid.stamps(index, phase), stamps.to_numpy())


@pytest.mark.parametrize("freq", ["1h30min", "h30min", "1min30s"])
def test_hours_and_shorter_may_stand_one_after_the_other(freq: str) -> None:
    """As for pandas, they are added."""
    assert to_offset(READ.validate_python(freq)).nanos > to_offset("30s").nanos


@pytest.mark.parametrize(
    ("freq", "meant"),
    [
        ("hourlyy", "h"),
        ("15 minutes", "15min"),
        ("2 h", "2h"),
        ("-1h", "1h"),
        ("0h", "h"),
        ("H", "h"),
        ("1h\n", "1h"),
        ("M", "min or MS or ME"),
        ("monthly", "MS or ME"),
        ("3 quarters", "3QS or 3QE"),
        ("Y", "YS or YE"),
        ("C", "B"),
        ("w-sun", "W-SUN"),
        ("W-MONDAY", "W-MON"),
        ("5MIN", "5min"),
        ("d", "D"),
    ],
)
def test_wrong_frequencies_are_refused_with_what_was_meant(freq: str, meant: str) -> None:
    """One sentence: what came, what may have been meant, and examples."""
    examples = "examples: 5min, h, D, B, W-SUN, MS, ME, QS"
    assert refusal(freq) == f"Value error, {freq!r} is not a frequency (did you mean {meant}?); {examples}"


@pytest.mark.parametrize("freq", ["", " ", "1.5h", "1D12h", "fortnight", "12"])
def test_what_is_like_no_frequency_is_refused_with_examples(freq: str) -> None:
    """Nothing is made up where nothing is near."""
    assert refusal(freq) == (f"Value error, {freq!r} is not a frequency; examples: 5min, h, D, B, W-SUN, MS, ME, QS")


def test_steps_shorter_than_a_stamp_are_refused() -> None:
    """Stamps are microseconds: what pandas calls ns would be a step of nothing."""
    assert to_offset("ns").nanos == 1
    assert "'ns' is not a frequency" in refusal("ns")


@pytest.mark.parametrize("freq", ["bh", "2bh", "cbh", "BH"])
def test_business_hours_are_refused_with_what_to_take(freq: str) -> None:
    """Pandas knows them, no grid here does: hours with gaps say the same."""
    assert "use h, with window.min_observed and series.max_gap" in refusal(freq)


@pytest.mark.parametrize("freq", ["hourlyy", "15 minutes", "", "H", "T", "S", "M", "Q", "Y", "A", "QE-XYZ"])
def test_what_pandas_refuses_is_refused(freq: str) -> None:
    """The grammar is never wider than pandas."""
    with pytest.raises(ValueError, match="Invalid frequency"):
        to_offset(freq)
    refusal(freq)


def test_schema_has_the_same_grammar() -> None:
    """An editor accepts and refuses what the configuration does."""
    pattern = READ.json_schema()["pattern"]
    accepted = [*ALIASES, "5min", "1h30min", "2W-MON"]
    assert pd.Series(accepted).str.fullmatch(pattern).all()
    assert not pd.Series(["hourlyy", "bh", "-1h", "0h", "", "h ", "2 h"]).str.fullmatch(pattern).any()
