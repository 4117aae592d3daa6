"""`source.since` on SQLite and PostgreSQL: only what is new is read, late rows too, and no kill loses any."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import pytest
import sqlalchemy

from forecasting.config.job import Job, parse_job
from forecasting.errors import ConfigError, SourceError
from forecasting.sources import read, read_new
from forecasting.storage import watermarks
from forecasting.storage.store import Store
from pipelines.ingest import ingest

QUERY = (
    "SELECT sensor AS unique_id, at AS ds, reading AS y, {since} FROM plant WHERE note NOT LIKE '%:x' -- all; of it\n;"
)
FIRST = pd.Timestamp("2026-01-01")


class Plant(NamedTuple):
    """A table that other programs write to: a reading, when it was made, and when it was written."""

    engine: sqlalchemy.Engine
    url: str

    def write(self, hours: range, *, written: float | None = None, sensor: str = "a", y: float | None = None) -> None:
        """A reading at each of these hours, written right then or at another hour."""
        rows = [
            {
                "sensor": sensor,
                "at": (FIRST + pd.Timedelta(hours=hour)).to_pydatetime(),
                "reading": float(hour if y is None else y),
                "written": (FIRST + pd.Timedelta(hours=hour if written is None else written)).to_pydatetime(),
                "note": "10:30",
            }
            for hour in hours
        ]
        text = self.engine.dialect.name == "sqlite"
        for row in rows if text else ():
            row |= {"at": str(row["at"]), "written": str(row["written"])}
        insert = (
            "INSERT INTO plant (sensor, at, reading, written, note) VALUES (:sensor, :at, :reading, :written, :note)"
        )
        with self.engine.begin() as connection:
            connection.execute(sqlalchemy.text(insert), rows)

    def job(self, since: str = "written", **source: Any) -> Job:
        """The job that reads it."""
        content = {"kind": "sql", "url": self.url, "query": QUERY.format(since=since), "since": since, "overlap": "2h"}
        return parse_job(
            {
                "name": "plant",
                "source": content | source,
                "series": {"freq": "h", "duplicates": "last"},
                "window": {"context": 6, "horizon": 2},
            }
        )


@pytest.fixture(params=["sqlite", "postgresql"])
def plant(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Plant]:
    """Forty-eight readings, in a database of each kind."""
    sqlite = request.param == "sqlite"
    url = f"sqlite:///{tmp_path / 'plant.db'}" if sqlite else request.getfixturevalue("postgresql")
    kind = "TEXT" if sqlite else "TIMESTAMPTZ"
    key = "INTEGER PRIMARY KEY" if sqlite else "SERIAL PRIMARY KEY"
    engine = sqlalchemy.create_engine(url, poolclass=sqlalchemy.NullPool)
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE IF EXISTS plant")
        connection.exec_driver_sql(
            f"CREATE TABLE plant (id {key}, sensor TEXT, at {kind}, reading FLOAT, written {kind}, note TEXT)"
        )
    made = Plant(engine, url)
    made.write(range(48))
    yield made
    engine.dispose()


def hours(table: pd.DataFrame) -> list[int]:
    """The hours of the readings that were read."""
    return [int((stamp - FIRST) / pd.Timedelta(hours=1)) for stamp in table["ds"]]


def test_only_new_and_late_rows_are_read(plant: Plant) -> None:
    """From the highest stamp of writing less the overlap on, in the words of the database itself."""
    table, mark = read_new(plant.job(), None)
    assert hours(table) == list(range(48))
    assert "written" not in table
    plant.write(range(48, 50))
    plant.write(range(-1, 0), written=46.5)
    later, behind = read_new(plant.job(), mark)
    assert sorted(hours(later)) == [-1, 45, 46, 47, 48, 49]
    assert sorted(hours(read_new(plant.job(overlap="90min"), behind)[0])) == [48, 49]
    assert hours(read_new(plant.job(), mark)[0]) == hours(later)


def test_numbers_are_marks_too(plant: Plant) -> None:
    """A serial number, whose overlap is a number."""
    _, mark = read_new(plant.job("id", overlap=3), None)
    plant.write(range(48, 49))
    assert hours(read_new(plant.job("id", overlap=3), mark)[0]) == [44, 45, 46, 47, 48]
    with pytest.raises(SourceError, match=r"source.overlap must be a number, .* holds numbers; got 2h"):
        read_new(plant.job("id"), None)
    with pytest.raises(SourceError, match=r"source.overlap must be a duration"):
        read_new(plant.job(overlap=3), None)


def test_a_column_without_an_order_is_refused(plant: Plant) -> None:
    """Text, a value that is missing, no such column."""
    for since, message in (("note", "note holds str"), ("sensor", "sensor holds str")):
        with pytest.raises(SourceError, match=f"source.since: {message}; name a column of stamps or numbers"):
            read_new(plant.job(since), None)
    with pytest.raises(SourceError, match=r"no column other, which source.since names"):
        read_new(plant.job(since="other", query=QUERY.format(since="id")), None)
    with plant.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE plant SET written = NULL WHERE reading < 2")
    with pytest.raises(SourceError, match=r"2 row\(s\) have no written, and would never be new"):
        read_new(plant.job(), None)


def test_rows_that_were_all_deleted_are_no_error(plant: Plant) -> None:
    """Everything that is left is read again."""
    _, mark = read_new(plant.job(), None)
    with plant.engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM plant WHERE reading > 20")
    table, behind = read_new(plant.job(), mark)
    assert hours(table) == list(range(21))
    assert read_new(plant.job(), behind)[0].equals(table.tail(3).reset_index(drop=True))


def test_an_ingestion_takes_up_where_the_last_one_ended(plant: Plant, home: Path) -> None:
    """Repeated it changes nothing; new, corrected and late rows join; another query begins anew."""
    store = Store(home)
    assert ingest.fn(plant.job()).inserted == 48
    mark = watermarks.recall(store.workspace, plant.job(), store.observations.version("plant"))
    assert mark is not None
    again = ingest.fn(plant.job())
    assert (again.inserted, again.updated) == (0, 0)

    plant.write(range(48, 50))
    plant.write(range(3, 4), written=49, y=99.0)
    merged = ingest.fn(plant.job())
    assert (merged.inserted, merged.updated) == (2, 1)
    everything = store.observations.read("plant")
    assert everything["y"].tolist() == [99.0 if hour == 3 else float(hour) for hour in range(50)]
    assert len(read(plant.job())) == 51

    other = plant.job(query=QUERY.format(since="written").replace("AS y", "* 2 AS y"))
    assert watermarks.recall(store.workspace, other, 99) is None
    assert watermarks.recall(store.workspace, plant.job(), 0) is None  # as in a restored home, whose table is older


def test_a_kill_before_the_mark_is_kept_loses_no_row(plant: Plant, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows are stored first: the next ingestion reads them again, and then goes on."""
    ingest.fn(plant.job())
    store = Store(home)
    before = store.workspace.watermark("plant").read_text(encoding="utf-8")
    plant.write(range(48, 60))

    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    for place in ("forecasting.storage.watermarks.keep", "forecasting.storage.ingestion.merge"):
        with monkeypatch.context() as patch:
            patch.setattr(place, killed)
            with pytest.raises(KeyboardInterrupt):
                ingest.fn(plant.job())
        assert store.workspace.watermark("plant").read_text(encoding="utf-8") == before
    assert len(store.observations.read("plant")) == 60
    ingest.fn(plant.job())
    kept = json.loads(json.loads(store.workspace.watermark("plant").read_text(encoding="utf-8"))["mark"])
    assert kept["value"].startswith("2026-01-03")
    assert len(store.observations.read("plant")) == 60


def test_new_rows_alone_are_not_enough_for_every_job(make_job: Callable[..., Job]) -> None:
    """Steps that are gathered, or rows that are combined, need all of their rows."""
    source = {"kind": "sql", "url": "sqlite:///x", "query": "SELECT 1", "since": "id"}
    for series, message in (
        ({"aggregate": "mean"}, "new rows are no whole steps"),
        ({"duplicates": "mean"}, "got mean"),
    ):
        with pytest.raises(ConfigError, match=rf"source.since: .*{message}"):
            make_job(series, source=source)
    with pytest.raises(ConfigError, match=r"source.overlap: must be a number, or a duration such as 1D"):
        make_job({}, source=source | {"overlap": "soon"})
