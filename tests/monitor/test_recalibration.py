"""Renewed intervals: the same weights, the latest residuals, one new version, and the old one to go back to."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd
import pytest

from forecasting.bundle.forecaster import open_forecaster
from forecasting.errors import DataError
from forecasting.monitor import recalibration as repair
from forecasting.monitor.recalibration import renew_intervals
from forecasting.registry.registry import Registry

NOW = datetime.now(UTC)


@pytest.fixture
def noisy(aged: Callable[..., Any], copy: Callable[..., Any]) -> Any:
    """A home whose noise has doubled since its model went live; a training did not help."""
    return copy(aged(noise=2.0))


def renew(home: Any) -> int:
    """The intervals that a look asks for."""
    found = home.look(now=NOW)
    return renew_intervals(
        home.store, home.registry, home.job, found, cache=home.path / "cache", work=home.path / "work" / "intervals"
    )


def test_renewed_intervals_fit_the_latest_residuals(noisy: Any) -> None:
    """The weights and the median stay; the intervals now hold what they say on the readings of the last days."""
    before = noisy.registry.version("buoy", "champion")
    assert renew(noisy) == before.version + 1
    after = noisy.registry.version("buoy", "champion")
    assert after.weights == before.weights
    assert after.metrics == before.metrics
    assert after.verdict == "recalibrated"
    assert noisy.registry.version("buoy", "previous").version == before.version
    table = noisy.store.read_observations("buoy")
    cutoffs = pd.date_range("2024-01-26 18:00", "2024-01-30 12:00", freq="h")
    made = [
        open_forecaster(noisy.registry.download("buoy", version.version, noisy.path / "cache")).at(table, cutoffs)
        for version in (before, after)
    ]
    y = made[0].table().merge(table, on=["unique_id", "ds"])["y"].to_numpy().reshape(made[0].ds.shape)
    covered = [np.mean((one.values[..., 0] <= y) & (y <= one.values[..., -1])) for one in made]
    np.testing.assert_allclose(made[0].values[..., 1], made[1].values[..., 1], rtol=1e-5)
    assert covered[0] < 0.6
    assert covered[1] == pytest.approx(0.8, abs=0.06)


def test_version_says_why_and_until_when_it_knows(noisy: Any) -> None:
    """The reference moves: what came before the repair is what the new version is held against."""
    renew(noisy)
    notes = noisy.registry.version("buoy", "champion").notes
    assert pd.Timestamp(notes["known_until"]) == noisy.store.read_observations("buoy")["ds"].max()
    assert pd.Timestamp(notes["fit_until"]) < pd.Timestamp(notes["calibrated_since"])
    assert "inside the 80% interval" in notes["why"]
    found = noisy.look(now=NOW)  # of the new version, which has forecast nothing yet
    assert (found.version, found.verdict) == (2, "fine")


def test_repeated_repair_changes_nothing(noisy: Any) -> None:
    """Killed after it and started again with the same verdict: no third version, the same champion."""
    found = noisy.look(now=NOW)
    for _ in range(2):
        version = renew_intervals(
            noisy.store, noisy.registry, noisy.job, found, cache=noisy.path / "cache", work=noisy.path / "work"
        )
        assert version == 2
    assert len(noisy.registry.versions("buoy")) == 2 + _refused(noisy.registry)


def _refused(registry: Registry) -> int:
    return int((registry.versions("buoy")["verdict"] == "refused").sum())


class Killed(BaseException):
    """Stands for SIGKILL: nothing may catch it."""


@pytest.mark.parametrize("step", ["recalibrate", "register", "promote", "acted"])
def test_repair_that_was_killed_ends_like_one_that_was_not(
    noisy: Any, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """Before any of its steps: repeated, there is one new version, it is live, and the verdict is acted on."""
    found = noisy.look(now=NOW)

    def die(*args: Any, **named: Any) -> None:
        raise Killed

    arguments = (noisy.store, noisy.registry, noisy.job, found)
    named = {"cache": noisy.path / "cache", "work": noisy.path / "work"}
    with monkeypatch.context() as patched:
        patched.setattr(repair if hasattr(repair, step) else Registry, step, die)
        with pytest.raises(Killed):
            renew_intervals(*arguments, **named)
    renew_intervals(*arguments, **named)
    assert noisy.registry.version("buoy", "champion").version == 2
    assert noisy.store.kept("buoy", "verdicts")["acted"].iloc[0] != ""
    assert (noisy.registry.versions("buoy")["verdict"] == "recalibrated").sum() == 1


def test_repair_leaves_another_champion_alone(noisy: Any) -> None:
    """Whoever was promoted since the look stays, and the verdict is settled."""
    found = noisy.look(now=NOW)
    renew(noisy)
    noisy.registry.rollback("buoy")
    again = found.model_copy(update={"version": 99})
    noisy.store.keep("buoy", "verdicts", noisy.store.kept("buoy", "verdicts").assign(version=99))
    assert (
        renew_intervals(
            noisy.store, noisy.registry, noisy.job, again, cache=noisy.path / "cache", work=noisy.path / "work"
        )
        == 1
    )
    assert (noisy.registry.versions("buoy")["verdict"] == "recalibrated").sum() == 1


def test_version_without_notes_is_refused(noisy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """It does not say what it was fitted on, so no window is known to be held out; drift is not looked for."""
    monkeypatch.setattr("forecasting.monitor.recalibration.span_of", lambda live: None)
    with pytest.raises(DataError, match="train anew"):
        renew(noisy)
    monkeypatch.setattr("forecasting.monitor.check.span_of", lambda live: None)
    sentences = {rule["rule"]: rule["sentence"] for rule in noisy.look(now=NOW).rules}
    assert "does not say" in sentences["inputs_level"]
