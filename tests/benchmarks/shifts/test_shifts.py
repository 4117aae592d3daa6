"""The benchmark of shifts: its faults are what they are called, its figures those of looks made by hand."""

import numpy as np
import pytest

from benchmarks.shifts.__main__ import of_fault, of_quiet
from benchmarks.shifts.life import HISTORY, Life, Look
from benchmarks.shifts.ridge import errors, train
from benchmarks.shifts.world import FAULTS, readings

BEGIN = 24 * 50
FAULT = HISTORY + 24 * 20 + 7  # where the command puts it


def test_faults_change_what_they_say_and_nothing_before() -> None:
    """Each against the same series without any."""
    still = readings("none", 24 * 100, BEGIN, 1)
    for fault in FAULTS:
        changed = readings(fault, 24 * 100, BEGIN, 1)
        np.testing.assert_array_equal(changed[:BEGIN], still[:BEGIN])
        assert (changed[BEGIN + 1 :] != still[BEGIN + 1 :]).all()
    np.testing.assert_allclose(readings("+25 %", 24 * 100, BEGIN, 1)[BEGIN:], 1.25 * still[BEGIN:])
    assert np.ptp(readings("broken sensor", 24 * 100, BEGIN, 1)[BEGIN:]) == 0
    season = 10 + 3 * np.sin(2 * np.pi * np.arange(24 * 100) / 24)
    twice = readings("noise ×2", 24 * 100, BEGIN, 1) - season
    np.testing.assert_allclose(twice[BEGIN:], 2 * (still - season)[BEGIN:])


def test_promise_is_that_of_a_loop_over_the_held_out_hours() -> None:
    """Every fourth cutoff of the last twenty days, whose windows the fit has not seen."""
    y = readings("none", HISTORY, HISTORY, 2)
    model = train(1, y, HISTORY - 1, 24, 480)
    cutoffs = range(HISTORY - 1 - 480, HISTORY - 24, 5)
    absolute = [np.abs(errors(model, y, np.array([cutoff]))).mean() for cutoff in cutoffs]
    assert model.promise.mae == pytest.approx(np.mean(absolute))
    assert model.promise.stamps == 5 * len(absolute)


def test_forecasts_see_nothing_that_comes_later() -> None:
    """Readings after the cutoff may be anything."""
    y = readings("none", HISTORY + 48, HISTORY, 3)
    life, other = Life(y, 24, 1), Life(np.where(np.arange(len(y)) > HISTORY, 1e6, y), 24, 1)
    np.testing.assert_array_equal(life.model.weights, other.model.weights)
    cutoff = np.array([HISTORY])
    np.testing.assert_array_equal(life.model.forecast(life.y, cutoff), other.model.forecast(other.y, cutoff))


def test_figures_are_those_of_looks_made_by_hand() -> None:
    """Days from the fault; a look that was fine although the error was twice as large counts against the monitor."""
    looks = [
        Look(FAULT - 24, 1, "alarm", "none", ("finite",), 0.0),
        Look(FAULT + 12, 1, "fine", "none", (), 2.5),
        Look(FAULT + 24, 1, "not judged", "none", (), 2.5),
        Look(FAULT + 36, 1, "retrain", "retrain", ("error",), 2.5),
        Look(FAULT + 48, 2, "fine", "none", (), 1.0),
    ]
    found = of_fault(looks)
    assert (found["doubted_days"], found["noticed_days"], found["repaired_days"]) == (1.0, 1.5, 2.0)
    assert (found["first"], found["fine_while_twice"]) == (["error"], 1)
    quiet = of_quiet(looks, 0.5)
    assert quiet["false_alarms"] == 4.0
    assert quiet["not_judged"] == 0.2
