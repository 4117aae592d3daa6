"""Outlets: every forecast once, in files, Delta tables and databases, whole or not at all."""

import secrets
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import sqlalchemy as sql
from deltalake import DeltaTable
from pandas.testing import assert_frame_equal

from forecasting.config.series import Series
from forecasting.errors import ConfigError, DataError, SourceError
from forecasting.storage.outlets import outlet
from tests.postgresql import PASSWORD

HOURLY = Series(freq="h")


def part(name: str, version: int = 1) -> pd.DataFrame:
    """Three steps of one series."""
    ds = pd.date_range("2024-01-01 01:00", periods=3, freq="h", unit="us")
    content = {"unique_id": pd.array([name] * 3, dtype="str"), "ds": ds, "cutoff": ds[0] - pd.Timedelta(hours=1)}
    content |= {"step": [1, 2, 3], "q0.5": [0.1, 1 / 3, -7.0], "model": pd.array(["m"] * 3, dtype="str")}
    table = pd.DataFrame(content | {"version": version, "created": pd.Timestamp("2024-01-01 00:00:00.000001")})
    return table.astype({"cutoff": "datetime64[us]", "created": "datetime64[us]"})


def parts(version: int = 1) -> Iterator[pd.DataFrame]:
    """Two series, one after the other."""
    return iter([part("a", version), part("b", version)])


WHOLE = pd.concat(parts(), ignore_index=True)


def read_sql(url: str) -> pd.DataFrame:
    """The table of a database, as it is."""
    engine = sql.create_engine(url, poolclass=sql.NullPool)
    with engine.connect() as connection:
        rows = connection.execute(sql.text("select * from forecasts order by version, unique_id, ds")).mappings().all()
    engine.dispose()
    return pd.DataFrame(rows)


def test_files_hold_all_parts(tmp_path: Path) -> None:
    """One header, one schema; what is read has the types of what was written."""
    for name in ("x.csv", "x.parquet"):
        outlet(str(tmp_path / name), HOURLY)(parts())
    assert_frame_equal(pd.read_parquet(tmp_path / "x.parquet"), WHOLE)
    stamps = ["ds", "cutoff", "created"]
    read = pd.read_csv(tmp_path / "x.csv", parse_dates=stamps).astype(dict.fromkeys(stamps, "datetime64[us]"))
    assert_frame_equal(read, WHOLE)


def test_a_delta_table_takes_each_forecast_once_in_one_commit(tmp_path: Path) -> None:
    """Repeated nothing is added; another version is."""
    write, folder = outlet(str(tmp_path / "new" / "table"), HOURLY), str(tmp_path / "new" / "table")
    write(parts())
    assert DeltaTable(folder).version() == 0
    write(parts())
    assert DeltaTable(folder).version() == 0
    write(iter([part("a", 2), part("a", 1)]))
    found = DeltaTable(folder).to_pandas().sort_values(["version", "unique_id", "ds"], ignore_index=True)
    assert_frame_equal(found, pd.concat([WHOLE, part("a", 2)], ignore_index=True), check_dtype=False)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["table"]


@pytest.fixture(params=["sqlite", "postgresql"])
def warehouse(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'f.db'}"
    url: str = request.getfixturevalue("postgresql")
    name = f"outlet_{secrets.token_hex(4)}"
    with sql.create_engine(url, poolclass=sql.NullPool, isolation_level="AUTOCOMMIT").connect() as connection:
        connection.execute(sql.text(f"create database {name}"))
    return url.rpartition("/")[0] + "/" + name


def test_a_database_takes_each_forecast_once(warehouse: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The address may come from the environment; what is there already stays as it is."""
    monkeypatch.setenv("WAREHOUSE", warehouse)
    write = outlet("${WAREHOUSE}", HOURLY)
    write(parts())
    write(table.assign(**{"q0.5": 99.0}) for table in parts())
    write(parts(2))
    found = read_sql(warehouse)
    assert len(found) == 12
    np.testing.assert_array_equal(found["q0.5"], [*WHOLE["q0.5"], *WHOLE["q0.5"]])
    assert pd.to_datetime(found["created"]).unique().tolist() == [pd.Timestamp("2024-01-01 00:00:00.000001")]


def broken() -> Iterator[pd.DataFrame]:
    """A part, and then no more."""
    yield part("a")
    raise DataError("the second part cannot be read")


@pytest.mark.parametrize("target", ["x.csv", "x.parquet", "table"])
def test_a_failure_on_the_way_leaves_no_file(tmp_path: Path, target: str) -> None:
    """Nor a draft of one."""
    with pytest.raises(DataError, match="second part"):
        outlet(str(tmp_path / target), HOURLY)(broken())
    assert list(tmp_path.iterdir()) == []


def test_a_failure_on_the_way_leaves_no_row(warehouse: str) -> None:
    """What was written before it is taken back."""
    outlet(warehouse, HOURLY)(iter([part("b")]))
    with pytest.raises(DataError, match="second part"):
        outlet(warehouse, HOURLY)(broken())
    assert read_sql(warehouse)["unique_id"].unique().tolist() == ["b"]


@pytest.mark.parametrize(
    ("target", "error", "sentence"),
    [
        ("x.xls", ConfigError, r"or one of \.csv, \.parquet$"),
        ("x.nc", ConfigError, "arrays need series.layout"),
        ("mssql+none://u:secret@h/d", SourceError, "--out is not an SQLAlchemy URL|driver"),
        ("${NOT_SET_ANYWHERE}", SourceError, "NOT_SET_ANYWHERE"),
    ],
)
def test_unknown_targets_are_refused_before_anything_is_made(
    target: str, error: type[Exception], sentence: str
) -> None:
    """What is known, and no password."""
    with pytest.raises(error, match=sentence) as caught:
        outlet(target, HOURLY)
    assert "secret" not in str(caught.value)


def test_a_table_of_another_kind_is_told_apart(warehouse: str) -> None:
    """A database that has a table of that name with other columns says so, without its password."""
    with sql.create_engine(warehouse, poolclass=sql.NullPool).begin() as connection:
        connection.execute(sql.text("create table forecasts (x integer)"))
    with pytest.raises(DataError, match=r"refused the forecasts: .*(no column named|does not exist)") as caught:
        outlet(warehouse, HOURLY)(parts())
    assert PASSWORD not in str(caught.value)
