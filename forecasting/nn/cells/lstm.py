"""The long short-term memory (Hochreiter & Schmidhuber 1997, with the forget gate of Gers et al. 2000)."""

import keras

__all__ = ["layer"]


def layer(units: int, *, activation: str, sequences: bool, states: bool = False, name: str) -> keras.layers.Layer:
    """LSTM over (B, T, D); cuDNN runs it fused while `activation` is tanh."""
    return keras.layers.LSTM(units, activation=activation, return_sequences=sequences, return_state=states, name=name)
