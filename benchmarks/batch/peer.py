"""neuralforecast's `predict` of many series with an LSTM of the same size; prints its seconds.

    PYTHONPATH=FOLDER python benchmarks/batch/peer.py SERIES CONTEXT HORIZON UNITS

It runs where neuralforecast is installed, and imports nothing of this project.
"""

import logging
import sys
import time
import warnings

import numpy as np
import pandas as pd

__all__ = ["main"]

QUANTILES = [0.1, 0.5, 0.9]


def main() -> None:
    """Train one step, then time the forecast; the model is loaded and the table is in memory."""
    from neuralforecast import NeuralForecast
    from neuralforecast.losses.pytorch import MQLoss
    from neuralforecast.models import LSTM

    series, context, horizon, units = map(int, sys.argv[1:])
    draw = np.random.default_rng(1)
    model = LSTM(
        h=horizon,
        input_size=context,
        encoder_n_layers=2,
        encoder_hidden_size=units,
        decoder_layers=1,
        decoder_hidden_size=units,
        recurrent=False,
        loss=MQLoss(quantiles=QUANTILES),
        max_steps=1,
        inference_windows_batch_size=1024,
        valid_batch_size=1024,
        accelerator="cpu",
        enable_progress_bar=False,
        logger=False,
        enable_checkpointing=False,
    )
    trained = NeuralForecast(models=[model], freq="h")
    trained.fit(walks(draw, 8, 4 * context))
    table = walks(draw, series, context)
    trained.predict(df=walks(draw, 8, context))
    begin = time.perf_counter()
    found = trained.predict(df=table)
    seconds = time.perf_counter() - begin
    if len(found) != series * horizon:
        raise SystemExit(f"{len(found)} forecasts for {series} series")
    print(seconds)


def walks(draw: np.random.Generator, series: int, rows: int) -> pd.DataFrame:
    """Random walks as a long table."""
    stamps = pd.date_range("2026-01-01", periods=rows, freq="h")
    names = np.repeat([f"series-{number:07d}" for number in range(series)], rows)
    values = draw.normal(size=(series, rows)).cumsum(axis=1)
    return pd.DataFrame({"unique_id": names, "ds": np.tile(stamps, series), "y": values.ravel()})


if __name__ == "__main__":
    warnings.filterwarnings("ignore")
    for name in ("lightning.pytorch", "pytorch_lightning"):
        logging.getLogger(name).setLevel(logging.ERROR)
    main()
