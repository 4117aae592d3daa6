"""What recent rows are compared with: once a day, before and after a training that did not help."""

import numpy as np
import pandas as pd
import pytest

from forecasting.monitor.signals import Answered, Columns, Sensed, sense

KNOWN, DAY, WINDOW, ALPHA = 600, 24, 100, 0.001
STAMPS = pd.date_range("2024-01-01", periods=KNOWN + 400, freq="h", unit="us")


def sensed(rows: int, values: np.ndarray, answered: tuple[int, int] | None = None) -> Sensed:
    """A look after so many rows, where readings up to row 599 judged the model."""
    columns = Columns(("a: y",), STAMPS[:rows], values[:rows, None])
    knew = Answered(STAMPS[answered[0]], STAMPS[answered[1]]) if answered else None
    return sense(columns, STAMPS[KNOWN - 1], answered=knew, window=WINDOW, season=1, day=DAY, alpha=ALPHA)


def noise(*shifts: tuple[int, float]) -> np.ndarray:
    """White noise of deviation 1 with steps of its level."""
    values = np.random.default_rng(4).normal(size=len(STAMPS))
    for row, size in shifts:
        values[row:] += size
    return values


def alarms(found: Sensed) -> bool:
    """Whether a drift is news."""
    return found.onset(ALPHA) is not None


def test_looks_of_a_day_test_the_same_rows() -> None:
    """They cannot alarm more often than one look; before the first whole day there is none."""
    values = noise((KNOWN + 6, 4.0))
    assert sensed(KNOWN + 23, values).drift is None
    one, other = sensed(KNOWN + 24, values), sensed(KNOWN + 47, values)
    assert (one.drift, one.reference, one.recent) == (other.drift, 600, 24)
    assert alarms(one)
    assert one.drift is not None
    assert abs(one.drift.mean_shift.onset - (KNOWN + 6)) <= 1
    assert sensed(KNOWN + 48, values).recent == 48


def test_reference_survives_a_refused_training_and_then_grows() -> None:
    """The level rose at row 600; a training that knew a day of it was refused."""
    values, knew = noise((KNOWN, 4.0)), (KNOWN, KNOWN + 23)
    first = sensed(KNOWN + 24, values, knew)
    assert (first.reference, first.recent) == (KNOWN, 24)
    assert first.drift is not None
    assert first.drift.mean_shift.chance <= ALPHA  # found as before,
    assert not alarms(first)  # and known to the training
    grown = [sensed(KNOWN + rows, values, knew) for rows in (48, 72, 96, 240)]
    assert [(one.reference, one.recent) for one in grown] == [(40, 8), (40, 32), (48, 48), (100, 100)]
    assert not any(alarms(one) for one in grown)


@pytest.mark.parametrize("after", [60, 150])
def test_drift_after_an_answered_one_is_news(after: int) -> None:
    """Whether the new level has been there long enough to be the reference, or not yet."""
    values = noise((KNOWN, 4.0), (KNOWN + after, 12.0))
    looks = [sensed(KNOWN + rows, values, (KNOWN, KNOWN + 23)) for rows in range(24, after + 73, 24)]
    assert [alarms(one) for one in looks[: after // 24]] == [False] * (after // 24)
    assert any(alarms(one) for one in looks)


def test_columns_that_are_hardly_known_are_left_out() -> None:
    """The mean residual of a long horizon is known late; alone, it leaves nothing to test."""
    values = np.stack([noise((KNOWN, 4.0)), noise((KNOWN, 4.0))], axis=1)
    values[39:, 1] = np.nan
    both = Columns(("a: first", "a: all"), STAMPS[: KNOWN + 48], values[: KNOWN + 48])
    asked = {"answered": None, "window": WINDOW, "season": 1, "day": DAY, "alpha": ALPHA}
    assert sense(both, STAMPS[KNOWN - 1], **asked).columns.names == ("a: first",)
    late = Columns(("a: all",), both.stamps, both.values[:, 1:])
    assert sense(late, STAMPS[KNOWN - 1], **asked).drift is None


def test_new_version_is_compared_with_what_it_knows_since_the_drift() -> None:
    """It was judged by readings of the new level: those before are no reference, and too few are none."""
    values = noise((KNOWN - 50, 4.0))
    assert sensed(KNOWN + 24, values, (KNOWN - 50, KNOWN - 1)).reference == 50
    assert not alarms(sensed(KNOWN + 24, values, (KNOWN - 50, KNOWN - 1)))
    short = sensed(KNOWN + 24, values, (KNOWN - 20, KNOWN - 1))
    assert (short.reference, short.drift) == (20, None)
