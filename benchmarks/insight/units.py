"""What the units of a network of characters track, and how many seem to by chance."""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.harness.fitting import fit, with_training
from forecasting import sources
from forecasting.bundle.forecaster import open_forecaster
from forecasting.bundle.symbol_forecaster import SymbolForecaster
from forecasting.columns import DS, Y
from forecasting.config.job import load_job
from forecasting.insight.signals import symbols
from forecasting.insight.units import Units, scored
from forecasting.series.clean import clean
from forecasting.series.folds import folds

__all__ = ["compare", "measure"]

CONFIG = Path(__file__).parents[2] / "configs" / "characters.yaml"
WINDOWS = 256


def measure(epochs: int) -> dict[str, Any]:
    """Train on configs/characters.yaml, and look at the units while they read the last tenth of the text."""
    job = load_job(CONFIG)
    table = clean(sources.read(job), job.series).table
    plan = folds(table, job)
    with tempfile.TemporaryDirectory() as scratch:
        made = fit(table, with_training(job, {"epochs": epochs}), plan[0], Path(scratch))
        figures = compare(made.bundle, table[table[DS] > plan[0].cutoffs[0]].reset_index(drop=True))
    return {"epochs": epochs, "val_nats": float(made.curves["val_loss"].min()), **figures}


def compare(bundle: Path, text: pd.DataFrame) -> dict[str, Any]:
    """The units of a bundle against the signals of the text that they read, and against those of a shuffled one."""
    model = open_forecaster(bundle)
    if not isinstance(model, SymbolForecaster):
        raise TypeError(f"{bundle} is no model of symbols")
    sampled = symbols(model, text, WINDOWS)
    mixed = text.assign(**{Y: np.random.default_rng(1).permutation(text[Y])})
    by_chance = scored(model, sampled._replace(signals=symbols(model, mixed, WINDOWS).signals))
    return {"text": _counted(scored(model, sampled)), "shuffled": _counted(by_chance)}


def _counted(found: Units) -> dict[str, Any]:
    strongest: dict[str, float] = {}
    for one in found.tracked:
        strongest.setdefault(one.signal, round(one.correlation, 3))
    return {
        "units": found.total,
        "share": found.share,
        "by_signal": dict(Counter(one.signal for one in found.tracked)),
        "strongest": strongest,
    }
