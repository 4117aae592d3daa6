"""What a spool has kept comes back whole, in order, and whatever happens to the process or the disk."""

import errno
import logging
import os
import stat
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from forecasting.errors import SpaceError, StorageError
from forecasting.storage.spool import FullError, Spool, tables
from tests.storage.rows import table


def kept(spool: Spool) -> list[pd.DataFrame]:
    """Everything that waits."""
    return [each.to_pandas() for path in spool.take() for each in tables(path)]


def test_tables_come_back_as_they_went_in(tmp_path: Path) -> None:
    """In order, over several files, with missing values and labels."""
    sent = [table([1.0, np.nan]).assign(kind=pd.array(["ü", None], dtype="str")), table([3.0], "b"), table([4.0], "c")]
    spool = Spool(tmp_path, 10**6)
    for each in sent[:2]:
        spool.append(each)
    spool.take()
    spool.append(sent[2])
    for back, one in zip(kept(spool), sent, strict=True):
        pd.testing.assert_frame_equal(back, one)


@pytest.mark.parametrize("share", [0.01, 0.5, 0.99])
def test_a_torn_record_hides_no_other(tmp_path: Path, share: float, caplog: pytest.LogCaptureFixture) -> None:
    """Not those before it, nor those that a later process keeps."""
    spool = Spool(tmp_path, 10**6)
    spool.append(table([1.0]))
    (path,) = spool.take()
    whole = path.read_bytes()
    path.write_bytes(whole + whole[: int(share * len(whole))])
    later = Spool(tmp_path, 10**6)
    later.append(table([2.0]))
    with caplog.at_level(logging.WARNING):
        assert [each["y"].tolist() for each in kept(later)] == [[1.0], [2.0]]
    assert "spool torn" in caplog.text


def test_a_changed_record_is_not_taken_for_readings(tmp_path: Path) -> None:
    """Its checksum differs."""
    spool = Spool(tmp_path, 10**6)
    spool.append(table([1.0]))
    (path,) = spool.take()
    content = bytearray(path.read_bytes())
    content[-20] ^= 1
    path.write_bytes(content)
    assert list(tables(path)) == []


def test_a_table_is_synced_before_append_returns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of its bytes are in the file at the last sync, and so is the name of the file."""
    synced: list[tuple[bool, int]] = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        found = os.fstat(descriptor)
        synced.append((stat.S_ISDIR(found.st_mode), found.st_size))
        real(descriptor)

    spool = Spool(tmp_path, 10**6)
    monkeypatch.setattr(os, "fsync", fsync)
    spool.append(table([1.0]))
    (path,) = spool.take()
    assert synced[-1] == (False, path.stat().st_size)
    assert any(folder for folder, _ in synced)


def test_a_full_spool_refuses_until_something_is_merged(tmp_path: Path) -> None:
    """Also after a restart; what was refused is not kept."""
    spool = Spool(tmp_path, 3_000)
    spool.append(table([1.0]))
    for again in (spool, Spool(tmp_path, 3_000)):
        with pytest.raises(FullError):
            again.append(table([2.0] * 300))
    (path,) = spool.take()
    assert spool.size == path.stat().st_size
    spool.drop(path)
    assert spool.size == 0
    spool.append(table([2.0]))
    assert [each["y"].tolist() for each in kept(spool)] == [[2.0]]


@pytest.mark.parametrize(("number", "expected"), [(errno.ENOSPC, SpaceError), (errno.EIO, StorageError)])
def test_a_write_that_fails_is_told_and_leaves_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, expected: type[Exception]
) -> None:
    """A full disk may have room again; of a broken one nothing is believed any more."""
    spool, real = Spool(tmp_path, 10**6), os.write
    spool.append(table([1.0]))

    def half(descriptor: int, content: Any) -> int:
        real(descriptor, bytes(content)[: len(content) // 2])
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "write", half)
    with pytest.raises(expected):
        spool.append(table([2.0]))
    monkeypatch.undo()
    if number == errno.ENOSPC:
        spool.append(table([3.0]))
    else:
        with pytest.raises(StorageError, match="cannot be written"):
            spool.append(table([3.0]))
    assert [each["y"].tolist() for each in kept(spool)] == [[1.0], [3.0]][: 1 + (number == errno.ENOSPC)]
