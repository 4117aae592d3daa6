"""A copy of a home while others write to it: every table as of one version, its log before its data."""

from __future__ import annotations

import re
import sqlite3
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import IO, Final

from deltalake import DeltaTable

from forecasting.errors import DataError
from forecasting.runtime.workspace import Workspace

__all__ = ["backup"]

_LOG: Final = "_delta_log"
_COMMIT: Final = re.compile(r"(\d{20})\.(json|checkpoint.*\.parquet)")
_BESIDE: Final = (".db-wal", ".db-shm", ".db-journal")  # of a database, which is copied whole
_ATTEMPTS: Final = 5  # at a table whose files are compacted and deleted meanwhile


def backup(workspace: Workspace, stream: IO[bytes]) -> dict[str, int]:
    """Write a compressed tar of a home, and return the version of every table in it by its path in the home.

    Working folders, caches and locks are left out. A SQLite database is copied by SQLite itself. Raises DataError where
    a table cannot be read.
    """
    home = workspace.home
    tables = sorted(path.parent for path in home.glob(f"tables/*/*/{_LOG}"))
    spools = sorted(home.glob("tables/*/spool"))
    with tarfile.open(fileobj=stream, mode="w|gz") as archive:
        for path in (file for spool in spools for file in _files(spool, set())):
            _add(archive, home, path)  # before the tables: what is merged meanwhile is in both, not in neither
        if workspace.database.exists():
            _add_database(archive, workspace)
        versions = {path.relative_to(home).as_posix(): _add_table(archive, home, path) for path in tables}
        apart = {workspace.database, workspace.cache, workspace.locks, home / "work", *tables, *spools}
        for path in _files(home, apart):
            _add(archive, home, path)
    return versions


def _add_table(archive: tarfile.TarFile, home: Path, table: Path) -> int:
    """Add a table as of its newest version: its log up to that, then the files that it names."""
    for _ in range(_ATTEMPTS):
        try:
            stored = DeltaTable(str(table))
            version = stored.version()
            needed = {Path(table, action) for action in _paths(stored)}
            for path in sorted((table / _LOG).iterdir()):
                found = _COMMIT.fullmatch(path.name)
                if found and int(found[1]) <= version:
                    _add(archive, home, path, needed=True)
            for path in sorted(needed):
                _add(archive, home, path, needed=True)
        except FileNotFoundError:  # a newer version has no need of it, and it was deleted: go on with that one
            continue
        for path in table.glob("*.parquet"):  # of older versions, for whoever reads back in time
            if path not in needed:
                _add(archive, home, path)
        return version
    raise DataError(f"the table {table} changes faster than it can be copied; try again when less is written")


def _paths(stored: DeltaTable) -> list[str]:
    actions = stored.get_add_actions(flatten=True)
    return [str(path) for path in actions["path"].to_pylist()]


def _add_database(archive: tarfile.TarFile, workspace: Workspace) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch) / workspace.database.name
        with closing(sqlite3.connect(workspace.database)) as source, closing(sqlite3.connect(copy)) as target:
            source.backup(target)
        archive.add(copy, workspace.database.name)


def _files(folder: Path, apart: set[Path]) -> Iterator[Path]:
    """All files below a folder but those that stand apart, and drafts that have no name yet."""
    for path in sorted(folder.iterdir()):
        if path in apart or path.name.startswith(".") or path.is_symlink() or path.name.endswith(_BESIDE):
            continue
        if path.is_dir():
            with suppress(FileNotFoundError):
                yield from _files(path, apart)
        else:
            yield path


def _add(archive: tarfile.TarFile, home: Path, path: Path, *, needed: bool = False) -> None:
    """Add a file as it is when it is opened; one that is gone is left out, unless it is needed."""
    try:
        file = path.open("rb")
    except FileNotFoundError:
        if needed:
            raise
        return
    with file:
        archive.addfile(archive.gettarinfo(arcname=path.relative_to(home).as_posix(), fileobj=file), file)
