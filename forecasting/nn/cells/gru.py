"""The gated recurrent unit (Cho et al. 2014) in the form of cuDNN, which resets after the matrix product."""

import keras

__all__ = ["layer"]


def layer(units: int, *, activation: str, sequences: bool, states: bool = False, name: str) -> keras.layers.Layer:
    """GRU over (B, T, D); cuDNN runs it fused while `activation` is tanh."""
    return keras.layers.GRU(
        units, activation=activation, reset_after=True, return_sequences=sequences, return_state=states, name=name
    )
