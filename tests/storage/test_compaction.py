"""Compaction: the same rows in fewer, ordered files; nothing is lost to a faster writer, nor what is still needed."""

import itertools
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from deltalake import DeltaTable
from pandas.testing import assert_frame_equal

from forecasting.storage import compaction
from forecasting.storage.reading import TableVersion, files
from forecasting.storage.store import Store


def table(rows: int, series: int, start: str = "2024-01-01") -> pd.DataFrame:
    """Hourly readings of several series."""
    ds = pd.date_range(start, periods=rows, freq="h", unit="us")
    names = pd.array(np.repeat([f"s{number:03d}" for number in range(series)], rows), dtype="str")
    y = np.random.default_rng(rows).normal(size=rows * series)
    return pd.DataFrame({"unique_id": names, "ds": np.tile(ds, series), "y": y, "k": pd.array(names, dtype="str")})


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Twenty small files, one for each of twenty days."""
    store = Store(tmp_path)
    for day in pd.date_range("2024-01-01", periods=20):
        store.observations.merge("j", table(24, 5, str(day)))
    return store


def count(tmp_path: Path) -> int:
    """The number of data files."""
    return len(DeltaTable(str(tmp_path / "tables" / "j" / "observations")).file_uris())


def test_many_small_files_become_one_with_the_same_rows(store: Store, tmp_path: Path) -> None:
    """Types, missing values, versions and when the last row came stay; a second time there is nothing to do."""
    store.observations.merge("j", table(3, 1, "2024-02-01").assign(y=[1.0, np.nan, 2.0], k=["a", None, "b"]))
    stored = store.observations
    before, then, came = stored.read("j"), stored.read("j", 3), stored.last_write("j")
    assert count(tmp_path) == 21
    assert store.compact("j") == 21
    assert count(tmp_path) == 1
    assert_frame_equal(store.observations.read("j"), before)
    assert_frame_equal(store.observations.read("j", 3), then)
    assert store.compact("j") == 0
    assert store.observations.merge("j", before).inserted == 0
    assert store.observations.last_write("j") == came


def test_large_files_become_stretches_of_time(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file has a share of the time and all series of it, so that recent rows are read without old ones."""
    monkeypatch.setattr(compaction, "_ROWS", 600)
    monkeypatch.setattr(compaction, "_MANY", 0)
    before = store.observations.read("j")
    store.compact("j")
    path = str(tmp_path / "tables" / "j" / "observations")
    found = sorted(files(TableVersion(path, DeltaTable(path).version())), key=lambda file: file.least["ds"])
    assert len(found) == 4
    assert all(one.greatest["ds"] < next_.least["ds"] for one, next_ in itertools.pairwise(found))
    assert {(file.least["unique_id"], file.greatest["unique_id"]) for file in found} == {("s000", "s004")}
    assert_frame_equal(store.observations.read("j"), before)


def test_a_faster_writer_wins(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its rows stay, the compaction leaves no file behind and tries again the next time."""
    written, other = compaction.write_part, Store(tmp_path)

    def interrupted(path: Path, rows: object) -> None:
        other.observations.merge("j", table(1, 9, "2025-01-01"))
        written(path, rows)

    monkeypatch.setattr(compaction, "write_part", interrupted)
    assert store.compact("j") == 0
    monkeypatch.undo()
    assert len(store.observations.read("j")) == 20 * 24 * 5 + 9
    folder = tmp_path / "tables" / "j" / "observations"
    assert len(list(folder.glob("*.parquet"))) == count(tmp_path)
    assert store.compact("j") == 21


def test_old_files_are_deleted_when_no_version_needs_them(store: Store, tmp_path: Path) -> None:
    """Within the days that are kept every version can be read; without them only the newest one."""
    folder = tmp_path / "tables" / "j" / "observations"
    before = store.observations.read("j")
    store.compact("j", keep_days=1)
    assert len(list(folder.glob("*.parquet"))) == 21
    store.compact("j", keep_days=0)
    assert len(list(folder.glob("*.parquet"))) == 1
    assert_frame_equal(store.observations.read("j"), before)
