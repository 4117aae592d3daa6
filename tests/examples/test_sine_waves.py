"""Sine waves: an LSTM continues waves that it has never seen, in phase."""

import numpy as np
import pytest

from examples import sine_waves


def test_waves_are_those_of_the_task() -> None:
    """Each obeys the recurrence of a sine of one twentieth: y_{t+1} + y_{t-1} = 2 cos(1 / 20) y_t."""
    waves = sine_waves.waves().astype(np.float64)
    assert waves.shape == (100, 2000)
    assert waves[:, 2:] + waves[:, :-2] == pytest.approx(2 * np.cos(1 / 20) * waves[:, 1:-1], abs=1e-6)
    assert len(np.unique(waves[:, 0].round(6))) > 90


def test_held_out_waves_are_continued_in_phase() -> None:
    """After a quarter of the training, the first 300 steps alone, more than two periods, already correlate at 0.99."""
    network = sine_waves.fit(sine_waves.TRAIN.model_copy(update={"epochs": 10}))
    run = sine_waves.free_run(network, sine_waves.waves()[sine_waves.LEARNED :])
    assert run.told.shape == run.actual.shape == (3, 1000)
    assert sine_waves.Run(run.told[:, :300], run.actual[:, :300]).correlation.min() > 0.99
