"""Delta tables: the same rows twice are one row, every write is whole, every version can be read again."""

import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from forecasting.errors import DataError
from forecasting.storage import appending as commits
from forecasting.storage import store as store_module
from forecasting.storage.store import Merged, Store, fingerprint


def table(y: list[float], ids: str = "a", start: str = "2024-01-01") -> pd.DataFrame:
    """An hourly long table."""
    ds = pd.date_range(start, periods=len(y), freq="h", unit="us")
    return pd.DataFrame({"unique_id": pd.Series([ids] * len(y), dtype="str"), "ds": ds, "y": np.array(y, dtype=float)})


def forecasts(version: int, cutoff: str = "2024-01-01", rows: int = 3) -> pd.DataFrame:
    """Forecasts of one cutoff by one model version."""
    frame = table([float(version)] * rows, start=cutoff).rename(columns={"y": "q0.5"})
    return frame.assign(cutoff=pd.Timestamp(cutoff).as_unit("us"), version=version, model="stacked")


def test_ingesting_twice_changes_nothing(tmp_path: Path) -> None:
    """No row and no version more; NaN equals NaN; the order of the rows does not matter."""
    store, first = Store(tmp_path), table([1, np.nan, 3])
    assert store.version("j") is None
    assert store.merge_observations("j", first) == Merged(0, 3, 0)
    assert store.merge_observations("j", first[::-1]) == Merged(0, 0, 0)
    assert store.version("j") == 0
    assert_frame_equal(store.read_observations("j"), first)


def test_corrections_replace_new_rows_join_and_absent_rows_stay(tmp_path: Path) -> None:
    """A value that became known, one that changed, one that was taken back, a new series; other rows are kept."""
    store = Store(tmp_path)
    store.merge_observations("j", table([1, np.nan, 3, 4, 5]))
    news = pd.concat([table([1, 2, 30, np.nan]), table([7], "b")], ignore_index=True)
    assert store.merge_observations("j", news) == Merged(1, 1, 3)
    expected = pd.concat([table([1, 2, 30, np.nan, 5]), table([7], "b")], ignore_index=True)
    assert_frame_equal(store.read_observations("j"), expected)


def test_versions_can_be_read_again(tmp_path: Path) -> None:
    """A run is reproduced from the version that it saw."""
    store = Store(tmp_path)
    for value in (1.0, 2.0, 3.0):
        store.merge_observations("j", table([value]))
    assert [store.read_observations("j", version)["y"].tolist() for version in (0, 1, 2)] == [[1.0], [2.0], [3.0]]
    with pytest.raises(DataError, match="no version 3; the latest is 2"):
        store.read_observations("j", 3)


def test_new_covariates_become_columns_and_missing_ones_stay(tmp_path: Path) -> None:
    """Old rows lack the new covariate; a later file without it does not wipe it out."""
    store = Store(tmp_path)
    store.merge_observations("j", table([1, 2]))
    wider = table([2, 3], start="2024-01-01 01:00").assign(temp=[20.0, 30.0], kind=["u", None])
    assert store.merge_observations("j", wider) == Merged(1, 1, 1)
    assert store.merge_observations("j", table([9])) == Merged(2, 0, 1)
    expected = table([9, 2, 3]).assign(temp=[np.nan, 20, 30], kind=pd.Series([None, "u", None], dtype="str"))
    assert_frame_equal(store.read_observations("j"), expected, check_like=True)
    assert store.merge_observations("j", wider) == Merged(2, 0, 0)


def test_rows_that_do_not_fit_are_refused_and_nothing_is_written(tmp_path: Path) -> None:
    """A covariate that was a number and is a label now; a key that occurs twice."""
    store = Store(tmp_path)
    store.merge_observations("j", table([1]).assign(p=1.0))
    with pytest.raises(
        DataError, match=r"do not fit the stored table[^-]*- column p holds double, the new rows large_string"
    ):
        store.merge_observations("j", table([2]).assign(p="high"))
    with pytest.raises(DataError, match=r"1 row\(s\) repeat a key \(unique_id, ds\)"):
        store.merge_observations("j", pd.concat([table([1]), table([2])]))
    assert store.version("j") == 0


def test_missing_tables_name_the_command_that_makes_them(tmp_path: Path) -> None:
    """A newcomer knows what to type."""
    with pytest.raises(DataError, match="gatecast ingest CONFIG"):
        Store(tmp_path).read_observations("j")
    with pytest.raises(DataError, match="gatecast forecast CONFIG"):
        Store(tmp_path).read_forecasts("j")


def test_forecasts_are_stored_exactly_once(tmp_path: Path) -> None:
    """Per series, stamp, cutoff and model version; the first one stays."""
    store = Store(tmp_path)
    assert store.append_forecasts("j", forecasts(1)) == 3
    assert store.append_forecasts("j", forecasts(1).assign(**{"q0.5": 99.0})) == 0
    assert store.append_forecasts("j", pd.concat([forecasts(1, rows=4), forecasts(2)])) == 4
    assert store.append_forecasts("j", forecasts(1, "2024-01-02")) == 3
    stored = store.read_forecasts("j")
    assert len(stored) == 10
    assert stored["q0.5"].isin([1, 2]).all()


def test_forecasts_are_read_by_cutoff_and_version(tmp_path: Path) -> None:
    """As they were written."""
    store = Store(tmp_path)
    for version, cutoff in ((1, "2024-01-01"), (1, "2024-01-02"), (2, "2024-01-02")):
        store.append_forecasts("j", forecasts(version, cutoff))
    assert_frame_equal(
        store.read_forecasts("j", cutoff=pd.Timestamp("2024-01-02"), version=2), forecasts(2, "2024-01-02")
    )
    assert len(store.read_forecasts("j", cutoff=pd.Timestamp("2024-01-02"))) == 6
    assert store.read_forecasts("j", version=3).empty


def test_fingerprint_is_that_of_the_content() -> None:
    """Whatever the order of rows and columns; any other value, stamp, label or name gives another one."""
    base = table([1, np.nan, -0.0]).assign(kind=["u", "v", None])
    same = base.iloc[::-1][["kind", "y", "ds", "unique_id"]].replace({-0.0: 0.0})
    assert fingerprint(same) == fingerprint(base)
    others = [
        base.assign(y=[1, np.nan, 1e-300]),
        base.assign(y=[1, 0, -0.0]),
        base.assign(ds=base["ds"] + pd.Timedelta(microseconds=1)),
        base.assign(kind=["v", "u", None]),
        base.assign(kind=["u", "v", "v"]),
        base.rename(columns={"kind": "sort"}),
        base[:2],
    ]
    assert len({fingerprint(frame) for frame in [base, *others]}) == len(others) + 1
    repeated = pd.concat([table([1, 2]), table([2, 1])])
    assert fingerprint(repeated) == fingerprint(repeated.iloc[::-1])


def write(home: str, number: int) -> None:
    """What one of several processes does at the same time as the others."""
    store = Store(Path(home))
    for turn in range(2):
        store.merge_observations("j", table([1.0 + turn] * 20, f"s{number}"))
        store.merge_observations("j", table([5.0] * 20, "shared"))
        store.append_forecasts("j", forecasts(turn, rows=20))


def test_processes_at_the_same_time_lose_nothing_and_write_nothing_twice(tmp_path: Path) -> None:
    """Whoever is slower tries again."""
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=write, args=(str(tmp_path), number)) for number in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0, 0, 0]
    store = Store(tmp_path)
    expected = [table([2.0] * 20, f"s{number}") for number in range(3)] + [table([5.0] * 20, "shared")]
    assert_frame_equal(store.read_observations("j"), pd.concat(expected, ignore_index=True))
    stored = store.read_forecasts("j")
    assert len(stored) == 40
    assert not stored.duplicated(["unique_id", "ds", "cutoff", "version"]).any()


def test_faster_writer_makes_the_slower_one_look_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process commits the same new rows between the reading and the writing of this one."""
    store, other = Store(tmp_path), Store(tmp_path)
    store.merge_observations("j", table([1]))
    store.append_forecasts("j", forecasts(1))
    calls = []

    def interrupt(module: Any, name: str, once: Callable[[], object]) -> None:
        look = getattr(module, name)

        def interrupted(*args: Any) -> Any:
            found = look(*args)
            calls.append(name)
            if len(calls) == 1:
                once()
            return found

        monkeypatch.setattr(module, name, interrupted)

    interrupt(store_module, "_difference", lambda: other.merge_observations("j", table([1, 2])))
    assert store.merge_observations("j", table([1, 2, 3])) == Merged(2, 1, 0)
    assert calls == ["_difference"] * 3
    assert_frame_equal(store.read_observations("j"), table([1, 2, 3]))
    calls.clear()
    interrupt(commits, "_known", lambda: other.append_forecasts("j", forecasts(2)[:2]))
    assert store.append_forecasts("j", forecasts(2)) == 1
    assert calls == ["_known"] * 3
    assert len(store.read_forecasts("j", version=2)) == 3


def write_forever(home: str) -> None:
    """Correct the whole table again and again."""
    store, value = Store(Path(home)), 0.0
    while True:
        value += 1
        store.merge_observations("j", table([value] * 5000))
        store.append_forecasts("j", forecasts(int(value), rows=100))


def test_killed_writer_leaves_only_whole_versions(tmp_path: Path) -> None:
    """After SIGKILL at any moment every row is of one ingestion, and the next one goes on."""
    context, store = multiprocessing.get_context("spawn"), Store(tmp_path)
    for _ in range(2):
        before = store.version("j") or 0
        writer = context.Process(target=write_forever, args=(str(tmp_path),))
        writer.start()
        while (store.version("j") or 0) < before + 3:
            time.sleep(0.01)
        os.kill(writer.pid, signal.SIGKILL)
        writer.join()
        stored = store.read_observations("j")
        assert (len(stored), stored["y"].nunique()) == (5000, 1)
        assert (store.read_forecasts("j").groupby("version").size() == 100).all()
    assert store.merge_observations("j", table([-1.0] * 5000)).updated == 5000
