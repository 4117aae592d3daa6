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
from forecasting.registry.aliases import Aliases
from forecasting.registry.registry import Registry
from forecasting.registry.versions import Versions

NOW = datetime.now(UTC)


@pytest.fixture
def noisy(aged: Callable[..., Any], copy: Callable[..., Any]) -> Any:
    """A home whose noise has doubled since its model went live; a training did not help."""
    return copy(aged(noise=2.0))


def renew(home: Any) -> int:
    """The intervals that a look asks for."""
    found = home.look(now=NOW)
    return renew_intervals(home.store, home.registry, home.job, found, work=home.path / "work" / "intervals")


def test_renewed_intervals_fit_the_latest_residuals(noisy: Any) -> None:
    """The weights and the median stay; the intervals now hold what they say on the readings of the last days."""
    before = noisy.registry.versions.get("buoy", "champion")
    assert renew(noisy) == before.version + 1
    after = noisy.registry.versions.get("buoy", "champion")
    assert after.weights == before.weights
    assert after.metrics == before.metrics
    assert after.verdict == "recalibrated"
    assert noisy.registry.versions.get("buoy", "previous").version == before.version
    table = noisy.store.observations.read("buoy")
    cutoffs = pd.date_range("2024-01-26 18:00", "2024-01-30 12:00", freq="h")
    made = [
        open_forecaster(noisy.registry.cache.download("buoy", version.version)).at(table, cutoffs)
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
    notes = noisy.registry.versions.get("buoy", "champion").notes
    assert pd.Timestamp(notes["known_until"]) == noisy.store.observations.read("buoy")["ds"].max()
    assert pd.Timestamp(notes["fit_until"]) < pd.Timestamp(notes["calibrated_since"])
    assert "inside the 80% interval" in notes["why"]
    found = noisy.look(now=NOW)  # of the new version, which has forecast nothing yet
    assert found.version == 2
    states = {rule["rule"]: rule["state"] for rule in found.rules}
    assert states["coverage"] == "not judged"
    assert states["error"] == "broken"  # new intervals do not make the medians any better


def test_repeated_repair_changes_nothing(noisy: Any) -> None:
    """Killed after it and started again with the same verdict: no third version, the same champion."""
    found = noisy.look(now=NOW)
    for _ in range(2):
        version = renew_intervals(noisy.store, noisy.registry, noisy.job, found, work=noisy.path / "work")
        assert version == 2
    assert len(noisy.registry.versions.table("buoy")) == 2 + _refused(noisy.registry)


def _refused(registry: Registry) -> int:
    return int((registry.versions.table("buoy")["verdict"] == "refused").sum())


class Killed(BaseException):
    """Stands for SIGKILL: nothing may catch it."""


@pytest.mark.parametrize(
    ("part", "step"), [(repair, "recalibrate"), (Versions, "register"), (Aliases, "promote"), (repair, "acted")]
)
def test_repair_that_was_killed_ends_like_one_that_was_not(
    noisy: Any, monkeypatch: pytest.MonkeyPatch, part: Any, step: str
) -> None:
    """Before any of its steps: repeated, there is one new version, it is live, and the verdict is acted on."""
    found = noisy.look(now=NOW)

    def die(*args: Any, **named: Any) -> None:
        raise Killed

    arguments = (noisy.store, noisy.registry, noisy.job, found)
    with monkeypatch.context() as patched:
        patched.setattr(part, step, die)
        with pytest.raises(Killed):
            renew_intervals(*arguments, work=noisy.path / "work")
    renew_intervals(*arguments, work=noisy.path / "work")
    assert noisy.registry.versions.get("buoy", "champion").version == 2
    assert noisy.store.verdicts.read("buoy")["acted"].iloc[0] != ""
    assert (noisy.registry.versions.table("buoy")["verdict"] == "recalibrated").sum() == 1


def test_repair_leaves_another_champion_alone(noisy: Any) -> None:
    """Whoever was promoted since the look stays, and the verdict is settled."""
    found = noisy.look(now=NOW)
    renew(noisy)
    noisy.registry.aliases.rollback("buoy")
    again = found.model_copy(update={"version": 99})
    noisy.store.verdicts.keep("buoy", noisy.store.verdicts.read("buoy").assign(version=99))
    assert renew_intervals(noisy.store, noisy.registry, noisy.job, again, work=noisy.path / "work") == 1
    assert (noisy.registry.versions.table("buoy")["verdict"] == "recalibrated").sum() == 1


def test_version_without_notes_is_refused(noisy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """It does not say what it was fitted on, so no window is known to be held out; drift is not looked for."""
    monkeypatch.setattr("forecasting.monitor.recalibration.span_of", lambda live: None)
    with pytest.raises(DataError, match="train again"):
        renew(noisy)
    monkeypatch.setattr("forecasting.monitor.check.span_of", lambda live: None)
    sentences = {rule["rule"]: rule["sentence"] for rule in noisy.look(now=NOW).rules}
    assert "does not record" in sentences["inputs_mean_shift"]
