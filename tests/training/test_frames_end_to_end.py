"""A grid of series fitted, bundled and forecast: every cell gets the forecast of the frame that it stands in."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest

from forecasting.bundle.artifact import Origin, open_bundle
from forecasting.bundle.forecaster import open_forecaster
from forecasting.config.job import Job
from forecasting.errors import DataError
from forecasting.evaluation.leakage import audit
from forecasting.series.folds import folds
from forecasting.series.layout import cell_names
from forecasting.training.fit import fit

ROWS, COLUMNS, STEPS = 3, 4, 60


class Fitted(NamedTuple):
    """A fitted grid; whoever changes anything copies it first."""

    table: pd.DataFrame
    job: Job
    bundle: Path


@pytest.fixture(scope="module")
def fitted(
    make_table: Callable[..., pd.DataFrame], make_job: Callable[..., Job], tmp_path_factory: pytest.TempPathFactory
) -> Fitted:
    """A wave that runs over a grid with one empty cell, learned in two epochs."""
    place = np.indices((ROWS, COLUMNS)).sum(axis=0).ravel()
    waves = np.sin(np.arange(STEPS) / 3 - place[:, None]) + 0.1 * np.random.default_rng(1).normal(size=(12, STEPS))
    readings = {name: y for name, y in zip(cell_names(ROWS, COLUMNS), waves, strict=True) if name != "r1c2"}
    table = make_table(readings)
    job = make_job(
        {"layout": "grid", "calendar": ["hour"]},
        window={"context": 5, "horizon": 2},
        model={"name": "conv_lstm", "params": {"filters": [3], "patch": 2, "width": 4}},
        train={"epochs": 2, "batch_size": 16, "learning_rate": 0.01, "validation": 12},
        backtest={"windows": 5},
    )
    work = tmp_path_factory.mktemp("fit")
    return Fitted(table, job, fit(table, job, folds(table, job)[0], work, origin=Origin()).bundle)


def test_bundle_of_frames_answers_for_every_cell(fitted: Fitted) -> None:
    """Eleven series, two steps; the bundle names the empty cell, has a mask and exports exactly."""
    forecaster = open_forecaster(fitted.bundle)
    table = forecaster.forecast(fitted.table)
    assert forecaster.spec.layout is not None
    assert forecaster.spec.layout.unique_id[6] is None
    assert forecaster.spec.features.mask
    assert forecaster.bundle.manifest.origin.parity <= 1e-5
    assert table.groupby("unique_id").size().eq(2).all()
    assert table["unique_id"].nunique() == ROWS * COLUMNS - 1
    assert np.isfinite(table["q0.5"].to_numpy()).all()


def test_forecast_of_a_cell_is_read_off_its_frame(fitted: Fitted) -> None:
    """Asked for all, for a few in another order, and by way of the narrow door, a cell's forecast is the same."""
    forecaster = open_forecaster(fitted.bundle)
    windows, predictor = forecaster.latest(fitted.table).windows, forecaster.bundle.predictor
    everything = np.arange(len(windows))
    whole = predictor.windows(windows, everything)
    some = everything[::-3]
    np.testing.assert_array_equal(predictor.windows(windows, some), whole[some])
    np.testing.assert_allclose(
        predictor.pick(predictor.quantiles(predictor.batch(windows, some)), windows, some), whole[some], atol=1e-6
    )
    assert len(np.unique(whole[:, 0, 1])) == len(whole)


def test_neighbours_move_a_forecast_and_the_future_does_not(fitted: Fitted) -> None:
    """At a cutoff in the middle, a change of one cell before it reaches its neighbor; a change after it nothing."""
    forecaster = open_forecaster(fitted.bundle)
    stamps = np.sort(fitted.table["ds"].unique())
    cutoff = pd.DatetimeIndex(stamps[[30]])

    def changed(where: pd.Series) -> np.ndarray:
        y = fitted.table["y"].where(~where, 5.0)
        return forecaster.at(fitted.table.assign(y=y), cutoff).values

    corner, table = fitted.table["unique_id"] == "r0c0", fitted.table
    before = forecaster.at(table, cutoff).values
    np.testing.assert_array_equal(changed(table["ds"] > stamps[30]), before)
    moved = np.abs(changed(corner & (table["ds"] == stamps[30])) - before).max(axis=(1, 2))
    names = forecaster.at(table, cutoff).unique_id.tolist()
    assert moved[names.index("r0c1")] > 0


def test_audit_finds_no_leak_in_frames(fitted: Fitted) -> None:
    """Cleaning, layout, features, windows and the frames' forecasts, before and after another future."""
    findings = audit(fitted.table, fitted.job, [fitted.bundle])
    assert [finding.what for finding in findings if finding.moved] == []


def test_missing_cell_is_masked_and_unknown_cell_refused(fitted: Fitted) -> None:
    """Without one of its series the others are forecast; a cell that the layout does not have is one clear error."""
    forecaster = open_forecaster(fitted.bundle)
    fewer = fitted.table[fitted.table["unique_id"] != "r0c1"]
    assert forecaster.forecast(fewer)["unique_id"].nunique() == ROWS * COLUMNS - 2
    stranger = fitted.table.assign(unique_id=fitted.table["unique_id"].replace("r0c1", "r9c9"))
    with pytest.raises(DataError, match=r"1 series have no place among the 12 of the layout:\n  - r9c9"):
        forecaster.forecast(stranger)


def test_golden_forecast_of_frames_is_replayed(fitted: Fitted) -> None:
    """What is kept as golden are frames, and loading replays them."""
    with np.load(fitted.bundle / "golden.npz") as golden:
        assert golden["past"].shape[2:4] == (ROWS, COLUMNS)
    assert open_bundle(fitted.bundle).spec.layout is not None
