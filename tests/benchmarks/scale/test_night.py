"""The simulated night against nights that can be worked out by hand."""

from __future__ import annotations

import pytest

from benchmarks.scale.night import Fleet, Run, live_through


def test_equal_runs_end_after_so_many_rounds() -> None:
    """Ten runs of a minute in four places take three minutes."""
    night = live_through([Run("batch", 0.0, 60.0)] * 10, Fleet(2, 2))
    assert night.ends == {"batch": 180.0}
    assert (night.attempts, night.failed, night.busy, night.longest_wait) == (10, 0, 600.0, 120.0)


def test_what_follows_waits_for_what_it_follows() -> None:
    """A run is due when the one before has ended, however many places are free."""
    chain = Run("ingest", 10.0, 5.0, (Run("batch", 0.0, 20.0), Run("monitor", 3.0, 1.0)))
    night = live_through([chain], Fleet(1, 9))
    assert night.ends == {"ingest": 15.0, "batch": 35.0, "monitor": 19.0}


def test_first_due_goes_first() -> None:
    """With one place, runs are made in the order in which they are due."""
    night = live_through([Run("late", 30.0, 100.0), Run("early", 0.0, 50.0)], Fleet(1, 1))
    assert night.ends == {"early": 50.0, "late": 150.0}
    assert night.longest_wait == 20.0


def test_runs_of_a_lost_machine_are_made_again_elsewhere() -> None:
    """What ran on it dies with it, is noticed after ten minutes, and the other machine makes it from the beginning."""
    night = live_through([Run("batch", 0.0, 100.0)] * 2, Fleet(2, 1, lost_at=40.0))
    assert (night.attempts, night.failed, night.busy) == (3, 1, 240.0)
    assert night.end == 40.0 + 600.0 + 100.0


def test_nothing_begins_on_a_lost_machine() -> None:
    """Runs that are due after the loss find the places that are left."""
    night = live_through([Run("batch", 50.0, 100.0)] * 2, Fleet(2, 1, lost_at=40.0))
    assert (night.failed, night.end) == (0, 250.0)


def test_failing_share_is_that_of_the_attempts() -> None:
    """Every run ends in spite of failures, and so many attempts fail as should."""
    night = live_through([Run("batch", 0.0, 60.0)] * 5000, Fleet(10, 10, failing=0.2))
    assert night.attempts - night.failed == 5000
    assert night.failed / night.attempts == pytest.approx(0.2, abs=0.02)
