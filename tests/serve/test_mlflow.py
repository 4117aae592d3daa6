"""MLflow's scoring protocol: the numbers of the logged model itself, through MLflow's own client."""

import importlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

PATH = "/invocations/buoy"


@pytest.fixture(scope="module")
def table(history: Callable[..., pd.DataFrame]) -> pd.DataFrame:
    """Two series, the second one first."""
    found: pd.DataFrame = history("b", "a", rows=10)
    return found


@pytest.fixture(scope="module")
def expected(stocked: Path, table: pd.DataFrame) -> pd.DataFrame:
    """What the registered model says, loaded by MLflow."""
    import mlflow

    uri = f"sqlite:///{stocked / 'mlflow.db'}"
    mlflow.set_tracking_uri(uri)
    mlflow.set_registry_uri(uri)
    model = mlflow.pyfunc.load_model("models:/buoy/1")
    found: pd.DataFrame = model.predict(table)
    return found


def predictions(response: Any) -> pd.DataFrame:
    """The answer as a table."""
    assert response.status_code == 200, response.text
    return _typed(pd.DataFrame(response.json()["predictions"]))


def _typed(rows: pd.DataFrame) -> pd.DataFrame:
    stamps = {name: rows[name].astype("datetime64[us]") for name in ("ds", "cutoff")}
    return rows.assign(**stamps).astype({"unique_id": "str"})


def as_json(table: pd.DataFrame, shape: str) -> dict[str, Any]:
    """A table in one of MLflow's formats."""
    shown = table.assign(ds=table["ds"].astype("str"))
    rows = shown.to_dict("records")
    split = shown.to_dict("split")
    shapes: dict[str, dict[str, Any]] = {
        "dataframe_split": {"dataframe_split": split},
        "dataframe_records": {"dataframe_records": rows},
        "inputs": {"inputs": shown.to_dict("list")},
        "inputs by row": {"inputs": rows},
        "instances": {"instances": rows},
    }
    return shapes[shape]


@pytest.mark.parametrize("shape", ["dataframe_split", "dataframe_records", "inputs", "inputs by row", "instances"])
def test_every_format_gives_the_models_own_answer(
    client: Any, table: pd.DataFrame, expected: pd.DataFrame, shape: str
) -> None:
    """The same rows in the same order; a column that the signature does not name is left out, as MLflow does."""
    given = predictions(client.post(PATH, as_json(table.assign(note="x"), shape)))
    pd.testing.assert_frame_equal(given, expected, rtol=1e-6)


def test_csv_gives_the_same(client: Any, table: pd.DataFrame, expected: pd.DataFrame) -> None:
    """As `to_csv` writes it; an empty field is a missing reading."""
    headers = {"content-type": "text/csv; charset=utf-8"}
    given = client.post(PATH, table.to_csv(index=False).encode(), headers=headers)
    pd.testing.assert_frame_equal(predictions(given), expected, rtol=1e-6)
    gap = table.assign(y=table["y"].where(table.index != 3))
    holes = client.post(PATH, gap.to_csv(index=False).encode(), headers=headers)
    by_null = as_json(gap.astype({"y": object}).where(gap.notna(), None), "inputs")
    pd.testing.assert_frame_equal(predictions(holes), predictions(client.post(PATH, by_null)))


def test_nan_is_read_as_mlflow_writes_it(client: Any, table: pd.DataFrame) -> None:
    """Its client writes NaN for a missing reading, which is no JSON; a text that holds it stays a text."""
    gap = table.assign(y=table["y"].where(table.index != 3), unique_id=table["unique_id"].replace("a", 'NaN "a" \\'))
    content = json.dumps(as_json(gap, "dataframe_split"))
    assert "NaN," in content.replace("]", ",")
    given = predictions(client.post(PATH, content.encode(), headers={"content-type": "application/json"}))
    assert given["unique_id"].unique().tolist() == ['NaN "a" \\', "b"]


def test_levels_are_a_parameter(client: Any, table: pd.DataFrame) -> None:
    """As in the signature; an empty list is the default."""
    wide = predictions(client.post(PATH, {**as_json(table, "inputs"), "params": {"levels": [50]}}))
    assert list(wide.columns[4:]) == ["q0.25", "q0.5", "q0.75"]
    none = client.post(PATH, {**as_json(table, "inputs"), "params": {"levels": []}})
    assert list(predictions(none).columns[4:]) == ["q0.1", "q0.5", "q0.9"]


@pytest.mark.parametrize(
    ("content", "status", "code"),
    [
        ({}, 422, "invalid_request"),
        ({"inputs": {}, "instances": []}, 422, "invalid_request"),
        ({"inputs": {}}, 422, "invalid_request"),
        ({"instances": [1]}, 422, "invalid_request"),
        ({"dataframe_split": {"columns": ["unique_id"], "data": [["a", "b"]]}}, 422, "invalid_request"),
        ({"dataframe_split": {"columns": ["y", "y"], "data": [[1, 2]]}}, 422, "invalid_request"),
        ({"dataframe_split": {"columns": ["ds"]}}, 422, "invalid_request"),
        ({"inputs": {"unique_id": ["a"]}}, 422, "invalid_request"),
        ({"inputs": {}, "params": {"other": 1}}, 422, "invalid_request"),
        ([], 422, "invalid_request"),
    ],
)
def test_wrong_tables_are_refused(client: Any, content: Any, status: int, code: str) -> None:
    """With the service's own error."""
    response = client.post(PATH, content)
    assert response.status_code == status, response.text
    assert response.json()["error"]["code"] == code


@pytest.mark.parametrize(
    ("content", "kind", "status", "code"),
    [
        (b"", "text/csv", 400, "invalid_csv"),
        (b"unique_id,ds,y\na,2026-01-01,x", "text/csv", 400, "invalid_csv"),
        (b'unique_id,ds,y\n"a', "text/csv", 400, "invalid_csv"),
        (b"unique_id,ds,y\na", "text/csv", 400, "invalid_csv"),
        (b"unique_id,ds,y\na,\xff,1", "text/csv", 400, "invalid_csv"),
        (b"unique_id,ds,y\na,2026-01-01,inf", "text/csv", 422, "invalid_request"),
        (b"unique_id,ds,y\n", "text/csv", 422, "invalid_request"),
        (b'{"inputs": {"y": [Infinity]}}', "application/json", 400, "invalid_json"),
        (b'{"inputs": "NaN', "application/json", 400, "invalid_json"),
        (b'"' + b'\\"' * 200_000 + b"NaN", "application/json", 400, "invalid_json"),
        (b"PAR1", "application/vnd.apache.parquet", 415, "wrong_content_type"),
    ],
)
def test_wrong_bodies_are_refused(client: Any, content: bytes, kind: str, status: int, code: str) -> None:
    """Each with its code, and in no time."""
    response = client.post(PATH, content, headers={"content-type": kind})
    assert response.status_code == status, response.text
    assert response.json()["error"]["code"] == code


def test_health_and_version_answer_as_mlflows_server(client: Any) -> None:
    """`/ping`, `/health` and `/version`."""
    import mlflow

    assert [client.get(path).status_code for path in ("/ping", "/health")] == [200, 200]
    assert client.get("/version").text == mlflow.__version__


def test_mlflow_client_works_unchanged(
    copied: Path, gatecast: list[str], serving: Any, table: pd.DataFrame, expected: pd.DataFrame, tmp_path: Path
) -> None:
    """MLflow's own client for scoring servers, against a process that serves one model."""
    scoring: Any = importlib.import_module("mlflow.pyfunc.scoring_server.client")

    with serving(gatecast, copied, tmp_path / "log", "--name", "buoy") as served:
        client = scoring.ScoringServerClient("127.0.0.1", served.port)
        client.wait_server_ready(timeout=60)
        given = client.invoke(table).get_predictions()
        gap = client.invoke(table.assign(y=table["y"].where(table.index != 3)), params={"levels": [50]})
        with pytest.raises(Exception, match="column y is missing"):
            client.invoke(table.drop(columns="y"))
    pd.testing.assert_frame_equal(_typed(given), expected, rtol=1e-6)
    assert np.isfinite(gap.get_predictions()["q0.25"]).all()
