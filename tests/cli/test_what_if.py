"""`gatecast forecast --future`: one table of named alternatives, from files to the store."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest

from forecasting.bundle.artifact import Origin
from forecasting.config.job import load_job
from forecasting.evaluation.judging import fit_baselines
from forecasting.lifecycle.home import open_home
from forecasting.series.clean import clean
from forecasting.series.folds import folds
from forecasting.sources import read
from forecasting.storage.store import Store
from tests.cli.tiny import Answer


class Shop(NamedTuple):
    """A job whose sales follow a price that is known ahead, its stored readings, and its live ridge."""

    config: Path
    store: Store
    folder: Path

    def prices(self, name: str, price: float, steps: int = 4) -> Path:
        """A file of the next prices, the same for every series."""
        stamps = pd.date_range("2026-01-11 00:00", periods=steps, freq="h")
        path = self.folder / f"{name}.csv"
        pd.DataFrame({"ds": stamps, "price": price}).to_csv(path, index=False)
        return path


@pytest.fixture
def shop(config: Callable[..., Path], gatecast_here: Callable[..., Answer], home: Path, tmp_path: Path) -> Shop:
    """Two series of 240 hours, of which the next four prices are known."""
    draw, stamps = np.random.default_rng(5), pd.date_range("2026-01-01", periods=244, freq="h")
    parts = []
    for name in ("north", "south"):
        price = draw.integers(1, 4, len(stamps)).astype(float)
        y = np.where(np.arange(len(stamps)) < 240, 50 - 10 * price + draw.normal(0, 0.5, len(stamps)), np.nan)
        parts.append(pd.DataFrame({"unique_id": name, "ds": stamps, "y": y, "price": price}))
    series = {"freq": "h", "future": ["price"]}
    path = config(pd.concat(parts).to_csv(index=False), series=series)
    assert gatecast_here("ingest", path).code == 0
    job, registry = load_job(path), open_home().registry
    table = clean(read(job), job.series).table
    fitted = fit_baselines(table, job, folds(table, job), tmp_path / "fits", origin=Origin())
    run = registry.runs.start(job.name, "ridge", {})
    bundle = next(one.bundles[0] for one in fitted if one.name == "ridge")
    registry.versions.register(job.name, run.run_id, bundle, verdict="passed", metrics={})
    registry.aliases.promote(job.name, 1)
    return Shop(path, Store(home), tmp_path)


def test_alternatives_are_one_table_with_their_names(gatecast_here: Callable[..., Answer], shop: Shop) -> None:
    """Base and two prices: in JSON, in a file, and in the store; the dearer, the less is sold."""
    options: list[Any] = ["--future", f"sale={shop.prices('sale', 1)}", "--future", f"dear={shop.prices('dear', 3)}"]
    answer = gatecast_here("forecast", shop.config, *options, "--out", shop.folder / "x.csv", "--json")
    assert answer.code == 0, answer.err
    result = json.loads(answer.out)
    assert set(result) == {"name", "model", "version", "coverage", "scenarios", "forecasts"}
    counts = [(one["scenario"], one["rows"], one["written"], one["failed"]) for one in result["scenarios"]]
    assert counts == [("base", 8, 8, 0), ("sale", 8, 8, 0), ("dear", 8, 8, 0)]

    table, printed = pd.read_csv(shop.folder / "x.csv"), pd.DataFrame(result["forecasts"])
    assert table["scenario"].tolist() == printed["scenario"].tolist()
    assert table["q0.5"].to_numpy() == pytest.approx(printed["q0.5"].to_numpy())
    medians = table.groupby("scenario")["q0.5"].mean()
    assert medians["sale"] == pytest.approx(40, abs=2)
    assert medians["dear"] == pytest.approx(20, abs=2)
    stored = shop.store.alternatives.read("tiny", "sale")
    assert stored["q0.5"].to_numpy() == pytest.approx(table[table["scenario"] == "sale"]["q0.5"].to_numpy())
    assert len(shop.store.forecasts.read("tiny")) == 8


def test_text_shows_alternatives_side_by_side(gatecast_here: Callable[..., Answer], shop: Shop) -> None:
    """A column for each, the warnings under their names, and which of them the monitor scores."""
    answer = gatecast_here("forecast", shop.config, "--future", f"half={shop.prices('half', 1, steps=2)}")
    assert answer.code == 0, answer.err
    assert "medians of north" in answer.out
    assert any(line.split() == ["ds", "base", "half"] for line in answer.out.splitlines())
    assert "warning: half: 2 series have no price at some of the next 4 steps" in answer.out
    assert "the monitor scores the forecast base, and none of the alternatives" in answer.out


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--future", "sale"], 2, "--future needs NAME=FILE, got sale"),
        (["--future", "sale=a.csv", "--future", "sale=b.csv"], 2, "names an alternative twice: sale, sale"),
        (["--future", "base=a.csv"], 2, "base is the forecast from the stored values"),
        (["--future", "sale=nowhere.csv"], 1, "no file matches --future 'nowhere.csv'"),
        (["--future", "sale=a.csv", "--out", "table"], 2, "--out takes alternatives to a .csv or .parquet file"),
    ],
)
def test_alternatives_that_cannot_be_forecast_store_nothing(
    gatecast_here: Callable[..., Answer], shop: Shop, arguments: list[str], code: int, message: str
) -> None:
    """One sentence, its exit code, and no vintage."""
    answer = gatecast_here("forecast", shop.config, *arguments)
    assert (answer.code, answer.out) == (code, "")
    assert message in answer.err
    assert not shop.store.workspace.forecasts("tiny").exists()
