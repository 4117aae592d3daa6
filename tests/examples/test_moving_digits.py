"""Moving digits: what the sequences hold, and that a ConvLSTM sees what moves."""

import numpy as np

from examples import moving_digits
from examples.moving_digits import CONTEXT, HORIZON, SIDE, errors, moving, path
from forecasting.config.training import Train


def test_sequences_move_and_stay_in_the_field() -> None:
    """Values from 0 to 1; corners stay inside, no step is longer than the fastest; parts share no sequence."""
    train, test = moving(0, 8, 1), moving(2, 8, 1)
    assert train.shape == (8, CONTEXT + HORIZON, SIDE, SIDE)
    assert (train.min(), train.max()) == (0.0, 1.0)
    assert not np.array_equal(train, test)
    for seed in range(20):
        corner = path(np.random.default_rng(seed))
        assert corner.min() >= 0
        assert corner.max() <= SIDE - moving_digits.DIGIT
        assert np.abs(np.diff(corner, axis=0)).max() <= moving_digits.FASTEST + 1


def test_conv_lstm_beats_the_last_frame_by_a_third() -> None:
    """After seconds of training on few sequences, its squared error is at most 0.7 of the last frame's."""
    config = Train(epochs=3, batch_size=8, learning_rate=0.005, seed=1)
    found = errors(config, (240, 40, 60))
    assert found["conv_lstm"] <= 0.7 * found["last frame"]
    assert found["conv_lstm"] < found["mean frame"]
