"""The MLflow model of a bundle gives the forecaster's own numbers, in process and over HTTP."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from mlflow.pyfunc import PyFuncModel, load_model
from mlflow.types import DataType

from forecasting.bundle.artifact import Origin, write
from forecasting.bundle.calibration import Calibration
from forecasting.bundle.engine import Graphs
from forecasting.bundle.forecaster import open_forecaster
from forecasting.bundle.spec import Spec, TableSpec
from forecasting.errors import DataError
from forecasting.evaluation.baselines import Linear, to_onnx
from forecasting.registry import pyfunc
from forecasting.series.features import Features
from forecasting.series.scaling import Scaler

CONTEXT, HORIZON = 4, 3


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A linear model of the target, a past covariate and one that is known ahead; weights are all different."""
    random = np.random.default_rng(7)
    linear = Linear(
        CONTEXT, random.normal(size=(CONTEXT * 3, HORIZON)), random.normal(size=(HORIZON, HORIZON)), np.ones(HORIZON)
    )
    spec = Spec(
        job="buoy",
        model="ridge",
        table=TableSpec(freq="h", past=("load",), future=("holiday",)),
        features=Features(freq="h", past=("load",), future=("holiday",)),
        scaler=Scaler(pooled=(10.0, 2.0), covariates={"load": (1.0, 2.0), "holiday": (0.0, 1.0)}),
        context=CONTEXT,
        horizon=HORIZON,
        quantiles=(0.5,),
        wanted=(0.1, 0.5, 0.9),
    )
    golden = {
        "past": random.normal(size=(2, CONTEXT, 3)).astype(np.float32),
        "future": random.normal(size=(2, HORIZON, 1)).astype(np.float32),
    }
    return write(
        tmp_path_factory.mktemp("bundle") / "any-name",
        spec,
        Graphs(to_onnx(linear, inputs=3, ahead=1)),
        calibration=Calibration((0.5,), np.sort(random.normal(size=(HORIZON, 1, 50)).astype(np.float32))),
        golden=golden,
        origin=Origin(),
    )


@pytest.fixture(scope="module")
def saved(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The MLflow model on disk."""
    path = tmp_path_factory.mktemp("mlflow") / "model"
    pyfunc.save(bundle, path)
    return path


@pytest.fixture(scope="module")
def loaded(saved: Path) -> Iterator[PyFuncModel]:
    """The MLflow model, loaded as any MLflow client loads it."""
    before = list(sys.path)
    yield load_model(str(saved))
    sys.path[:] = before  # MLflow puts the model's code first


@pytest.fixture
def table() -> pd.DataFrame:
    """Two series of eight readings, and the three steps ahead of each with what is known of them."""
    random = np.random.default_rng(3)
    rows = 8 + HORIZON
    one = pd.DataFrame({"ds": pd.date_range("2026-03-01", periods=rows, freq="h", unit="us")})
    both = pd.concat([one.assign(unique_id=name) for name in ("north", "süd")], ignore_index=True)
    known = both.groupby("unique_id").cumcount() < 8
    return both.assign(
        y=np.where(known, random.normal(10, 2, len(both)), np.nan),
        load=np.where(known, random.normal(1, 2, len(both)), np.nan),
        holiday=random.integers(0, 2, len(both)).astype(float),
    )[["unique_id", "ds", "y", "load", "holiday"]]


def test_model_gives_what_the_forecaster_gives(bundle: Path, loaded: PyFuncModel, table: pd.DataFrame) -> None:
    """Same table, same numbers, same columns; rows without y say what is known ahead."""
    expected = open_forecaster(bundle).forecast(table)

    pd.testing.assert_frame_equal(loaded.predict(table), expected)
    assert expected.columns.tolist() == ["unique_id", "ds", "cutoff", "step", "q0.1", "q0.5", "q0.9"]
    assert len(expected) == 2 * HORIZON
    assert np.isfinite(expected[["q0.1", "q0.5", "q0.9"]]).all(axis=None)


def test_model_accepts_other_time_units_and_column_orders(loaded: PyFuncModel, table: pd.DataFrame) -> None:
    """Nanoseconds, shuffled columns and whole numbers in y change nothing."""
    whole = table.assign(y=table["y"].round())
    other = whole.assign(ds=whole["ds"].astype("datetime64[ns]"))[["holiday", "y", "load", "ds", "unique_id"]]

    pd.testing.assert_frame_equal(loaded.predict(other), loaded.predict(whole))


def test_aligned_forecasts_stand_in_the_rows_of_the_table(
    bundle: Path, loaded: PyFuncModel, table: pd.DataFrame
) -> None:
    """As many rows as came, the forecasts in those that were empty, in any order; elsewhere nothing."""
    expected = open_forecaster(bundle).forecast(table)
    mixed = table.sample(frac=1, random_state=1)
    given = loaded.predict(mixed, params={"aligned": True})
    assert list(given.columns) == ["q0.1", "q0.5", "q0.9"]
    assert len(given) == len(mixed)
    placed = given.set_axis(pd.MultiIndex.from_frame(mixed[["unique_id", "ds"]])).dropna()
    wanted = expected.set_index(["unique_id", "ds"])[list(given.columns)]
    assert len(placed) > 0
    pd.testing.assert_frame_equal(placed.sort_index(), wanted.loc[placed.sort_index().index])


def test_levels_choose_the_intervals(bundle: Path, loaded: PyFuncModel, table: pd.DataFrame) -> None:
    """The parameter `levels` gives other central intervals, as it does for the forecaster."""
    given = loaded.predict(table, params={"levels": [50, 95]})

    pd.testing.assert_frame_equal(given, open_forecaster(bundle).forecast(table, levels=(50, 95)))
    assert [name for name in given if name.startswith("q")] == ["q0.025", "q0.25", "q0.5", "q0.75", "q0.975"]


def test_signature_is_typed_and_describes_the_output(loaded: PyFuncModel, table: pd.DataFrame) -> None:
    """Every column in and out is named with its type; only the keys are required."""
    signature = loaded.metadata.signature
    assert signature is not None
    inputs = {column.name: (column.type, column.required) for column in signature.inputs}
    outputs = {column.name: column.type for column in signature.outputs}

    assert inputs == {
        "unique_id": (DataType.string, True),
        "ds": (DataType.datetime, True),
        "y": (DataType.double, False),
        "load": (DataType.double, False),
        "holiday": (DataType.double, False),
    }
    assert list(outputs) == loaded.predict(table).columns.tolist()
    assert outputs["cutoff"] == DataType.datetime
    assert outputs["q0.1"] == DataType.double


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda t: t.assign(y=t["y"].replace(t["y"][2], np.inf)), "infinite"),
        (lambda t: t.iloc[:0], "empty|no rows"),
        (lambda t: t.assign(y=np.nan), r"no series has 1 reading\(s\) or more"),
        (lambda t: t.drop(columns="y"), r"\by\b"),
        (lambda t: t.drop(columns="load"), "load"),
        (lambda t: t.assign(ds=t["ds"].where(t["ds"] != t["ds"][3])), "ds"),
        (lambda t: t.assign(holiday=t["holiday"].where(t["y"].notna())), "holiday"),
    ],
    ids=["infinite", "empty", "all missing", "no y", "no covariate", "no stamp", "not known ahead"],
)
def test_unusable_table_is_refused(loaded: PyFuncModel, table: pd.DataFrame, spoil: Any, message: str) -> None:
    """What would be a silent NaN, or a crash deep inside, is one clear error."""
    with pytest.raises(DataError, match=message):
        loaded.predict(spoil(table))


def test_saved_model_holds_no_pickle_and_pins_what_it_needs(bundle: Path, tmp_path: Path) -> None:
    """Data files and source code; every requirement has a version and none is a training package."""
    saved = tmp_path / "saved"  # one that nobody has loaded, which would compile its code
    pyfunc.save(bundle, saved)
    suffixes = {path.suffix for path in saved.rglob("*") if path.is_file()}
    requirements = (saved / "requirements.txt").read_text().split()

    assert not suffixes & {".pkl", ".pickle", ".joblib", ".pyc"}
    assert (saved / "artifacts" / "bundle" / "model.onnx").is_file()
    assert all("==" in line for line in requirements)
    assert not {"tensorflow", "keras", "prefect"} & {line.split("==")[0] for line in requirements}


def test_saved_model_forecasts_alone_without_training_packages(
    saved: Path, bundle: Path, table: pd.DataFrame, tmp_path: Path
) -> None:
    """A fresh process that knows only the saved model gives the same numbers and imports no TensorFlow."""
    table.to_parquet(tmp_path / "table.parquet")
    code = (
        "import sys, mlflow.pyfunc, pandas as pd; model = mlflow.pyfunc.load_model(sys.argv[1])\n"
        "model.predict(pd.read_parquet(sys.argv[2])).to_parquet(sys.argv[3])\n"
        "import forecasting; assert forecasting.__file__.startswith(sys.argv[1]), forecasting.__file__\n"
        "sys.exit(bool({'tensorflow', 'keras', 'prefect'} & set(sys.modules)))"
    )
    files = [tmp_path / "table.parquet", tmp_path / "forecast.parquet"]
    subprocess.run([sys.executable, "-c", code, saved, *files], check=True, cwd=tmp_path)

    pd.testing.assert_frame_equal(pd.read_parquet(files[1]), open_forecaster(bundle).forecast(table))


def test_mlflow_models_serve_answers_with_the_same_numbers(
    saved: Path, bundle: Path, table: pd.DataFrame, tmp_path: Path
) -> None:
    """MLflow's own scoring server takes a table as JSON; a bad one is answered, not dropped."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "models", "serve", "-m", str(saved), "--env-manager", "local"]
    with (tmp_path / "log").open("w") as log:
        server = subprocess.Popen(
            [*command, "--host", "127.0.0.1", "--port", str(port), "--workers", "1"],
            stdout=log,
            stderr=log,
            cwd=tmp_path,
            start_new_session=True,
            env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        )
    try:
        wait_until_ready(port, server, tmp_path / "log")
        status, answer = post(port, table)
        bad_status, _ = post(port, table.iloc[:0])
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(30)

    given = pd.DataFrame(answer["predictions"])
    expected = open_forecaster(bundle).forecast(table)
    assert status == 200
    assert given["unique_id"].tolist() == expected["unique_id"].tolist()
    assert pd.to_datetime(given["ds"]).tolist() == expected["ds"].tolist()
    for name in ("q0.1", "q0.5", "q0.9"):
        np.testing.assert_allclose(given[name], expected[name], rtol=1e-9)
    assert bad_status in (400, 500)


def wait_until_ready(port: int, server: subprocess.Popen[bytes], log: Path) -> None:
    """Return when the server answers its ping."""
    for _ in range(240):
        if server.poll() is not None:
            break
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/ping", timeout=5).close()
            return
        except OSError:
            time.sleep(0.25)
    pytest.fail(f"the server did not start:\n{log.read_text()}")


def post(port: int, table: pd.DataFrame) -> tuple[int, dict[str, Any]]:
    """Send a table in MLflow's split layout."""
    body = json.dumps({"dataframe_split": json.loads(table.to_json(orient="split", date_format="iso"))}).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{port}/invocations", body, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)
