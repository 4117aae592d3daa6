"""A registered model inside Spark: `mlflow.pyfunc.spark_udf` on a table of readings and the rows to be forecast.

    python -m examples.spark HOME NAME

It needs Java and pyspark, which Gatecast does not bring. The readings are those of the store; their rows and the empty
rows after them go through the function series by series, and the forecasts come back in the empty ones.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import pandas as pd

from forecasting.bundle.forecaster import open_forecaster
from forecasting.columns import DS, UNIQUE_ID, Y
from forecasting.config.settings import Settings
from forecasting.registry.cache import Cache
from forecasting.registry.registry import Registry
from forecasting.storage.store import Store

__all__ = ["main"]


def main(home: Path, name: str) -> None:
    """Print how many forecasts Spark made, and the largest difference from those of the bundle."""
    import mlflow
    from pyspark.sql import SparkSession

    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    place = Settings(home=home)
    registry = Registry(place.tracking_uri, place.home, place.locks)
    history = Store(home).observations.read(name)[[UNIQUE_ID, DS, Y]]
    with tempfile.TemporaryDirectory() as cache:
        forecaster = open_forecaster(Cache(registry.versions, Path(cache)).download(name, "champion"))
        expected = forecaster.forecast(history)
        rows = pd.concat([history, expected[[UNIQUE_ID, DS]]]).sort_values([UNIQUE_ID, DS])
        spark = (
            SparkSession.builder.master("local[2]")
            .config("spark.sql.session.timeZone", "UTC")
            .config("spark.ui.enabled", "false")
            .config("spark.sql.execution.arrow.maxRecordsPerBatch", "0")  # a series must not be torn apart
            .config("spark.sql.execution.arrow.pyspark.enabled", "true")
            .getOrCreate()
        )
        mlflow.set_tracking_uri(place.tracking_uri)
        model = mlflow.pyfunc.spark_udf(
            spark, f"models:/{name}@champion", "array<double>", env_manager="local", params={"aligned": True}
        )
        table = spark.createDataFrame(rows.astype({UNIQUE_ID: object}))
        whole = table.repartition(UNIQUE_ID).sortWithinPartitions(UNIQUE_ID, DS)
        found = whole.withColumn("q", model(UNIQUE_ID, DS, Y)).toPandas()
        spark.stop()
    made = found[[values is not None and values[0] == values[0] for values in found["q"]]].sort_values([UNIQUE_ID, DS])
    wanted = expected[[column for column in expected if str(column)[:1] == "q"]].to_numpy()
    difference = abs(pd.DataFrame(made["q"].tolist()).to_numpy() - wanted).max()
    print(
        f"Spark made {len(made)} forecasts of {made[UNIQUE_ID].nunique()} series; largest difference: {difference:.1g}"
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]).absolute(), sys.argv[2])
