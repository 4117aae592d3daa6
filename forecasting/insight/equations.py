"""ONNX's recurrent operators in NumPy, with all gates, from what an operator reads and gives.

Each function takes inputs x (B, T, D), the hidden states h (B, T, U) that the operator gave, and the states (B, U)
before the first step. Every step starts from the state that was given before it, so that no error adds up.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

import numpy as np

__all__ = ["CellTrace", "Weights", "gru", "lstm", "simple"]

Array = np.ndarray


class Weights(NamedTuple):
    """One direction of an operator, its gates in the order of ONNX: w (gates*U, D), r (gates*U, U), b (2, gates*U)."""

    w: Array
    r: Array
    b: Array
    peephole: Array  # (3, U) as input, output, forget; zeros where there is none
    activations: tuple[str, ...]
    coupled: bool = False  # forget = 1 - input
    reset_after: bool = True  # the product


class CellTrace(NamedTuple):
    """What a cell does at every step: gates and states (B, T, U) by name; a simple recurrent cell has no gates."""

    gates: dict[str, Array]
    states: dict[str, Array]  # hidden, and the cell state where there is one


def simple(weights: Weights, x: Array, h: Array, before: tuple[Array, ...]) -> CellTrace:
    """h_t = f(W x_t + R h_{t-1} + b)."""
    return CellTrace({}, {"hidden": _ACTIVATIONS[weights.activations[0]](_sum(weights, x, h, before[0]))})


def lstm(weights: Weights, x: Array, h: Array, before: tuple[Array, ...]) -> CellTrace:
    """i, f = σ(W x_t + R h_{t-1} + p ⊙ c_{t-1} + b); c_t = f ⊙ c_{t-1} + i ⊙ c̃; o = σ(… + p ⊙ c_t + b)."""
    gate, candidate, squash = (_ACTIVATIONS[name] for name in weights.activations)
    i, o, f, new = np.split(_sum(weights, x, h, before[0]), 4, axis=-1)
    new, c = candidate(new), before[1].astype(np.float64)
    found: dict[str, list[Array]] = {"forget": [], "input": [], "output": [], "cell": [], "hidden": []}
    for step in range(x.shape[1]):
        taken = gate(i[:, step] + weights.peephole[0] * c)
        kept = 1.0 - taken if weights.coupled else gate(f[:, step] + weights.peephole[2] * c)
        c = kept * c + taken * new[:, step]
        given = gate(o[:, step] + weights.peephole[1] * c)
        for name, values in zip(found, (kept, taken, given, c, given * squash(c)), strict=True):
            found[name].append(values)
    each = {name: np.stack(values, axis=1) for name, values in found.items()}
    return CellTrace(
        {name: each[name] for name in ("forget", "input", "output")},
        {name: each[name] for name in ("cell", "hidden")},
    )


def gru(weights: Weights, x: Array, h: Array, before: tuple[Array, ...]) -> CellTrace:
    """z, r = σ(W x_t + R h_{t-1} + b); h_t = z ⊙ h_{t-1} + (1 - z) ⊙ h̃, where r resets the part of h_{t-1} in h̃."""
    gate, candidate = (_ACTIVATIONS[name] for name in weights.activations)
    of_input, of_state = _products(weights, x, h, before[0])
    units = h.shape[-1]
    z, r = np.split(gate(of_input + of_state)[..., : 2 * units], 2, axis=-1)
    old, back = _earlier(h, before[0]), slice(2 * units, None)
    reset = r * of_state[..., back] if weights.reset_after else (r * old) @ weights.r[back].T + weights.b[1, back]
    hidden = z * old + (1.0 - z) * candidate(of_input[..., back] + reset)
    return CellTrace({"update": z, "reset": r}, {"hidden": hidden})


def _sum(weights: Weights, x: Array, h: Array, first: Array) -> Array:
    of_input, of_state = _products(weights, x, h, first)
    found: Array = of_input + of_state
    return found


def _products(weights: Weights, x: Array, h: Array, first: Array) -> tuple[Array, Array]:
    """W x_t + b and R h_{t-1} + b' for every step (B, T, gates*U); `first` is the state before the first one."""
    of_input, of_state = x.astype(np.float64) @ weights.w.T, _earlier(h, first) @ weights.r.T
    return of_input + weights.b[0], of_state + weights.b[1]


def _earlier(h: Array, first: Array) -> Array:
    """The state before each step."""
    return np.concatenate([first[:, None], h[:, :-1]], axis=1).astype(np.float64)


def _sigmoid(values: Array) -> Array:
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * values)))  # never overflows


_ACTIVATIONS: Final[dict[str, Callable[[Array], Array]]] = {
    "Sigmoid": _sigmoid,
    "Tanh": np.tanh,
    "Relu": lambda values: np.maximum(values, 0.0),
    "Softplus": lambda values: np.logaddexp(0.0, values),
    "Affine": lambda values: values,  # the exporter writes the identity like this
}
