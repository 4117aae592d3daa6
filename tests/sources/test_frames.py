"""Frames from NetCDF, arrays and pictures: what becomes of each value, and what is refused."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from PIL import Image

from forecasting import sources
from forecasting.config.job import Job
from forecasting.errors import ConfigError, SourceError
from forecasting.series.layout import learn_layout

Read = Callable[..., pd.DataFrame]


@pytest.fixture
def read(tmp_path: Path, make_job: Callable[..., Job]) -> Read:
    """Reads what lies in the test's folder as frames."""

    def call(pattern: str, series: dict[str, Any] | None = None, **source: Any) -> pd.DataFrame:
        source = {"kind": "frames", "path": str(tmp_path / pattern), **source}
        return sources.read(make_job({"freq": "D", "layout": "grid", **(series or {})}, source=source))

    return call


def cube(table: pd.DataFrame, column: str = "y") -> np.ndarray:
    """A table back as an array (T, R, C)."""
    layout = learn_layout(table, Job.model_fields["series"].annotation.model_validate({"freq": "D", "layout": "grid"}))  # type: ignore[union-attr]
    assert layout is not None
    wide = table.pivot(index="ds", columns="unique_id", values=column)
    return wide.reindex(columns=list(layout.unique_id)).to_numpy().reshape(-1, *layout.shape)


@pytest.fixture
def netcdf(tmp_path: Path) -> np.ndarray:
    """A file of 5 days × 3 × 4 cells with two variables, one cell of land, one value that lacks; gives the first."""
    draw = np.random.default_rng(0)
    values = draw.normal(size=(5, 3, 4)).astype("float32")
    values[:, 1, 2], values[2, 0, 0] = np.nan, np.nan
    dims = ("time", "lat", "lon")
    data = xr.Dataset(
        {"heat": (dims, values), "wind": (dims, 2 * values), "area": (dims[1:], values[0])},
        {"time": pd.date_range("2024-01-01", periods=5), "lat": [10.0, 20.0, 30.0], "lon": [1.0, 2.0, 3.0, 4.0]},
    )
    data.to_netcdf(tmp_path / "sea.nc", engine="h5netcdf", encoding={"heat": {"_FillValue": 1e20}})
    return values


def test_netcdf_becomes_one_series_per_cell(netcdf: np.ndarray, read: Read) -> None:
    """Every value at its cell and stamp, fill values as gaps, land without rows, coordinates as static numbers."""
    table = read("sea.nc", {"past": ["wind"], "static": ["lat", "row"]}, variable=["heat", "wind"])
    np.testing.assert_array_equal(cube(table), netcdf)
    np.testing.assert_array_equal(cube(table, "wind"), 2 * netcdf)
    assert "r1c2" not in set(table["unique_id"])
    assert table["unique_id"].dtype == "str"
    assert set(table.loc[table["unique_id"] == "r2c0", "lat"]) == {30.0}
    assert set(table.loc[table["unique_id"] == "r2c0", "row"]) == {2.0}


def test_frames_are_cropped_and_coarsened(netcdf: np.ndarray, read: Read) -> None:
    """Blocks are the mean of what is read in them, smaller at the ends."""
    table = read("sea.nc", {"static": ["lon"]}, variable="heat", columns=[1, 4], coarsen=[2, 2])
    crop = netcdf[:, :, 1:4]
    expected = [[np.nanmean(crop[:, r : r + 2, c : c + 2], axis=(1, 2)) for c in (0, 2)] for r in (0, 2)]
    np.testing.assert_allclose(cube(table), np.moveaxis(np.array(expected), -1, 0), rtol=1e-6)
    assert set(table.loc[table["unique_id"] == "r0c0", "lon"]) == {2.5}


@pytest.mark.parametrize(("freq", "first"), [("MS", "2024-01-01"), ("ME", "2024-01-31")])
def test_a_date_within_a_month_is_that_of_the_month(freq: str, first: str, tmp_path: Path, read: Read) -> None:
    """Monthly means are often dated at the middle of their month."""
    stamps = pd.DatetimeIndex(["2024-01-16 12:00", "2024-02-15 12:00", "2024-03-16 12:00"])
    data = xr.Dataset({"heat": (("time", "y", "x"), np.ones((3, 1, 2)))}, {"time": stamps})
    data.to_netcdf(tmp_path / "monthly.nc", engine="h5netcdf")
    table = read("monthly.nc", {"freq": freq})
    expected = pd.date_range(first, periods=3, freq=freq, unit="us")
    assert table.loc[table["unique_id"] == "r0c0", "ds"].tolist() == expected.tolist()


@pytest.mark.parametrize("ending", ["npz", "npy"])
def test_arrays_take_their_time_from_the_start(ending: str, tmp_path: Path, read: Read) -> None:
    """Channels after the first are covariates by number, a code for "no value" is a gap."""
    values = np.random.default_rng(0).normal(size=(4, 2, 3, 2))
    values[1, 1, 1, 0] = -99.0
    path = tmp_path / f"frames.{ending}"
    np.savez(path, clip=values, other=np.ones(3)) if ending == "npz" else np.save(path, values)
    table = read(path.name, {"past": ["channel_1"]}, start="2024-03-01", missing=[-99])
    values[1, 1, 1, 0] = np.nan
    np.testing.assert_array_equal(cube(table), values[..., 0])
    np.testing.assert_array_equal(cube(table, "channel_1"), values[..., 1])
    assert table["ds"].min() == pd.Timestamp("2024-03-01")


@pytest.mark.parametrize("colour", ["gray", "rgb"])
def test_pictures_are_frames_in_the_order_of_their_names(colour: str, tmp_path: Path, read: Read) -> None:
    """Values from 0 to 1; of a coloured picture red is y."""
    pixels = np.random.default_rng(0).integers(0, 256, (3, 2, 4, 3), dtype=np.uint8)
    if colour == "gray":
        pixels[:] = pixels[..., :1]
    for number in (2, 0, 1):
        Image.fromarray(pixels[number]).save(tmp_path / f"frame_{number}.png")
    table = read("*.png", {"past": ["blue"] if colour == "rgb" else []}, start="2024-01-01", colour=colour)
    np.testing.assert_allclose(cube(table), pixels[..., 0] / 255)
    if colour == "rgb":
        np.testing.assert_allclose(cube(table, "blue"), pixels[..., 2] / 255)


def test_pictures_of_unequal_size_are_listed(tmp_path: Path, read: Read) -> None:
    """The odd ones out, with their size and the usual one."""
    for number, size in enumerate([(4, 2), (4, 2), (5, 2)]):
        Image.new("L", size).save(tmp_path / f"{number}.png")
    with pytest.raises(SourceError, match=r"most are 2 × 4 × 1 .*\n  - .*2\.png: 2 × 5 × 1") as caught:
        read("*.png", start="2024-01-01")
    assert "0.png" not in str(caught.value)


def test_unusable_files_are_refused(netcdf: np.ndarray, tmp_path: Path, read: Read) -> None:
    """One clear error each, which says what there is or what to do."""
    (tmp_path / "broken.nc").write_bytes(b"no file")
    (tmp_path / "broken.png").write_bytes(b"no picture")
    (tmp_path / "table.csv").write_text("a,b\n", encoding="utf-8")
    np.save(tmp_path / "flat.npy", np.ones((3, 4)))
    np.save(tmp_path / "empty.npy", np.full((3, 2, 2), np.nan))
    np.save(tmp_path / "good.npy", np.ones((3, 2, 2)))
    cases: list[tuple[dict[str, Any], str]] = [
        ({"pattern": "none.nc"}, "no file matches source.path"),
        ({"pattern": "broken.nc"}, r"cannot read .*broken\.nc"),
        ({"pattern": "broken.png", "start": "2024-01-01"}, r"cannot read .*broken\.png"),
        ({"pattern": "table.csv"}, r"files ending in \.csv hold no frames; known endings: \.nc"),
        ({"pattern": "sea.nc"}, "holds heat, wind; name one in source.variable"),
        ({"pattern": "sea.nc", "variable": "salt"}, "no frames called salt; .*: heat, wind"),
        ({"pattern": "sea.nc", "variable": "heat", "time": "lat"}, "heat has the dimensions time, lat, lon; expected"),
        ({"pattern": "sea.nc", "variable": "heat", "start": "2024-01-01"}, "start is for files without time"),
        ({"pattern": "sea.nc", "variable": "heat", "rows": [0, 9]}, r"rows \[0, 9\] reaches beyond the 3 rows"),
        ({"pattern": "sea.nc", "variable": "heat", "series": {"past": ["wind"]}}, "past names wind; valid: none"),
        ({"pattern": "flat.npy", "start": "2024-01-01"}, r"frames \(3, 4\); expected .*\(time, rows, columns"),
        ({"pattern": "empty.npy", "start": "2024-01-01"}, "no cell of frames .* has any value"),
        ({"pattern": "good.npy"}, "source.start must say when the first frame was taken"),
    ]
    for arguments, sentence in cases:
        with pytest.raises(SourceError, match=sentence):
            read(**arguments)


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ({"rows": [3, 3]}, r"rows: must be \[first, one after the last\], counted from 0, got \[3, 3\]"),
        ({"coarsen": [0, 1]}, r"coarsen\.0: must be a whole number of at least 1, got 0"),
    ],
)
def test_senseless_crops_are_refused(source: dict[str, Any], sentence: str, read: Read) -> None:
    """The configuration says so before a file is opened."""
    with pytest.raises(ConfigError, match=sentence):
        read("x.nc", **source)


def test_sea_surface_temperature_is_read_with_its_land(datasets: Path, make_job: Callable[..., Job]) -> None:
    """A real file: 54 months, the land (26.4 %) without series, kelvin that make sense."""
    source = {"kind": "frames", "path": str(datasets / "sequences" / "grids" / "ostia_monthly.nc")}
    table = sources.read(make_job({"freq": "MS", "layout": "grid"}, source=source))
    assert table["ds"].nunique() == 54
    assert table["unique_id"].nunique() == round(18 * 432 * (1 - 0.26427469))
    assert table["y"].between(285, 308).all()
