"""The MLflow model of a bundle, as models-from-code: long table in, long table out."""

from __future__ import annotations

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
from forecasting.bundle.artifact import verify
from forecasting.bundle.forecaster import Forecaster
from forecasting.bundle.spec import Spec
from forecasting.bundle.symbols import SymbolForecaster
from forecasting.columns import CUTOFF, DS, PROBABILITY, STEP, SYMBOL, UNIQUE_ID, UNKNOWN_READ, Y, quantile_column

__all__ = ["GatecastModel", "save", "signature"]

# What forecasting from a bundle imports. Named one by one: leaving it to MLflow takes half a minute a model.
_REQUIREMENTS: Final = ("numpy", "onnxruntime", "pandas", "pandera", "pydantic", "pyyaml")


class GatecastModel(PythonModel):
    """Forecasts every series of a long table from its last reading on."""

    def load_context(self, context: Any) -> None:
        """Verify and open the bundle; raises ArtifactError if anything is wrong with it."""
        bundle = verify(Path(context.artifacts["bundle"]))
        self._forecaster = Forecaster(bundle) if bundle.spec.symbols is None else SymbolForecaster(bundle)

    def predict(
        self,
        context: Any,  # noqa: ARG002  (MLflow passes it by name)
        model_input: pd.DataFrame,
        params: dict[str, Any] | None = None,
    ) -> pd.DataFrame:
        """Long table in (rows without y after the last reading say what is known ahead), forecast table out.

        `params` may hold `levels`, per cent of central intervals, and `aligned`: then the quantiles come in the rows of
        the table itself, missing where nothing was forecast, as `spark_udf` wants it. Raises DataError on an unusable
        table.
        """
        table = model_input.assign(**{DS: model_input[DS].astype("datetime64[us]")})
        levels = tuple(int(level) for level in (params or {}).get("levels", ()))
        if isinstance(self._forecaster, SymbolForecaster):
            return self._forecaster.forecast(table.astype({UNIQUE_ID: "str", Y: "str"}))
        forecasts = self._forecaster.forecast(table, levels=levels or None)
        if not (params or {}).get("aligned", False):
            return forecasts
        rows = model_input[[UNIQUE_ID, DS]].astype(dict(forecasts[[UNIQUE_ID, DS]].dtypes))
        return rows.merge(forecasts, on=[UNIQUE_ID, DS], how="left").drop(columns=[UNIQUE_ID, DS, CUTOFF, STEP])


def signature(spec: Spec) -> ModelSignature:
    """Typed columns in and out; of the parameters `levels` is empty for the configured quantiles."""
    labels = spec.features.vocabulary
    covariates = (*spec.features.past, *spec.features.future, *spec.features.static)
    inputs: list[ColSpec | TensorSpec] = [
        ColSpec("string", UNIQUE_ID),
        ColSpec("datetime", DS),
        ColSpec(
            "double" if spec.symbols is None else "string", Y, required=False
        ),  # MLflow allows missing values in optional columns only
        *(ColSpec("string" if name in labels else "double", name, required=False) for name in covariates),
    ]
    outputs: list[ColSpec | TensorSpec] = [
        ColSpec("string", UNIQUE_ID),
        ColSpec("datetime", DS),
        ColSpec("datetime", CUTOFF),
        ColSpec("long", STEP),
    ]
    if spec.symbols is None:
        outputs += [ColSpec("double", quantile_column(quantile)) for quantile in spec.wanted]
    else:
        outputs += [ColSpec("string", SYMBOL), ColSpec("double", PROBABILITY), ColSpec("long", UNKNOWN_READ)]
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
            signature=signature(verify(bundle).spec),
            pip_requirements=[
                f"mlflow=={version('mlflow-skinny')}",  # released together; here either may be installed
                *(f"{name}=={version(name)}" for name in _REQUIREMENTS),
            ],
            code_paths=[str(Path(forecasting.__file__).parent)],
        )


set_model(GatecastModel())  # what MLflow runs this file for
