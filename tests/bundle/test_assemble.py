"""From a fitted model to its bundle: residuals of held-out windows by hand, whatever the size of the blocks."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from forecasting.bundle import assemble as module
from forecasting.bundle.artifact import Origin, open_bundle, read_graphs
from forecasting.bundle.assemble import assemble, recalibrate, spec_for
from forecasting.config.job import Job
from forecasting.errors import DataError
from forecasting.series.clean import clean
from forecasting.series.windows import Windows

Fitted = Any  # the fixture of that name


def again(fitted: Fitted, directory: Path) -> Path:
    """The model of a bundle assembled once more."""
    model = read_graphs(fitted.bundle)
    return assemble(directory, open_bundle(fitted.bundle).spec, model, fitted.data.valid, origin=Origin())


def test_residuals_are_actual_minus_forecast_of_the_held_out_windows(fitted: Fitted) -> None:
    """Per step, sorted, every complete pair once."""
    bundle, valid = open_bundle(fitted.bundle), fitted.data.valid
    for step in range(3):
        expected = []
        for k in range(len(valid)):
            window = valid.batch(np.array([k]))
            error = valid.targets(np.array([k]))[0, step] - bundle.predictor.quantiles(window)[0, step, 0]
            expected += [] if np.isnan(error) else [error]
        given = bundle.calibration.residuals[step, 0]
        np.testing.assert_allclose(given[~np.isnan(given)], sorted(expected), atol=1e-5)


def test_the_size_of_a_block_changes_nothing(fitted: Fitted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows go through the engine in blocks, the last one smaller."""
    monkeypatch.setattr(module, "BATCH", 7)
    assert len(fitted.data.valid) % 7
    blocks = open_bundle(again(fitted, tmp_path / "blocks")).calibration.residuals
    np.testing.assert_allclose(blocks, open_bundle(fitted.bundle).calibration.residuals, atol=1e-5)


def test_many_windows_are_thinned_out_evenly(fitted: Fitted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a limit of 5: the first, the last and those between at equal distances, of all series."""
    monkeypatch.setattr(module, "MOST_WINDOWS", 5)
    seen: list[list[int]] = []
    honest = Windows.targets

    def watch(self: Windows, indices: np.ndarray) -> np.ndarray:
        seen.append(indices.tolist())
        return honest(self, indices)

    monkeypatch.setattr(Windows, "targets", watch)
    open_bundle(again(fitted, tmp_path / "few"))
    last = len(fitted.data.valid) - 1
    assert seen == [[0, last // 4, last // 2, last * 3 // 4, last]]


def test_golden_inputs_are_windows_of_the_data(fitted: Fitted) -> None:
    """Four of them, only what the model reads, and the forecast that they give."""
    bundle = open_bundle(fitted.bundle)
    with np.load(fitted.bundle / "golden.npz") as arrays:
        golden = {name: arrays[name] for name in arrays.files}
    expected = golden.pop("expected")
    assert set(golden) == {"past", "future"}
    pasts = fitted.data.valid.batch(np.arange(len(fitted.data.valid)))["past"]
    assert len(golden["past"]) == 4
    assert all((pasts == past).all(axis=(1, 2)).any() for past in golden["past"])
    assert expected.shape == (4, 3, 3)
    np.testing.assert_allclose(
        bundle.calibration.apply(bundle.predictor.quantiles(golden), (0.1, 0.5, 0.9)), expected, atol=1e-5
    )


def test_the_spec_wants_quantiles_and_bounds_of_levels(make_job: Callable[..., Job], fitted: Fitted) -> None:
    """In order, each once: 80 percent lies between 0.1 and 0.9, which the head already has."""
    job = make_job(head={"quantiles": [0.1, 0.5, 0.9]}, forecast={"levels": [80, 95]})
    spec = spec_for(job, "naive", fitted.data.features, fitted.data.scaler, context=6, quantiles=(0.5,))
    assert spec.wanted == (0.025, 0.1, 0.5, 0.9, 0.975)
    assert (spec.context, spec.horizon, spec.job) == (6, 3, "job")


def test_recalibration_uses_windows_after_the_stamp_and_keeps_the_weights(fitted: Fitted, tmp_path: Path) -> None:
    """Earlier readings change nothing; later ones do; the verdict still names the same weights."""
    bundle, table, since = open_bundle(fitted.bundle), fitted.table, fitted.fold.cutoffs[0]
    calibrations = {}
    for name, changed in {
        "same": table,
        "earlier": table.assign(y=table["y"].mask(table["ds"] < since - pd.Timedelta(12, "h"), -3 * table["y"])),
        "later": table.assign(y=table["y"].mask(table["ds"] > since + pd.Timedelta(3, "h"), -3 * table["y"])),
    }.items():
        new = open_bundle(recalibrate(bundle, clean(changed, fitted.job.series).table, since, tmp_path / name))
        assert new.manifest.weights == bundle.manifest.weights
        assert new.manifest.origin == bundle.manifest.origin
        calibrations[name] = new.calibration.residuals
    np.testing.assert_allclose(calibrations["earlier"], calibrations["same"], atol=1e-5)
    assert not np.allclose(calibrations["later"], calibrations["same"], equal_nan=True)
    steps = len(pd.date_range(since, table["ds"].max(), freq="h")) - 1
    assert calibrations["same"].shape[2] <= 2 * (steps - 2)  # of the two series that go on


def test_recalibration_takes_the_windows_that_the_job_takes(fitted: Fitted, tmp_path: Path) -> None:
    """Contexts of which a third is read: none by default, all where `min_observed` allows it, as in training."""
    since = fitted.fold.cutoffs[0]
    sparse = fitted.table[(fitted.table["ds"] <= since) | (fitted.table["ds"].dt.hour % 3 == 0)]
    sparse = sparse[sparse["ds"] > since - pd.Timedelta(6, "h")].reset_index(drop=True)
    sparse["y"] = sparse["y"].mask(sparse["ds"].dt.hour % 3 != 0)
    bundle, late = open_bundle(fitted.bundle), since + pd.Timedelta(1, "h")
    with pytest.raises(DataError, match="no window"):
        recalibrate(bundle, sparse, late, tmp_path / "half")
    assert open_bundle(recalibrate(bundle, sparse, late, tmp_path / "third", min_observed=0.3)).calibration.counts.all()


def test_without_a_window_there_is_nothing_to_calibrate_on(fitted: Fitted, tmp_path: Path) -> None:
    """No reading after the stamp: one sentence, no bundle."""
    with pytest.raises(DataError, match=r"no window of 6 \+ 3 steps to calibrate ridge on"):
        recalibrate(open_bundle(fitted.bundle), fitted.table, fitted.table["ds"].max(), tmp_path / "none")
    assert not (tmp_path / "none").exists()
