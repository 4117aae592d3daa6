"""The simple recurrent unit (Elman 1990): h_t = f(W_x x_t + W_h h_{t-1} + b)."""

import keras

__all__ = ["layer"]


def layer(units: int, *, activation: str, sequences: bool, states: bool = False, name: str) -> keras.layers.Layer:
    """SimpleRNN over (B, T, D); `activation` is f."""
    return keras.layers.SimpleRNN(
        units, activation=activation, return_sequences=sequences, return_state=states, name=name
    )
