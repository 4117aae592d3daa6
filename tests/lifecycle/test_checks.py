"""What `gatecast check` and `gatecast backtest` find: rows, leaks, standings."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from forecasting import sources
from forecasting.config.job import Job, parse_job
from forecasting.errors import ConfigError, DataError, RegistryError
from forecasting.evaluation import leakage
from forecasting.lifecycle import checks
from forecasting.registry.registry import Registry
from forecasting.series.clean import clean
from forecasting.series.scaling import Scaler
from forecasting.storage.store import Store


def make(tmp_path: Path, csv: str | None = None, **sections: Any) -> dict[str, Any]:
    """A job of a CSV file, or of made-up waves."""
    source: dict[str, Any] = {"kind": "synthetic", "series": 2, "length": 200, "season": 24}
    if csv is not None:
        (tmp_path / "data.csv").write_text(csv, encoding="utf-8")
        source = {"kind": "file", "path": str(tmp_path / "data.csv"), "columns": {"unique_id": "unique_id"}}
    base = {"name": "buoy", "source": source, "series": {"freq": "h"}, "window": {"context": 24, "horizon": 4}}
    return {**base, "backtest": {"windows": 6}, **sections}


def test_source_tells_what_cleaning_would_do_and_keeps_nothing(tmp_path: Path, home: Path) -> None:
    """Unsorted rows, a duplicate and a value out of bounds are counted; none is an error here."""
    stamps = pd.date_range("2026-01-01", periods=50, freq="h")
    lines = [f"a,{ds},{number}" for number, ds in enumerate(stamps)]
    csv = "\n".join(["unique_id,ds,y", *lines[::-1], f"a,{stamps[3]},9"]) + "\n"
    job = parse_job(make(tmp_path, csv, series={"freq": "h", "duplicates": "last", "upper": 40}))
    found = checks.source(job)

    assert found.failed == ""
    assert found.title == "buoy: 51 rows of 1 series"
    assert "cleaned" in {row["severity"] for row in found.rows}
    decided = {row["rule"]: row["count"] for row in found.rows if row["severity"] == "cleaned"}
    expected = clean(sources.read(job), job.series).decisions
    assert decided == dict(zip(expected["decision"], expected["count"], strict=True))
    assert {"title", "findings", "failed"} == set(found.to_dict())
    assert not home.exists()


def test_source_that_cannot_be_used_says_so(tmp_path: Path) -> None:
    """Every violation is a row, the errors are counted in one sentence, and nothing is cleaned."""
    stamps = pd.date_range("2026-01-01", periods=5, freq="h")
    values = ["1", "inf", "2", "-inf", "3"]
    csv = "unique_id,ds,y\n" + "".join(f"a,{ds},{y}\n" for ds, y in zip(stamps, values, strict=True))
    found = checks.source(parse_job(make(tmp_path, csv)))
    assert "error(s) in 5 rows" in found.failed
    errors = [row for row in found.rows if row["severity"] == "error"]
    assert [row["count"] for row in errors if "infinite" in row["message"]] == [2]
    assert "cleaned" not in {row["severity"] for row in found.rows}


def test_no_leak_is_found_where_there_is_none(tmp_path: Path) -> None:
    """Every part of the way is looked at, with every baseline."""
    found = checks.leakage(parse_job(make(tmp_path)))
    assert found.failed == ""
    assert {row["what"] for row in found.rows} >= {
        *("cleaned table", "scaler", "training windows", "validation windows"),
        *(f"forecasts of {name}" for name in ("naive", "seasonal_naive", "drift", "ridge")),
    }


def test_a_leak_is_found_and_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A scaler fitted on the whole table, the classic, fails the check by its name."""
    job = parse_job(make(tmp_path))
    honest: Callable[..., Any] = leakage.prepare

    def leaking(table: pd.DataFrame, job: Job, fold: Any) -> Any:
        return honest(table, job, fold)._replace(scaler=Scaler(unique_id=("buoy-0",), location=(table["y"].mean(),)))

    monkeypatch.setattr(leakage, "prepare", leaking)
    found = checks.leakage(job)
    assert found.failed == "the future leaks into: scaler"


def test_standings_hold_the_named_models_on_the_same_origins(tmp_path: Path) -> None:
    """Without a champion the baselines; in the order that was asked for, by model, series, step and window."""
    job = parse_job(make(tmp_path))
    store = Store(tmp_path)
    registry = Registry(f"sqlite:///{tmp_path / 'mlflow.db'}", tmp_path)
    with pytest.raises(DataError, match="no observations of buoy are stored"):
        checks.standings(store, registry, job, [])
    store.observations.merge("buoy", clean(sources.read(job), job.series).table)

    everyone = checks.standings(store, registry, job, [])
    two = checks.standings(store, registry, job, ["ridge", "naive"])

    assert [row["model"] for row in everyone["leaderboard"]] == ["naive", "seasonal_naive", "drift", "ridge"]
    assert [row["model"] for row in two["leaderboard"]] == ["ridge", "naive"]
    assert two["leaderboard"][0] == everyone["leaderboard"][3]
    assert {len(two[by]) for by in ("series", "step", "window")} == {2 * 2, 2 * 4, 2 * 6}
    assert all(row["cutoff"].startswith("2020-01-") for row in two["window"])
    with pytest.raises(RegistryError, match="no model named buoy is registered"):
        checks.standings(store, registry, job, ["champion"])


def test_standings_hold_what_others_forecast(tmp_path: Path) -> None:
    """A file of points beside the baselines: noted, without metrics of quantiles, and refused under a taken name."""
    job = parse_job(make(tmp_path))
    store, registry = Store(tmp_path), Registry(f"sqlite:///{tmp_path / 'mlflow.db'}", tmp_path)
    store.observations.merge("buoy", clean(sources.read(job), job.series).table)
    windows = pd.DataFrame(checks.standings(store, registry, job, ["naive"])["window"])
    cutoffs = pd.to_datetime(windows["cutoff"])
    rows = [(name, c + pd.Timedelta(hours=h), c, 1.0) for name in _NAMES for c in cutoffs for h in range(1, 5)]
    file = tmp_path / "theirs.csv"
    pd.DataFrame(rows, columns=["unique_id", "ds", "cutoff", "theirs"]).to_csv(file, index=False)
    board = {row["model"]: row for row in checks.standings(store, registry, job, ["naive"], [file])["leaderboard"]}
    assert {name: row["note"] for name, row in board.items()} == {"naive": "", "theirs": "cannot go live"}
    assert board["theirs"]["mae"] > 0
    assert board["theirs"]["wql"] is None
    assert board["naive"]["wql"] > 0
    with pytest.raises(ConfigError, match="theirs would stand on the leaderboard twice"):
        checks.standings(store, registry, job, ["naive"], [file, file])


_NAMES = ("buoy-0", "buoy-1")
