"""Forecasts of a layout as arrays: every value at its place, in memory and in files."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from forecasting.config.series import Series
from forecasting.errors import ConfigError
from forecasting.series.layout import learn_layout
from forecasting.storage.grid_files import cube
from forecasting.storage.outlets import outlet

GRID = Series(freq="h", layout="grid")


@pytest.fixture
def forecasts(make_table: Callable[..., pd.DataFrame]) -> pd.DataFrame:
    """Two steps of a 2 × 2 grid without r0c1; r1c1 lacks the second."""
    table = make_table({"r0c0": [1.0, 2.0], "r1c0": [3.0, 4.0], "r1c1": [5.0, 6.0]}).iloc[:-1]
    return table.assign(**{"q0.1": table["y"] - 1, "q0.5": table["y"]})


EXPECTED = np.array([[[1.0, np.nan], [3.0, 5.0]], [[2.0, np.nan], [4.0, np.nan]]])


def test_cube_holds_every_value_at_its_place(forecasts: pd.DataFrame) -> None:
    """In any order of rows; places without a series and steps without a row are NaN."""
    layout = learn_layout(forecasts, GRID)
    assert layout is not None
    content = cube(forecasts.sample(frac=1, random_state=1), layout, ["q0.5"])
    np.testing.assert_array_equal(content.values[..., 0], EXPECTED)
    assert content.unique_id.tolist() == [["r0c0", ""], ["r1c0", "r1c1"]]
    assert content.stamps[1] == np.datetime64("2024-01-01T01:00")


def test_forecasts_are_written_as_arrays(forecasts: pd.DataFrame, tmp_path: Path) -> None:
    """NetCDF and npz hold the same, with quantiles and stamps, and can be read without pickle."""
    for name in ("out.nc", "out.npz"):
        outlet(str(tmp_path / name), GRID)(iter([forecasts]))
    with xr.open_dataset(tmp_path / "out.nc") as data:
        assert data["forecast"].dims == ("time", "row", "column", "quantile")
        np.testing.assert_array_equal(data["forecast"].sel(quantile=0.5), EXPECTED)
        assert data["time"].to_index()[0] == pd.Timestamp("2024-01-01")
    with np.load(tmp_path / "out.npz", allow_pickle=False) as arrays:
        np.testing.assert_array_equal(arrays["forecast"][..., 0], EXPECTED - 1)
        assert arrays["quantile"].tolist() == [0.1, 0.5]
    assert sorted(path.name for path in tmp_path.glob("*")) == ["out.nc", "out.npz"]


def test_a_line_is_written_along_its_places(forecasts: pd.DataFrame, tmp_path: Path) -> None:
    """Time, place and quantile."""
    line = Series(freq="h", layout="line", places=("r1c1", "r0c0", "r1c0"))
    outlet(str(tmp_path / "line.nc"), line)(iter([forecasts]))
    with xr.open_dataset(tmp_path / "line.nc") as data:
        assert data["forecast"].dims == ("time", "place", "quantile")
        assert data["unique_id"].to_numpy().tolist() == ["r1c1", "r0c0", "r1c0"]
        np.testing.assert_array_equal(data["forecast"][0, :, 1], [5.0, 1.0, 3.0])


@pytest.mark.parametrize(
    ("suffix", "layout", "sentence"),
    [
        (".nc", "none", r"one of \.csv, \.parquet; arrays need series.layout"),
        (".xls", "grid", r"parquet, \.nc, \.npz$"),
    ],
)
def test_unknown_suffix_is_refused(suffix: str, layout: str, sentence: str) -> None:
    """Before anything is forecast; arrays are for jobs whose series stand somewhere."""
    series = Series.model_validate({"freq": "h", "layout": layout})
    with pytest.raises(ConfigError, match=sentence):
        outlet(f"out{suffix}", series)
