"""A look at a live model: what it says where all is well, where the level has moved, where the noise has grown."""

import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from forecasting.config.chosen import AUTO
from forecasting.errors import DataError, UnknownVersionError
from forecasting.monitor.check import look
from forecasting.monitor.findings import Findings, acted
from forecasting.monitor.live import live_scores
from forecasting.storage.observations import ObservationTables

NOW = datetime.now(UTC)
LAST = 720  # the hour of the last reading


def broken(findings: Findings) -> set[str]:
    """The rules that are not kept."""
    return {rule["rule"] for rule in findings.rules if rule["state"] == "broken"}


def test_stationary_readings_are_fine(aged: Callable[..., Any]) -> None:
    """Nothing is broken, nothing is due, and the live scores are those of the forecasts that were judged."""
    home = aged()
    found = home.look(now=NOW)
    assert (found.verdict, found.due, broken(found)) == ("fine", False, set())
    since = pd.Timestamp(found.until) - pd.Timedelta(hours=100)
    rows = home.store.forecasts.read("buoy").merge(home.store.observations.read("buoy"), on=["unique_id", "ds"])
    rows = rows[rows["ds"] > since]
    live = {row["metric"]: row["live"] for row in found.scores}
    assert live["mae"] == pytest.approx(np.abs(rows["q0.5"] - rows["y"]).mean())
    assert live["coverage"] == pytest.approx(rows["y"].between(rows["q0.1"], rows["q0.9"]).mean())
    assert (
        next(row["promised"] for row in found.scores) == home.registry.versions.get("buoy", "champion").metrics["mae"]
    )
    assert [row["step"] for row in found.steps] == list(range(1, 7))
    assert {row["unique_id"] for row in found.worst} == {"a", "b"}


def test_shifted_level_wants_a_training(aged: Callable[..., Any]) -> None:
    """The readings have moved by more than a deviation: drift of the inputs, seen from when it began."""
    found = aged(shift=1.0).look(now=NOW)
    assert (found.verdict, found.action, found.due) == ("retrain", "retrain", True)
    assert "inputs_mean_shift" in broken(found)
    moved = next(rule for rule in found.rules if rule["rule"] == "inputs_mean_shift")
    assert "2024-01-26" in moved["sentence"]  # hour 600 is its midnight


def last_fit(home: Any, *, twin: int) -> int:
    """Register the champion once more, by another run, as a last fit on all readings."""
    judged, end = home.registry.versions.get("buoy", "champion"), "2024-01-25T23:00:00"
    notes = judged.notes | {"twin": str(twin), "fit_until": end, "known_until": end}
    bundle = home.registry.cache.download("buoy", judged.version)
    run, versions = home.registry.runs.start("buoy", "last", {}).run_id, home.registry.versions
    version: int = versions.register("buoy", run, bundle, verdict="final", metrics=judged.metrics, notes=notes)
    assert version != judged.version
    return version


def test_last_fit_whose_twin_was_deleted_is_watched_all_the_same(
    aged: Callable[..., Any], copy: Callable[..., Any]
) -> None:
    """Its readings are; its residuals have nothing to be held against, and the rule says so."""
    home = copy(aged(shift=1.0))
    home.registry.aliases.promote("buoy", last_fit(home, twin=99))
    rules = {rule["rule"]: rule for rule in home.look(now=NOW).rules}
    assert rules["inputs_mean_shift"]["state"] == "broken"
    assert rules["residuals_mean_shift"]["state"] == "not judged"
    assert "its judged twin, does not record" in rules["residuals_mean_shift"]["sentence"]


@pytest.mark.parametrize("noise", [1.0, 3.0])
def test_last_fit_is_held_against_its_judged_twin(
    aged: Callable[..., Any], copy: Callable[..., Any], noise: float
) -> None:
    """A model that has seen all readings has residuals to be held against all the same: those of its twin."""
    home = copy(aged(noise=noise))
    judged = home.registry.versions.get("buoy", "champion")
    last = last_fit(home, twin=judged.version)
    before = {rule["rule"]: (rule["figure"], rule["state"]) for rule in home.look(now=NOW).rules}
    assert home.registry.aliases.replace_twin("buoy", last, judged.version)
    home.forecast(range(600, 721, 6))
    after = {rule["rule"]: (rule["figure"], rule["state"]) for rule in home.look(now=NOW).rules}
    found = {name for name in before if name.startswith("residuals")}
    assert found
    assert {name: after[name] for name in found} == {name: before[name] for name in found}  # it is the same model
    assert all(after[name][1] == "kept" for name in found) == (noise == 1)


def test_grown_noise_breaks_error_and_coverage(aged: Callable[..., Any]) -> None:
    """Twice the noise: neither the promised error nor the promised intervals are kept."""
    found = aged(noise=2.0).look(now=NOW)
    assert found.verdict == "retrain"
    assert {"error", "coverage"} <= broken(found)


def test_same_data_give_the_same_verdict_once(aged: Callable[..., Any], copy: Callable[..., Any]) -> None:
    """A second look says the same and keeps nothing more; what was acted on is not due again."""
    home = copy(aged(shift=1.0))
    first, second = home.look(now=NOW), home.look(now=NOW)
    assert first == second
    assert len(home.store.verdicts.read("buoy")) == 1
    acted(home.store, first)
    assert home.look(now=NOW) == first.model_copy(update={"due": False})
    assert len(home.store.verdicts.read("buoy")) == 1


def test_drift_that_a_refused_challenger_knew_is_answered(aged: Callable[..., Any], copy: Callable[..., Any]) -> None:
    """The champion stays: it was not worse than a network that has seen the new level, and drift is tested on."""
    home = copy(aged(shift=1.0), tolerance=1.0)
    found = home.look(now=NOW)
    assert {"inputs_mean_shift"} <= broken(found) <= {"inputs_mean_shift", "inputs_shape"}
    acted(home.store, found)
    assert home.look(now=NOW) == found.model_copy(update={"due": False})  # it trains still
    home.refuse(LAST)
    soon = home.live_on(23, shift=1.0)
    assert (soon.verdict, soon.action) == ("fine", "none"), soon.summary
    rules = {rule["rule"]: rule for rule in soon.rules}
    assert rules["inputs_mean_shift"]["state"] == "kept"


def test_refused_training_is_an_alarm_until_it_is_repaired(aged: Callable[..., Any], copy: Callable[..., Any]) -> None:
    """The champion stays though its errors are too large: an alarm at every look; a training again when it is time."""
    home = copy(aged(shift=6.0), patience=12)
    found = home.look(now=NOW)
    assert (found.verdict, found.action) == ("retrain", "retrain")
    acted(home.store, found)
    home.refuse(LAST)
    at_once = home.look(now=NOW)
    assert (at_once.verdict, at_once.action, at_once.due) == ("alarm", "recalibrate", True)
    assert "was refused (version" in at_once.summary
    soon = home.live_on(5, shift=6.0)
    assert (soon.verdict, soon.action) == ("alarm", "recalibrate")
    assert "retrained" in broken(soon)
    late = home.live_on(17, shift=6.0)
    assert (late.verdict, late.action) == ("alarm", "retrain")


def test_training_that_was_requested_is_awaited(aged: Callable[..., Any], copy: Callable[..., Any]) -> None:
    """Nobody knows yet what comes of it: the next look asks for no other one, until the job's patience is over."""
    home = copy(aged(noise=2.0), patience=12, margin=0.5)
    found = home.look(now=NOW)
    assert found.action == "retrain"
    acted(home.store, found)
    soon = home.live_on(5, noise=2.0)
    assert (soon.verdict, soon.action, soon.due) == ("retrain", "none", False)
    assert home.live_on(17, noise=2.0).action == "retrain"


def test_new_version_is_not_judged_before_a_whole_day(aged: Callable[..., Any], copy: Callable[..., Any]) -> None:
    """What was promoted just now has shown nothing: no verdict, and nothing to do."""
    home = copy(aged())
    live = home.registry.versions.get("buoy", "champion")
    bundle = home.registry.cache.download("buoy", live.version)
    end = home.store.observations.read("buoy")["ds"].max().isoformat()
    run = home.registry.runs.start("buoy", "newer", {}).run_id
    notes = live.notes | {"known_until": end}
    version = home.registry.versions.register("buoy", run, bundle, verdict="passed", metrics=live.metrics, notes=notes)
    home.registry.aliases.promote("buoy", version)
    found = home.look(now=NOW)
    assert (found.verdict, found.action, found.due) == ("not judged", "none", False)
    states = {rule["rule"]: rule["state"] for rule in found.rules}
    assert states["error"] == "kept"  # the same weights have been watched for days
    assert {states[name] for name in ("coverage", "inputs_mean_shift", "residuals_shape")} == {"not judged"}


def test_readings_go_back_by_the_context_of_the_live_model(
    aged: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job that leaves its context to the data reads as far back as the bundle, which knows it."""
    home = aged()
    asked: list[pd.Timestamp] = []
    read = ObservationTables.read

    def remember(self: Any, job: str, **named: Any) -> pd.DataFrame:
        asked.append(named.get("since"))
        return read(self, job, **named)

    monkeypatch.setattr(ObservationTables, "read", remember)
    unresolved = home.job.model_copy(update={"window": home.job.window.model_copy(update={"context": AUTO})})
    look(home.store, home.registry, unresolved, now=NOW)
    known = pd.Timestamp(home.registry.versions.get("buoy", "champion").notes["known_until"])
    assert asked[0] == known - pd.Timedelta(hours=2000 + 48)


def test_silence_is_an_alarm(aged: Callable[..., Any]) -> None:
    """No reading for more than two horizons of hours: nobody knows how good the model is."""
    home = aged()
    assert home.look(now=NOW + timedelta(hours=11)).verdict == "fine"
    late = home.look(now=NOW + timedelta(hours=13))
    assert (late.verdict, broken(late)) == ("alarm", {"arriving"})


def test_forecasts_that_are_not_finite_are_an_alarm(aged: Callable[..., Any], copy: Callable[..., Any]) -> None:
    """One of them is enough."""
    home = copy(aged())
    made = home.store.forecasts.read("buoy").tail(1)
    home.store.forecasts.append("buoy", made.assign(cutoff=made["cutoff"] - pd.Timedelta(hours=1), **{"q0.5": np.nan}))
    found = home.look(now=NOW)
    assert (found.verdict, broken(found)) == ("alarm", {"finite"})


def test_model_worse_than_seasonal_naive_is_noticed(aged: Callable[..., Any], copy: Callable[..., Any]) -> None:
    """Forecasts that are off by a constant, though the model itself is sound, lose against the naive forecast."""
    home = copy(aged())
    before = home.look(now=NOW)
    made = home.store.forecasts.read("buoy")
    for name in ("forecasts", "scores", "verdicts"):
        shutil.rmtree(home.path / "tables" / "buoy" / name, ignore_errors=True)
    quantiles = [name for name in made.columns if name.startswith("q")]
    home.store.forecasts.append("buoy", made.assign(**{name: made[name] + 3 for name in quantiles}))
    found = home.look(now=NOW)
    assert found.verdict == "retrain"
    assert {"error", "coverage"} <= broken(found)
    figures = [{rule["rule"]: rule["figure"] for rule in one.rules}["seasonal_naive"] for one in (before, found)]
    assert figures[1] > 3 * figures[0]  # five days are not yet certain, but nearly


def test_only_live_versions_are_judged(aged: Callable[..., Any], copy: Callable[..., Any]) -> None:
    """Poor forecasts of another version do not count against the champion."""
    home = copy(aged())
    before = home.look(now=NOW)
    made = home.store.forecasts.read("buoy")
    home.store.forecasts.append("buoy", made.assign(version=7, **{"q0.5": 1e6}))
    found = home.look(now=NOW)
    assert found.verdict == "fine"
    mine = [row for row in found.scores if row["metric"] != "revision"]
    assert mine == [row for row in before.scores if row["metric"] != "revision"]


def test_nothing_live_says_what_to_do(born: Any, tmp_path: Path, registry: Any) -> None:
    """No model, no forecasts: one clear sentence each."""
    with pytest.raises(UnknownVersionError, match="registered"):
        look(born.store, registry, born.job)
    with pytest.raises(DataError, match="gatecast forecast"):
        born.look(now=NOW)


def test_alternatives_are_named_and_change_no_score(aged: Callable[..., Any], copy: Callable[..., Any]) -> None:
    """However wrong they are: only the forecast from the stored values counts."""
    home = copy(aged())
    before = home.look(now=NOW)
    assert before.unscored == []
    made = home.store.forecasts.read("buoy")
    home.store.alternatives.keep("buoy", made.assign(scenario="wild", **{"q0.5": 1e6}))
    after = home.look(now=NOW)
    assert after.unscored == ["wild"]
    assert after.scores == before.scores


def test_live_scores_agree_with_the_service(aged: Callable[..., Any]) -> None:
    """The monitor and the page for people have one way to score."""
    home = aged()
    found = home.look(now=NOW)
    steps = live_scores(home.store, "buoy", "step", since=pd.Timestamp(found.until) - pd.Timedelta(hours=400))
    assert len(steps) == len(found.steps)


def test_last_fit_on_the_very_last_reading_is_not_judged_yet(born: Any, copy: Callable[..., Any]) -> None:
    """Nothing has come that it has not seen: no rule that needs readings is kept or broken, and the summary says so."""
    home = copy(born)
    judged = home.registry.versions.get("buoy", "champion")
    assert home.registry.aliases.replace_twin("buoy", last_fit(home, twin=judged.version), judged.version)
    home.forecast([LAST - 121])  # the last stamp that is known
    found = home.look(now=NOW)
    assert (found.verdict, found.due, broken(found)) == ("not judged", False, set())
    kept = {rule["rule"] for rule in found.rules if rule["state"] == "kept"}
    assert kept == {"arriving", "finite"}
    assert "no whole day of its forecasts has actuals yet" in found.summary
