"""A model in the hand does what a run does, and nothing that nobody asked for."""

import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import forecasting as fc
from forecasting import sources
from forecasting.api.model import FittedModel
from forecasting.bundle.artifact import read_manifest
from forecasting.bundle.forecaster import open_forecaster
from forecasting.config.job import Job
from forecasting.errors import ConfigError, DataError, GatecastError
from forecasting.registry.registry import Registry


def test_fit_and_backtest_give_what_a_run_gives(finished: Any, home: Path) -> None:
    """Same job, same table: every metric and the whole verdict to 1e-6, the same weights, the same forecast."""
    job = fc.load(finished.config)
    table = sources.read(job)
    model = fc.fit(table, job)
    test = fc.backtest(table, job, models=[model, "naive", "seasonal_naive", "drift", "ridge"])
    expected = pd.DataFrame(finished.outcome["leaderboard"])
    pd.testing.assert_frame_equal(test.leaderboard, expected, rtol=1e-6, check_dtype=False)
    rules = {rule["rule"]: rule for rule in finished.outcome["verdict"] if rule["rule"] != "latency"}
    ours = {rule.rule: rule for rule in test.verdict.rules if rule.rule in rules}
    assert {name: rule.passed for name, rule in ours.items()} == {name: rule["passed"] for name, rule in rules.items()}
    assert [ours[name].figure for name in rules] == pytest.approx([rule["figure"] for rule in rules.values()], rel=1e-6)
    registry = Registry(f"sqlite:///{finished.home / 'mlflow.db'}", finished.home)
    registered = registry.cache.download(job.name, "1")
    assert read_manifest(model.bundle).weights == read_manifest(registered).weights
    theirs = open_forecaster(registered).forecast(table, levels=(80,))
    answer = model.predict(level=[80])
    for column, quantile in {"stacked": "q0.5", "stacked-lo-80": "q0.1", "stacked-hi-80": "q0.9"}.items():
        np.testing.assert_allclose(answer[column], theirs[quantile], rtol=1e-6)
    assert not home.exists()


def test_the_same_fit_in_this_process_and_in_one_of_its_own(
    model: FittedModel, readings: pd.DataFrame, small: Job
) -> None:
    """A seed gives one network, wherever it learns."""
    apart = fc.fit(readings, small)
    np.testing.assert_allclose(apart.predict()["stacked"], model.predict()["stacked"], rtol=1e-6)


def test_intervals_widen_with_their_level(model: FittedModel) -> None:
    """The median lies inside, and 95 percent hold what 80 percent hold."""
    answer = model.predict(level=[80, 95])
    columns = [f"stacked{part}" for part in ("-lo-95", "-lo-80", "", "-hi-80", "-hi-95")]
    assert (np.diff(answer[columns].to_numpy(), axis=1) >= 0).all()
    assert model.predict(level=None).columns.tolist() == ["unique_id", "ds", "stacked"]


def test_a_forecast_begins_after_the_last_reading_given(model: FittedModel, readings: pd.DataFrame) -> None:
    """And a table that ends earlier is forecast from there, without any look at what came after."""
    early = readings.iloc[:150]
    answer = model.predict(early, h=2)
    assert answer["ds"].tolist() == list(pd.date_range(early["ds"].iloc[-1], periods=3, freq="h")[1:])
    changed = readings.assign(y=readings["y"].where(readings.index < 150, 1e6)).iloc[:150]
    pd.testing.assert_frame_equal(model.predict(changed, h=2), answer)


def test_what_is_known_ahead_moves_the_forecast(readings: pd.DataFrame) -> None:
    """A covariate that decides everything is read from `future`; without it the steps that lack it are named."""
    steps = len(readings) + 4
    switch = np.random.default_rng(1).integers(0, 2, steps).astype(float)  # which the past does not tell
    stamps = pd.date_range(readings["ds"].iloc[0], periods=steps, freq="h")
    table = readings.assign(y=100 * switch[:-4], switch=switch[:-4])
    job = fc.job(
        freq="h",
        horizon=4,
        window={"context": 12},
        series={"future": ["switch"]},
        model={"name": "stacked", "params": {"units": [4], "highway": 12, "highway_start": "ridge"}},
        train={"steps": 1},
        backtest={"windows": 5},
    )
    model = fc.fit(table, job, in_process=True)
    ahead = pd.DataFrame({"unique_id": "a", "ds": stamps[-4:], "switch": [0.0, 1.0, 0.0, 1.0]})
    answer = model.predict(future=ahead)["stacked"].to_numpy()
    assert (answer[[1, 3]] > answer[[0, 2]] + 20).all()
    what_if = model.predict(future={"base": ahead, "other": ahead.assign(switch=1 - ahead["switch"])})
    by_name = dict(list(what_if.groupby("scenario", sort=False)["stacked"]))
    np.testing.assert_allclose(by_name["base"], answer)
    assert (by_name["other"].to_numpy()[[0, 2]] > answer[[0, 2]] + 20).all()
    assert what_if.columns.tolist()[-1] == "scenario"
    with pytest.raises(DataError, match="names no alternative"):
        model.predict(future={})
    with pytest.raises(DataError, match="switch"):
        model.predict()


def test_what_a_forecast_stands_on_is_said(
    model: FittedModel, readings: pd.DataFrame, caplog: pytest.LogCaptureFixture
) -> None:
    """In the log, and with the table; a forecast of whole readings has nothing to say."""
    assert "warnings" not in model.predict().attrs
    assert not caplog.messages
    said = model.predict(readings.head(3)).attrs["warnings"]
    assert "have readings at fewer than half of the" in said[0]
    assert caplog.messages == said


def test_a_model_that_knows_the_windows_is_not_judged_on_them(
    model: FittedModel, readings: pd.DataFrame, small: Job
) -> None:
    """On a table that ends earlier, the windows of the backtest are what it has learned from."""
    with pytest.raises(GatecastError, match="knows readings up to"):
        fc.backtest(readings.iloc[:100], small, models=[model])


def test_an_opened_model_is_judged_like_the_one_that_was_saved(
    model: FittedModel, readings: pd.DataFrame, small: Job, tmp_path: Path
) -> None:
    """Its point forecasts are the same; only which residuals widen its intervals could differ."""
    opened = fc.open(model.save(tmp_path / "boiler"))
    mine, its = (fc.backtest(readings, small, models=[each]).leaderboard for each in (model, opened))
    assert its["mae"].tolist() == pytest.approx(mine["mae"].tolist(), rel=1e-6)
    with pytest.raises(DataError, match="has no table"):
        opened.predict()


def test_a_model_is_not_saved_over_other_files(model: FittedModel, tmp_path: Path) -> None:
    """A folder that is no bundle keeps what it holds."""
    (tmp_path / "thesis.txt").write_text("years of work", encoding="utf-8")
    with pytest.raises(ConfigError, match="holds other files"):
        model.save(tmp_path)
    assert (tmp_path / "thesis.txt").read_text(encoding="utf-8") == "years of work"


def test_the_figure_shows_forecast_and_readings(model: FittedModel, readings: pd.DataFrame) -> None:
    """The drawn lines are the table's readings and the numbers of `predict`."""
    drawn = {trace.name: trace for trace in model.plot().data}
    np.testing.assert_allclose(drawn["forecast"].y, model.predict()["stacked"])
    assert drawn["readings"].y[-1] == readings["y"].iloc[-1]
    with pytest.raises(DataError, match="no series b; the first one is a"):
        model.plot(unique_id="b")


def test_several_models_of_one_name_need_an_alias(model: FittedModel, readings: pd.DataFrame, small: Job) -> None:
    """A leaderboard names everyone once; unknown names are answered with the known ones."""
    with pytest.raises(ConfigError, match="several models are called stacked"):
        fc.backtest(readings, small, models=[model, model])
    with pytest.raises(ConfigError, match=r"unknown model\(s\) prophet; name any of naive"):
        fc.backtest(readings, small, models=["prophet"])


def test_a_verdict_gives_its_reasons(model: FittedModel, readings: pd.DataFrame, small: Job) -> None:
    """As text and as HTML; baselines alone have none."""
    test = fc.backtest(readings, small, models=[model, "ridge"])
    assert str(test.verdict).startswith("stacked was refused\n")
    assert all(rule.sentence in str(test.verdict) for rule in test.verdict.rules)
    assert test._repr_html_().count("<tr") == 1 + 2 + len(test.verdict.rules)
    assert fc.backtest(readings, small, models=["ridge"]).verdict is None


def test_what_needs_a_registry_is_left_to_a_run(readings: pd.DataFrame) -> None:
    """Weights of the live model and a last fit after the verdict are refused, both at once."""
    job = fc.job(freq="h", horizon=4, model="stacked", train={"init": "champion", "final_fit": True})
    with pytest.raises(ConfigError, match=r"train\.init: champion and train\.final_fit: true"):
        fc.fit(readings, job)


def test_a_job_says_all_that_is_wrong_with_it() -> None:
    """Keys of the YAML as arguments, with its errors; what is an argument is not said twice."""
    with pytest.raises(ConfigError, match=r"(?s)the job has 2 violations.*series.freq.*window.context"):
        fc.job(freq="hourly", horizon=24, window={"context": -3})
    with pytest.raises(ConfigError, match=r"window\.horizon is the argument horizon"):
        fc.job(freq="h", horizon=24, window={"horizon": 12})


def test_the_library_is_silent_and_logs(
    readings: pd.DataFrame,
    small: Job,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nothing on either stream of a program; what the table lacks is a warning in the log."""
    monkeypatch.delenv("TF_CPP_MIN_LOG_LEVEL")  # TensorFlow's messages are hidden where nobody asks for them
    with caplog.at_level(logging.INFO, logger="forecasting"):
        fc.fit(readings.drop(index=[50, 51]), small)
    assert capfd.readouterr() == ("", "")
    assert any("2 step(s) of h are missing" in record.message for record in caplog.records)
    assert any("validation" in record.message for record in caplog.records if record.levelname == "INFO")


def test_a_script_without_a_guard_fits(readings: pd.DataFrame, tmp_path: Path) -> None:
    """The child does not run the script of its parent again; no home appears, and no registry is loaded."""
    readings.to_csv(tmp_path / "readings.csv", index=False)
    script = tmp_path / "five_lines.py"
    script.write_text(
        "import sys, pandas as pd, forecasting as fc\n"
        "print('begin')\n"
        "model = {'name': 'stacked', 'params': {'units': [4]}}\n"
        "job = fc.job(freq='h', horizon=4, model=model, window={'context': 12}, train={'steps': 2},"
        " backtest={'windows': 5})\n"
        "print(fc.fit(pd.read_csv('readings.csv'), job).predict().shape)\n"
        "print({'mlflow', 'prefect', 'tensorflow'} & set(sys.modules))\n",
        encoding="utf-8",
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "GATECAST_HOME": str(tmp_path / "home")}
    del environment["TF_CPP_MIN_LOG_LEVEL"]  # which shows TensorFlow's messages to the tests
    done = subprocess.run(
        [sys.executable, str(script)], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert (done.stdout.splitlines(), done.stderr) == (["begin", "(4, 5)", "set()"], "")
    assert not (tmp_path / "home").exists()


def test_without_its_extra_the_api_says_what_to_install() -> None:
    """One error of ours instead of the name of a module."""
    code = (
        "import sys; sys.modules['onnx'] = None\nimport forecasting as fc\nfrom forecasting.errors import ConfigError"
    )
    code += "\ntry: fc.fit\nexcept ConfigError as error: print(error)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "the package onnx is not installed" in done.stdout
    assert "pip install 'gatecast[all]'" in done.stdout
