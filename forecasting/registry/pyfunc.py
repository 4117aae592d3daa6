"""The MLflow model of a bundle, as models-from-code: long table in, long table out."""

from __future__ import annotations

import logging
import shutil
import tempfile
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import mlflow.pyfunc
import pandas as pd
from mlflow.models import ModelSignature, set_model
from mlflow.pyfunc.model import PythonModel
from mlflow.types import ColSpec, ParamSchema, ParamSpec, Schema, TensorSpec

import forecasting
from forecasting.bundle.artifact import read_spec
from forecasting.bundle.forecaster import open_forecaster
from forecasting.bundle.spec import Spec
from forecasting.columns import CUTOFF, DS, STEP, SYMBOL, UNIQUE_ID, UNKNOWN_READ, Y

__all__ = ["GatecastModel", "save", "signature"]

# Imports for forecasting from a bundle, listed one by one: MLflow takes half a minute a model to find them.
_REQUIREMENTS: Final = ("numpy", "onnxruntime", "pandas", "pydantic", "pyyaml")

log = logging.getLogger("gatecast.registry")


class GatecastModel(PythonModel):
    """Forecast every series of a long table from its last reading on."""

    def load_context(self, context: Any) -> None:
        """Verify and open the bundle; raises ArtifactError if anything is wrong with it."""
        self._forecaster = open_forecaster(Path(context.artifacts["bundle"]))

    def predict(
        self,
        context: Any,  # noqa: ARG002  (MLflow passes it by name)
        model_input: pd.DataFrame,
        params: dict[str, Any] | None = None,
    ) -> pd.DataFrame:
        """Forecast a long table; rows without y after the last reading hold the values known ahead.

        `params` may hold `levels`, central intervals in percent, and `aligned`, which puts the quantiles into the rows
        of the input table, missing where nothing was forecast, as `spark_udf` needs it. What a forecast stands on, such
        as values that were filled, is logged as a warning. Raises DataError on an unusable
        table.
        """
        labels = dict.fromkeys(self._forecaster.spec.labels & {*model_input.columns}, "str")
        table = model_input.astype({UNIQUE_ID: "str", DS: "datetime64[us]", **labels})
        levels = tuple(int(level) for level in (params or {}).get("levels", ()))
        forecasts, cautions = self._forecaster.warned(table, levels=levels or None)
        for one in cautions:
            log.warning(one.message)
        if not (params or {}).get("aligned", False):
            return forecasts
        rows = model_input[[UNIQUE_ID, DS]].astype(dict(forecasts[[UNIQUE_ID, DS]].dtypes))
        return rows.merge(forecasts, on=[UNIQUE_ID, DS], how="left").drop(columns=[UNIQUE_ID, DS, CUTOFF, STEP])


def signature(spec: Spec) -> ModelSignature:
    """Typed columns in and out; an empty `levels` stands for the configured quantiles."""
    inputs: list[ColSpec | TensorSpec] = [
        ColSpec("string", UNIQUE_ID),
        ColSpec("datetime", DS),
        *(  # MLflow allows missing values in optional columns only
            ColSpec("string" if name in spec.labels else "double", name, required=False)
            for name in (Y, *spec.covariates)
        ),
    ]
    keys = {UNIQUE_ID: "string", DS: "datetime", CUTOFF: "datetime", STEP: "long"}
    kinds = {SYMBOL: "string", UNKNOWN_READ: "long"}
    outputs: list[ColSpec | TensorSpec] = [
        *(ColSpec(kind, name) for name, kind in keys.items()),
        *(ColSpec(kinds.get(name, "double"), name) for name in spec.outputs),
    ]
    levels = ParamSpec("levels", "long", default=[], shape=(-1,))
    return ModelSignature(
        Schema(inputs), Schema(outputs), ParamSchema([levels, ParamSpec("aligned", "boolean", default=False)])
    )


def save(bundle: Path, directory: Path) -> None:
    """Write the MLflow model of a bundle to `directory`, with the code that it needs."""
    with tempfile.TemporaryDirectory() as scratch, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # advice on input examples and type hints, which MLflow prints every time
        copy = Path(shutil.copytree(bundle, Path(scratch) / "bundle"))  # the model keeps the directory's name
        mlflow.pyfunc.save_model(
            directory,
            python_model=__file__,
            artifacts={"bundle": str(copy)},
            signature=signature(read_spec(bundle)),
            pip_requirements=[
                f"mlflow=={version('mlflow-skinny')}",  # released together; either may be installed here
                *(f"{name}=={version(name)}" for name in _REQUIREMENTS),
            ],
            code_paths=[str(Path(forecasting.__file__).parent)],
        )


set_model(GatecastModel())  # the purpose of this file when MLflow runs it
