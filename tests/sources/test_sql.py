"""Queries on real databases, SQLite and PostgreSQL, become the same long table as a file."""

from pathlib import Path

import pandas as pd
import pytest
import sqlalchemy

from forecasting import sources
from forecasting.config.series import Series
from forecasting.config.source import SqlSource
from forecasting.errors import SourceError
from tests.postgresql import PASSWORD

QUERY = "SELECT sensor, at, reading, state FROM readings WHERE note LIKE '10:30%' ORDER BY at, sensor"
COLUMNS = {"unique_id": "sensor", "ds": "at", "y": "reading"}
ROWS = [
    ("007", "2024-03-31 00:00:00", 1.5, "on", "10:30"),
    ("007", "2024-03-31 01:00:00", None, "off", "10:30 late"),
    ("008", "2024-03-31 01:00:00", -200.0, None, "10:30"),
    ("009", "2024-03-31 01:00:00", 9.0, "on", "11"),
]


def fill(url: str, stamp_type: str) -> None:
    """Create the table of readings."""
    engine = sqlalchemy.create_engine(url, poolclass=sqlalchemy.NullPool)
    with engine.begin() as connection:
        connection.exec_driver_sql(
            f"CREATE TABLE readings (sensor TEXT, at {stamp_type}, reading NUMERIC(8, 2), state TEXT, note TEXT)"
        )
        insert = "INSERT INTO readings VALUES (:sensor, :at, :reading, :state, :note)"
        names = ("sensor", "at", "reading", "state", "note")
        connection.execute(sqlalchemy.text(insert), [dict(zip(names, row, strict=True)) for row in ROWS])


def read(url: str, query: str = QUERY, **source: object) -> pd.DataFrame:
    """Read `query` as a source of job `j`."""
    series = Series(freq="h", past=("state",), categorical=("state",))
    return sources.SOURCES["sql"](SqlSource(url=url, query=query, columns=COLUMNS, **source), series, "j")


def expect_readings(table: pd.DataFrame, hour: int = 0) -> None:
    """The three rows that the query selects, `hour` hours off."""
    later = pd.Timedelta(hours=hour)
    assert table["unique_id"].tolist() == ["007", "007", "008"]
    assert table["ds"].dtype == "datetime64[us]"
    assert (table["ds"] - later).astype(str).str[11:13].tolist() == ["00", "01", "01"]
    assert table["y"].isna().tolist() == [False, True, True]
    assert table["state"].isna().tolist() == [False, False, True]


@pytest.fixture
def sqlite(tmp_path: Path) -> str:
    """A SQLite database with the readings; it keeps stamps as text."""
    url = f"sqlite:///{tmp_path / 'a.db'}"
    fill(url, "TEXT")
    return url


@pytest.fixture(scope="module")
def postgres(postgresql: str) -> str:
    """The readings in a PostgreSQL server; it keeps stamps with a time zone."""
    fill(postgresql, "TIMESTAMPTZ")
    return postgresql


def test_sqlite_query_gives_the_long_table(sqlite: str) -> None:
    """Text stamps, numbers with gaps, labels; % and : in the query stay as they are."""
    expect_readings(read(sqlite, missing=(-200,)))


def test_sqlite_local_stamps_become_utc(sqlite: str) -> None:
    """The same time zones as in files: Berlin's midnight is 23 o'clock UTC in winter."""
    expect_readings(read(sqlite, missing=(-200,), time_zone="Africa/Lagos"), hour=-1)


def test_postgres_query_gives_the_long_table(postgres: str) -> None:
    """Decimals become float64, stamps with a time zone become UTC whatever the session's zone is."""
    expect_readings(read(postgres, missing=(-200,)))


def test_postgres_address_may_come_from_the_environment(postgres: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The password stays out of the configuration."""
    monkeypatch.setenv("READINGS_PASSWORD", PASSWORD)
    assert len(read(postgres.replace(PASSWORD, "${READINGS_PASSWORD}"))) == 3
    with pytest.raises(SourceError, match=r"source.url needs the environment variable.*NOT_SET"):
        read(postgres.replace(PASSWORD, "${NOT_SET}"))


def test_postgres_errors_never_hold_the_password(postgres: str) -> None:
    """Neither a failing query, nor a wrong password, nor a dead server repeats it."""
    wrong = postgres.replace(PASSWORD, "not-the-password")
    dead = f"postgresql+psycopg://owner:{PASSWORD}@127.0.0.1:1/postgres"
    for url, query in ((postgres, "SELECT nothing FROM nowhere"), (wrong, QUERY), (dead, QUERY)):
        with pytest.raises(SourceError, match="refuses") as error:
            read(url, query)
        assert "password@" not in str(error.value)
        assert PASSWORD not in str(error.value)
        assert "not-the-password" not in str(error.value)


def test_missing_columns_of_a_query_are_listed(sqlite: str) -> None:
    """As for files, with those that the query gives."""
    with pytest.raises(
        SourceError, match=r"result of source.query has no column at, state; its columns are: sensor, rea"
    ):
        read(sqlite, "SELECT sensor, reading FROM readings")


def test_unreadable_stamps_of_a_query_are_listed(sqlite: str) -> None:
    """With the row of the result."""
    with pytest.raises(SourceError, match=r"1 unreadable stamp\(s\): row 1 'soon'"):
        read(sqlite, "SELECT sensor, 'soon' AS at, reading, state FROM readings LIMIT 1")


def test_query_without_rows_is_refused(sqlite: str) -> None:
    """Nothing to learn from."""
    with pytest.raises(SourceError, match="gives no rows"):
        read(sqlite, "SELECT sensor, at, reading, state FROM readings WHERE 1 = 0")


def test_statement_that_is_no_query_is_refused_and_changes_nothing(sqlite: str) -> None:
    """A source only reads."""
    with pytest.raises(SourceError, match="must be a query"):
        read(sqlite, "DELETE FROM readings")
    assert len(read(sqlite)) == 3


@pytest.mark.parametrize(
    ("url", "message"),
    [("nonsense", "is not an SQLAlchemy URL"), ("oracle+nodriver://x", "is not an SQLAlchemy URL|is not installed")],
)
def test_wrong_address_is_one_sentence(url: str, message: str) -> None:
    """The address itself is not repeated: it may hold a password."""
    with pytest.raises(SourceError, match=message):
        read(url)


def test_a_mistyped_sqlite_path_leaves_no_file(tmp_path: Path) -> None:
    """SQLite would make an empty database of it, and the next reader would find one without tables."""
    path = tmp_path / "mistyped.db"
    with pytest.raises(SourceError, match=r"no SQLite database: there is no file .*mistyped\.db"):
        read(f"sqlite:///{path}")
    assert not path.exists()
