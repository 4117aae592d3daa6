"""Other libraries, with networks of the same sizes; prints a figure for every line of standard input.

    PYTHONPATH=FOLDER python benchmarks/speed/peers.py train torch|neuralforecast|darts NETWORK
    PYTHONPATH=FOLDER python benchmarks/speed/peers.py backtest neuralforecast SERIES ORIGINS

`train` prints the windows a second of training, loading included, validation left out. `backtest` prints the seconds of
neuralforecast's `cross_validation` without refitting. It runs where they are installed, and imports nothing of this
project.
"""

import logging
import sys
import time
import warnings

import numpy as np
import pandas as pd

CONTEXT, HORIZON, UNITS, BATCH = 96, 24, 64, 256
SERIES, ROWS = 32, 1_000
STEPS, WARM = 20, 5
QUANTILES = [0.1, 0.5, 0.9]
QUIET = {
    "accelerator": "cpu",
    "enable_progress_bar": False,
    "enable_model_summary": False,
    "logger": False,
    "enable_checkpointing": False,
}


def torch_trained(network):
    """A bare loop: two recurrent layers, one dense layer for all steps and levels, AdamW, clipped gradients."""
    import torch

    kind = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU, "bidirectional": torch.nn.LSTM}[network]
    both = network == "bidirectional"
    recurrent = kind(1, UNITS, num_layers=2, batch_first=True, bidirectional=both)
    dense = torch.nn.Linear(UNITS * (1 + both), HORIZON * len(QUANTILES))
    weights = [*recurrent.parameters(), *dense.parameters()]
    optimizer, levels = torch.optim.AdamW(weights), torch.tensor(QUANTILES)
    windows = torch.tensor(values()).unfold(1, CONTEXT + HORIZON, 1).flatten(0, 1)  # a view (N, T + H)

    def step(chosen):
        window = windows[chosen]
        output = dense(recurrent(window[:, :CONTEXT, None])[0][:, -1]).reshape(-1, HORIZON, len(QUANTILES))
        error = window[:, CONTEXT:, None] - output
        loss = 2 * torch.maximum(levels * error, (levels - 1) * error).mean()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
        return loss.item()

    def measure():
        begin = time.perf_counter()
        for chosen in torch.randperm(len(windows))[: STEPS * BATCH].split(BATCH):
            step(chosen)
        return STEPS * BATCH / (time.perf_counter() - begin)

    return measure


def neuralforecast_trained(network):
    """Its LSTM or GRU with a decoder for all steps at once."""
    from neuralforecast import NeuralForecast, models

    kind = {"lstm": models.LSTM, "gru": models.GRU}[network]
    table = long_table(values())

    def measure():
        clock, ends = steps_clock()
        NeuralForecast(models=[model(kind, max_steps=WARM + STEPS, callbacks=[clock])], freq="h").fit(table)
        return rate(ends)

    return measure


def darts_trained(network):
    """Its BlockRNNModel, which has one dense layer for all steps."""
    from darts import TimeSeries
    from darts.models import BlockRNNModel
    from darts.utils.likelihood_models import QuantileRegression

    stamps = pd.date_range("2026-01-01", periods=ROWS, freq="h")
    series = [TimeSeries.from_times_and_values(stamps, row) for row in values()]

    def measure():
        clock, ends = steps_clock()
        made = BlockRNNModel(
            model={"lstm": "LSTM", "gru": "GRU"}[network],
            input_chunk_length=CONTEXT,
            output_chunk_length=HORIZON,
            hidden_dim=UNITS,
            n_rnn_layers=2,
            batch_size=BATCH,
            n_epochs=1,
            likelihood=QuantileRegression(QUANTILES),
            pl_trainer_kwargs={**QUIET, "callbacks": [clock]},
        )
        made.fit(series, max_samples_per_ts=(WARM + STEPS) * BATCH // SERIES)
        return rate(ends)

    return measure


def neuralforecast_backtested(series, origins):
    """Seconds of its rolling origins, the table in memory and the network trained."""
    from neuralforecast import NeuralForecast, models

    count, steps = int(series), int(origins)
    draw = np.random.default_rng(1)
    table = long_table(draw.normal(size=(count, CONTEXT + HORIZON + steps)).cumsum(axis=1).astype(np.float32))
    trained = NeuralForecast(models=[model(models.LSTM, max_steps=1)], freq="h")
    trained.fit(long_table(values()))

    def measure():
        begin = time.perf_counter()
        found = trained.cross_validation(df=table, n_windows=steps, step_size=1, refit=False, use_init_models=False)
        seconds = time.perf_counter() - begin
        if len(found) != count * steps * HORIZON:
            raise SystemExit(f"{len(found)} forecasts for {count} series and {steps} origins")
        return seconds

    return measure


def model(kind, **settings):
    """A network of neuralforecast."""
    from neuralforecast.losses.pytorch import MQLoss

    return kind(
        h=HORIZON,
        input_size=CONTEXT,
        encoder_n_layers=2,
        encoder_hidden_size=UNITS,
        decoder_layers=1,
        decoder_hidden_size=UNITS,
        recurrent=False,
        loss=MQLoss(quantiles=QUANTILES),
        windows_batch_size=BATCH,
        inference_windows_batch_size=1024,
        val_check_steps=1_000_000,
        **QUIET,
        **settings,
    )


def steps_clock():
    """A callback of Lightning, and the list of when each step ended; neuralforecast copies the callback."""
    from pytorch_lightning import Callback

    ends = []

    class Clock(Callback):
        """Notes when a step ends."""

        def on_train_batch_end(self, *_):
            ends.append(time.perf_counter())

    return Clock(), ends


def rate(ends):
    """The windows a second after some steps to warm up."""
    counted = ends[WARM - 1 :]
    return BATCH * (len(counted) - 1) / (counted[-1] - counted[0])


def values():
    """Random walks (N, rows)."""
    return np.random.default_rng(1).normal(size=(SERIES, ROWS)).cumsum(axis=1).astype(np.float32)


def long_table(walks):
    """Readings (N, rows) as a long table."""
    series, rows = walks.shape
    names = np.repeat([f"series-{number:04d}" for number in range(series)], rows)
    stamps = pd.date_range("2026-01-01", periods=rows, freq="h")
    return pd.DataFrame({"unique_id": names, "ds": np.tile(stamps, series), "y": walks.ravel()})


PARTS = {
    ("train", "torch"): torch_trained,
    ("train", "neuralforecast"): neuralforecast_trained,
    ("train", "darts"): darts_trained,
    ("backtest", "neuralforecast"): neuralforecast_backtested,
}

if __name__ == "__main__":
    warnings.filterwarnings("ignore")
    for name in ("lightning.pytorch", "pytorch_lightning", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    measured = PARTS[sys.argv[1], sys.argv[2]](*sys.argv[3:])
    for _ in sys.stdin:
        print(f"figure {measured()}", flush=True)
