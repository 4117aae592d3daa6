"""Backups that are taken while others write: each one is a version of every table, and nothing is missing."""

import io
import json
import sqlite3
import tarfile
import threading
import time
from contextlib import closing
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from deltalake import DeltaTable
from typer.testing import CliRunner

from forecasting.cli.main import app
from forecasting.errors import ConfigError
from forecasting.runtime.workspace import Workspace
from forecasting.storage.backup import backup
from forecasting.storage.compaction import vacuum
from forecasting.storage.store import Store
from tests.storage.rows import forecasts, table

ARCHIVES = 20
TABLE = "tables/j/observations"


def restored(content: bytes, folder: Path) -> Path:
    """The home that an archive holds."""
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        archive.extraction_filter = getattr(tarfile, "data_filter", None)  # Python 3.11.4 and later
        archive.extractall(folder)
    return folder


def rows(home: Path, version: int | None = None) -> pd.DataFrame:
    """Everything in the table of readings, in order."""
    found = DeltaTable(str(home / TABLE), version=version).to_pyarrow_dataset().to_table().to_pandas()
    return found.sort_values(["unique_id", "ds"], ignore_index=True)


def test_twenty_archives_taken_under_load_are_twenty_versions(tmp_path: Path) -> None:
    """While rows are merged, changed and compacted without a pause, each archive restores to a version of the table."""
    home = tmp_path / "home"
    store, done, failed = Store(home), threading.Event(), list[Exception]()
    store.observations.merge("j", table([0.0] * 24))

    def write() -> None:
        day = 0
        try:
            while not done.is_set():
                day += 1
                start = str(pd.Timestamp("2024-01-01") + pd.Timedelta(hours=12 * day))
                store.observations.merge("j", table([float(day)] * 24, start=start))
                if day % 20 == 0:
                    store.compact("j")
        except Exception as error:  # noqa: BLE001 - shown by the assertion
            failed.append(error)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        found: list[tuple[int, bytes]] = []
        for _ in range(ARCHIVES):
            while DeltaTable(str(home / TABLE)).version() == (found[-1][0] if found else 0):
                time.sleep(0.001)
            stream = io.BytesIO()
            found.append((backup(Workspace(home), stream)[TABLE], stream.getvalue()))
    finally:
        done.set()
        writer.join()
    assert failed == []
    assert len({version for version, _ in found}) == ARCHIVES
    for number, (version, content) in enumerate(found):
        place = restored(content, tmp_path / str(number))
        assert DeltaTable(str(place / TABLE)).version() == version
        pd.testing.assert_frame_equal(rows(place), rows(home, version))
        assert Store(place).observations.merge("j", table([1.0] * 3, start="2030-01-01")).inserted == 3


def test_a_table_whose_files_go_meanwhile_is_copied_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that a newer version has no need of may be deleted between a look at the log and the copy."""
    from forecasting.storage import backup as module

    store = Store(tmp_path / "home")
    for day in range(1, 20):
        store.observations.merge("j", table([float(day)] * 24, start=f"2024-01-{day:02d}"))
    look, looks = module._paths, []

    def slow(stored: DeltaTable) -> list[str]:
        looked = look(stored)
        looks.append(looked)
        if len(looks) == 1:
            store.compact("j")
            vacuum(str(tmp_path / "home" / TABLE), 0)
        return looked

    monkeypatch.setattr(module, "_paths", slow)
    stream = io.BytesIO()
    version = backup(Workspace(tmp_path / "home"), stream)[TABLE]
    place = restored(stream.getvalue(), tmp_path / "restored")
    assert len(looks) == 2
    assert DeltaTable(str(place / TABLE)).version() == version
    pd.testing.assert_frame_equal(rows(place), rows(tmp_path / "home"))


def test_everything_else_of_a_home_is_kept_but_for_what_can_be_made_again(tmp_path: Path) -> None:
    """Databases whole, reports and artifacts; no cache, no lock, no draft, no working folder."""
    home = tmp_path / "home"
    Store(home).forecasts.append("j", forecasts(1))
    with closing(sqlite3.connect(home / "mlflow.db")) as database:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("CREATE TABLE runs (name TEXT)")
        database.execute("INSERT INTO runs VALUES ('kept')")
        database.commit()
        for path in (  # the last two are kept
            "cache/j/1/model.onnx",
            "locks/run-j.lock",
            "work/j/x",
            ".draft/x",
            "reports/j/a.html",
            "artifacts/a",
        ):
            (home / path).parent.mkdir(parents=True, exist_ok=True)
            (home / path).write_bytes(np.arange(10).tobytes())
        stream = io.BytesIO()
        backup(Workspace(home), stream)
    place = restored(stream.getvalue(), tmp_path / "restored")
    files = {path.relative_to(place).as_posix() for path in place.rglob("*") if path.is_file()}
    assert {path for path in files if not path.startswith("tables/")} == {
        "mlflow.db",
        "reports/j/a.html",
        "artifacts/a",
    }
    with closing(sqlite3.connect(place / "mlflow.db")) as database:
        assert database.execute("SELECT name FROM runs").fetchall() == [("kept",)]
    assert len(Store(place).forecasts.read("j")) == 3


def test_the_command_writes_a_whole_file_or_to_standard_output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both hold the home; without one there is one sentence and no file."""
    Store(tmp_path / "home").observations.merge("j", table([1.0, 2.0]))
    monkeypatch.setenv("GATECAST_HOME", str(tmp_path / "home"))
    shown = CliRunner().invoke(app, ["backup", str(tmp_path / "home.tgz"), "--json"])
    assert json.loads(shown.stdout)["tables"] == {TABLE: 0}
    assert len(rows(restored((tmp_path / "home.tgz").read_bytes(), tmp_path / "a"))) == 2
    piped = CliRunner().invoke(app, ["backup", "-"])
    assert len(rows(restored(piped.stdout_bytes, tmp_path / "b"))) == 2
    monkeypatch.setenv("GATECAST_HOME", str(tmp_path / "none"))
    refused = CliRunner().invoke(app, ["backup", str(tmp_path / "none.tgz")])
    assert isinstance(refused.exception, ConfigError)
    assert not (tmp_path / "none.tgz").exists()
