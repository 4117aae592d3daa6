"""A network of symbols that continues a text, symbol by symbol, and gives the probability of any text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from forecasting.bundle.engine import Engine
from forecasting.bundle.numerics import log_softmax, softmax
from forecasting.errors import GatecastError
from forecasting.series.vocabulary import Vocabulary
from forecasting.series.windows import Batch

__all__ = ["Generated", "Generator", "Sampling"]

Array = np.ndarray


class Sampling(NamedTuple):
    """How the next symbol is drawn: 0 takes the most probable one; `top` leaves only so many of the most probable."""

    temperature: float = 1.0
    seed: int = 1
    top: int | None = None


class Generated(NamedTuple):
    """The continuation of a history: symbols (…, H) and the probability (…, H) of each under the model, at temperature
    1."""

    symbols: Array
    probability: Array


class Generator:
    """A model of symbols: codes (B, T) and states in, logits (B, T, V) of the next symbol and states out.

    Every sequence is read from states of zero. The unknown symbol, code 0, may be read but is never generated.
    """

    def __init__(self, vocabulary: Vocabulary, engine: Engine) -> None:
        self.vocabulary = vocabulary
        self._engine = engine
        self._states = {name: shape[1:] for name, shape in engine.inputs.items() if name.startswith("state_")}

    def extend(self, history: Sequence[str], length: int, sampling: Sampling = Sampling()) -> Generated:  # noqa: B008
        """The `length` symbols (H,) that follow a history, which may be empty."""
        found = self.sample(history, length, 1, sampling)
        return Generated(found.symbols[0], found.probability[0])

    def sample(self, history: Sequence[str], length: int, count: int, sampling: Sampling = Sampling()) -> Generated:  # noqa: B008
        """`count` continuations (G, H) of one history, each drawn by itself."""
        if length < 1 or sampling.temperature < 0 or (sampling.top is not None and sampling.top < 1):
            raise GatecastError(
                f"length {length} and top {sampling.top} must be 1 or more, and temperature {sampling.temperature:g}"
                " must not be negative"
            )
        draws = np.random.default_rng(sampling.seed).random((count, length))
        codes = np.empty((count, length), np.int64)
        probability = np.empty((count, length), np.float32)
        logits, states = self.read(np.concatenate([[0], self.vocabulary.encode(history)])[None])
        logits, states = (
            np.repeat(logits[:, -1], count, axis=0),
            {n: np.repeat(s, count, axis=0) for n, s in states.items()},
        )
        for step in range(length):
            codes[:, step] = _draw(logits, draws[:, step], sampling)
            chances = softmax(logits[:, 1:])
            probability[:, step] = np.take_along_axis(chances, codes[:, step, None] - 1, axis=-1)[:, 0]
            if step + 1 < length:
                given, states = self.read(codes[:, step : step + 1], states)
                logits = given[:, -1]
        return Generated(self.vocabulary.decode(codes), probability)

    def log_probability(self, history: Sequence[str]) -> Array:
        """The log-probability (T,) of each symbol of a history, given all before it; an empty history gives none."""
        codes = self.vocabulary.encode(history)[None]
        return np.asarray(self.score(np.concatenate([np.zeros((1, 1), np.int32), codes], axis=1))[0])

    def score(self, codes: Array) -> Array:
        """The log-probability (B, T - 1) of each of the codes (B, T) but the first, given those before it."""
        return self.judge(codes)[0]

    def judge(self, codes: Array) -> tuple[Array, Array]:
        """The same, and the most probable code (B, T - 1) in place of each."""
        logits, _ = self.read(codes[:, :-1])
        chosen = np.take_along_axis(log_softmax(logits), codes[:, 1:, None].astype(np.int64), axis=-1)
        return np.asarray(chosen[..., 0]), np.asarray(logits[..., 1:].argmax(axis=-1) + 1)

    def read(self, codes: Array, states: Batch | None = None) -> tuple[Array, Batch]:
        """Logits (B, T, V) after each of the codes (B, T), and the states after the last; without states, from zero."""
        begin = states or {name: np.zeros((len(codes), *shape), np.float32) for name, shape in self._states.items()}
        outputs = self._engine.run({"symbols": codes.astype(np.int32), **begin})
        after = {name: outputs[f"next_{name}"] for name in self._states}
        return outputs["parameters"], after


def _draw(logits: Array, draws: Array, sampling: Sampling) -> Array:
    """Draw a code (B,) from each row of logits (B, V), never the unknown, by inverse distribution at draws (B,)."""
    known = logits[:, 1:].astype(np.float64)
    if sampling.temperature == 0:
        return np.asarray(known.argmax(axis=-1) + 1)
    if sampling.top is not None and sampling.top < known.shape[1]:
        least = -np.partition(-known, sampling.top - 1, axis=-1)[:, sampling.top - 1, None]
        known = np.where(known >= least, known, -np.inf)
    reached = np.cumsum(softmax(known / sampling.temperature), axis=-1)
    reached /= reached[:, -1:]
    return np.asarray((reached <= draws[:, None]).sum(axis=-1) + 1)
