"""Tables on their way into the store: appended to files, on disk before anybody is told, until they are merged."""

from __future__ import annotations

import logging
import os
import struct
import threading
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

import pandas as pd
import pyarrow as pa

from forecasting.errors import StorageError, no_space
from forecasting.runtime.files import replace, sync
from forecasting.storage import delta

__all__ = ["FullError", "Spool", "tables"]

log = logging.getLogger("gatecast.storage")

_HEAD: Final = struct.Struct("<II")  # length and CRC-32 of the record that follows
_ENDING: Final = ".spool"


class FullError(StorageError):
    """So much waits to be merged that nothing more is kept."""


class Spool:
    """The tables of one folder, in the order of their coming. One process writes to it, from any of its threads.

    A file holds records, each an Arrow table with its length and checksum. Only the last record of a file can be torn,
    by a process that died before it told anybody of it: whoever comes after begins a file of its own.
    """

    def __init__(self, folder: Path, most: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        sync(folder.parent)
        self._folder = folder
        self._most = most
        self._lock = threading.Lock()
        self._file: int | None = None  # the descriptor of the file that grows
        self._number = max((int(path.stem) for path in self._paths()), default=0)
        self._held = self._measured()
        self._fault: str | None = None

    @property
    def size(self) -> int:
        """Bytes that wait to be merged."""
        return self._held

    def append(self, table: pd.DataFrame) -> None:
        """Keep a table: it is on disk when this returns. Raises FullError, SpaceError, and StorageError."""
        record = _record(table)
        with self._lock:
            if self._held + len(record) > self._most:
                raise FullError(f"{self._held / 1e6:.1f} MB wait to be merged, and no more than that are kept")
            if self._fault is not None:
                raise StorageError(self._fault)
            try:
                self._write(record)
            except OSError as error:
                raise no_space(error) or self._broken(error) from error
            self._held += len(record)

    def take(self) -> list[Path]:
        """The files that are whole, oldest first; what comes from now on goes into another one."""
        with self._lock:
            self._close()
            return self._paths()

    def drop(self, path: Path) -> None:
        """Delete a file whose tables are merged."""
        with self._lock:
            path.unlink()
            self._held = self._measured()

    def replace(self, paths: list[Path], table: pd.DataFrame) -> None:
        """Put a table in the place of whole files, before all that came since; none where it has no rows."""
        first, *others = paths
        with self._lock:
            if len(table):
                record = _record(table)
                replace(first, lambda draft: draft.write_bytes(record))
            for path in others if len(table) else paths:
                path.unlink()
            self._held = self._measured()

    def _paths(self) -> list[Path]:
        return sorted(self._folder.glob(f"*{_ENDING}"))

    def _measured(self) -> int:
        return sum(path.stat().st_size for path in self._paths())

    def _close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _write(self, record: bytes) -> None:
        if self._file is None:
            self._file = self._begin()
        end, left = os.lseek(self._file, 0, os.SEEK_END), memoryview(record)
        try:
            while left:
                left = left[os.write(self._file, left) :]
            os.fsync(self._file)
        except OSError:
            with suppress(OSError):
                os.ftruncate(self._file, end)
            self._close()  # half a record would hide those that follow
            raise

    def _begin(self) -> int:
        self._number += 1
        path = self._folder / f"{self._number:012d}{_ENDING}"
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_APPEND, 0o600)
        sync(self._folder)
        return descriptor

    def _broken(self, error: OSError) -> StorageError:
        """A disk that failed once says nothing true of what is on it: nothing more is kept until the next start."""
        self._fault = f"the spool {self._folder} cannot be written: {error.strerror}; start again when the disk is well"
        return StorageError(self._fault)


def tables(path: Path) -> Iterator[pa.Table]:
    """The tables of a file; bytes behind its last whole record are left out and logged."""
    content, place = path.read_bytes(), 0
    while (record := _record_at(content, place)) is not None:
        with pa.ipc.open_stream(record) as reader:
            yield reader.read_all()
        place += _HEAD.size + len(record)
    if place < len(content):
        log.warning("spool torn", extra={"file": path.name, "bytes": len(content) - place})


def _record_at(content: bytes, place: int) -> bytes | None:
    """The record that begins there; none at the end, or where it is torn."""
    begin = place + _HEAD.size
    if begin > len(content):
        return None
    length, checksum = _HEAD.unpack_from(content, place)
    record = content[begin : begin + length]
    return record if len(record) == length and zlib.crc32(record) == checksum else None


def _record(table: pd.DataFrame) -> bytes:
    rows, sink = delta.to_arrow(table), pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, rows.schema) as writer:
        writer.write_table(rows)
    content: bytes = sink.getvalue().to_pybytes()
    return _HEAD.pack(len(content), zlib.crc32(content)) + content
