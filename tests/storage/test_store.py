"""Whoever writes to a store at the same time as others, or is killed, loses nothing and leaves every write whole."""

import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from forecasting.errors import DataError
from forecasting.storage import appending, observations
from forecasting.storage.observations import Merged
from forecasting.storage.store import Store
from tests.storage.rows import forecasts, table


def test_missing_tables_name_the_command_that_makes_them(tmp_path: Path) -> None:
    """A newcomer knows what to type."""
    with pytest.raises(DataError, match="gatecast ingest CONFIG"):
        Store(tmp_path).observations.read("j")
    with pytest.raises(DataError, match="gatecast forecast CONFIG"):
        Store(tmp_path).forecasts.read("j")


def write(home: str, number: int) -> None:
    """What one of several processes does at the same time as the others."""
    store = Store(Path(home))
    for turn in range(2):
        store.observations.merge("j", table([1.0 + turn] * 20, f"s{number}"))
        store.observations.merge("j", table([5.0] * 20, "shared"))
        store.forecasts.append("j", forecasts(turn, rows=20))


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
    assert_frame_equal(store.observations.read("j"), pd.concat(expected, ignore_index=True))
    stored = store.forecasts.read("j")
    assert len(stored) == 40
    assert not stored.duplicated(["unique_id", "ds", "cutoff", "version"]).any()


def test_faster_writer_makes_the_slower_one_look_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process commits the same new rows between the reading and the writing of this one."""
    store, other = Store(tmp_path), Store(tmp_path)
    store.observations.merge("j", table([1]))
    store.forecasts.append("j", forecasts(1))
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

    interrupt(observations, "_difference", lambda: other.observations.merge("j", table([1, 2])))
    assert store.observations.merge("j", table([1, 2, 3])) == Merged(2, 1, 0)
    assert calls == ["_difference"] * 3
    assert_frame_equal(store.observations.read("j"), table([1, 2, 3]))
    calls.clear()
    interrupt(appending, "_known", lambda: other.forecasts.append("j", forecasts(2)[:2]))
    assert store.forecasts.append("j", forecasts(2)) == 1
    assert calls == ["_known"] * 3
    assert len(store.forecasts.read("j", version=2)) == 3


def write_forever(home: str) -> None:
    """Correct the whole table again and again."""
    store, value = Store(Path(home)), 0.0
    while True:
        value += 1
        store.observations.merge("j", table([value] * 5000))
        store.forecasts.append("j", forecasts(int(value), rows=100))


def test_killed_writer_leaves_only_whole_versions(tmp_path: Path) -> None:
    """After SIGKILL at any moment every row is of one ingestion, and the next one goes on."""
    context, store = multiprocessing.get_context("spawn"), Store(tmp_path)
    for _ in range(2):
        before = store.observations.version("j") or 0
        writer = context.Process(target=write_forever, args=(str(tmp_path),))
        writer.start()
        while (store.observations.version("j") or 0) < before + 3:
            time.sleep(0.01)
        os.kill(writer.pid, signal.SIGKILL)
        writer.join()
        stored = store.observations.read("j")
        assert (len(stored), stored["y"].nunique()) == (5000, 1)
        assert (store.forecasts.read("j").groupby("version").size() == 100).all()
    assert store.observations.merge("j", table([-1.0] * 5000)).updated == 5000
