"""The LSTM whose products are convolutions and whose states are frames (Shi et al. 2015)."""

from typing import Any, Final

import keras

from forecasting.config.cells import ConvLSTMOptions

__all__ = ["layer"]

DEFAULT: Final = ConvLSTMOptions()
LAYERS: Final[dict[int, type[Any]]] = {1: keras.layers.ConvLSTM1D, 2: keras.layers.ConvLSTM2D}


def layer(
    units: int,
    *,
    activation: str,
    sequences: bool,
    states: bool = False,
    name: str,
    options: ConvLSTMOptions = DEFAULT,
    rank: int = 1,
) -> keras.layers.Layer:
    """ConvLSTM over lines (B, T, X, D) for `rank` 1 or frames (B, T, Y, X, D) for 2; the grid keeps its size."""
    return LAYERS[rank](
        units,
        options.kernel,
        padding="same",
        activation=activation,
        return_sequences=sequences,
        return_state=states,
        name=name,
    )
