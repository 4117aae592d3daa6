"""What the graphs of a bundle say about the future: quantiles and sample paths, at once or step by step."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from forecasting.bundle.distributions import Distribution, distribution
from forecasting.bundle.engine import Engine, Graphs
from forecasting.bundle.spec import Spec
from forecasting.series.window import Batch, Windows

__all__ = ["Predictor"]

_SEED = 20_260_101
_MOST = 8192  # windows times paths in one call of the engine

Array = np.ndarray


class Predictor:
    """A model that forecasts windows in the scaled space.

    A direct network gives `block` steps at once. Where the horizon is longer, and for networks that go step by step,
    sample paths are drawn and fed back, and quantiles are those of the paths. The draws of a step are the same for
    every window: a forecast does not depend on what else is in its batch.
    """

    def __init__(self, spec: Spec, graphs: Graphs | Path, *, threads: int = 0) -> None:
        """Open graphs, or those in a bundle's directory; raises ArtifactError where one cannot be opened."""
        self.spec = spec
        model, step = (graphs.model, graphs.step) if isinstance(graphs, Graphs) else _files(graphs)
        self._model = Engine(model, threads=threads)
        self._step = None if step is None else Engine(step, threads=threads)
        self._distribution: Distribution = distribution(spec.head, spec.quantiles)

    @property
    def inputs(self) -> tuple[str, ...]:
        """The arrays of a batch that are read."""
        ahead = ("future",) if self._step is not None and "future" in self._step.inputs else ()
        return (*self._model.inputs, *ahead)

    def windows(self, windows: Windows, indices: Array) -> Array:
        """The quantiles (B, H, Q) of windows of a panel."""
        return self.quantiles(windows.batch(indices))

    def quantiles(self, batch: Batch) -> Array:
        """The quantiles (B, H, Q) of a batch, at the levels of the spec."""
        levels = np.asarray(self.spec.quantiles)
        if not self._feeds_back:
            return self._distribution.quantile(self._output(self._model.run(batch)), levels)
        found = np.quantile(self.paths(batch, self.spec.paths), levels, axis=1)  # (Q, B, H)
        quantiles: Array = np.moveaxis(found, 0, -1).astype(np.float32)
        return quantiles

    def paths(self, batch: Batch, count: int, *, seed: int = _SEED) -> Array:
        """Sample paths (B, S, H); the steps of a direct network are drawn independently within a block."""
        draws = _draws(count, self.spec.horizon, seed)
        return np.concatenate([self._paths(part, draws) for part in _parts(batch, max(1, _MOST // count))])

    def replay(self, batch: Batch) -> Array:
        """Quantiles (B, H, Q) that are smooth in the weights: where paths are fed back, along the path of the mean.

        A golden forecast must come out alike on every machine; sample paths of counts may jump in the last bit.
        """
        if not self._feeds_back:
            return self.quantiles(batch)
        levels = np.asarray(self.spec.quantiles)
        outputs = [output[:, 0] for output in self._follow(batch, None)]
        return self._distribution.quantile(np.concatenate(outputs, axis=1), levels)[:, : self.spec.horizon]

    @property
    def _feeds_back(self) -> bool:
        return self._step is not None or (self.spec.block or self.spec.horizon) < self.spec.horizon

    def _output(self, outputs: Batch) -> Array:
        return outputs["quantiles" if self.spec.head == "quantile" else "parameters"]

    def _paths(self, batch: Batch, draws: Array) -> Array:
        """Sample paths (B, S, H) of draws (S, H) from the unit interval."""
        begin, paths = 0, []
        for output in self._follow(batch, draws):  # (B, S, steps, P)
            steps = output.shape[2]
            paths.append(self._distribution.at(output, draws[:, begin : begin + steps]))
            begin += steps
        return np.concatenate(paths, axis=2)[:, :, : self.spec.horizon]

    def _follow(self, batch: Batch, draws: Array | None) -> Iterator[Array]:
        """The outputs (B, S, steps, P) along S paths, block by block; without draws along the mean, S = 1."""
        return self._roll(batch, draws) if self._step is None else self._unroll(self._step, batch, draws)

    def _next(self, output: Array, draws: Array | None, begin: int) -> Array:
        """What is fed back (B, S, steps)."""
        if draws is None:
            return self._distribution.mean(output)
        return self._distribution.at(output, draws[:, begin : begin + output.shape[2]])

    def _roll(self, batch: Batch, draws: Array | None) -> Iterator[Array]:
        """A direct network, applied again to the context that its own values have moved into."""
        paths, block = 1 if draws is None else len(draws), self.spec.block or self.spec.horizon
        batch = {name: values for name, values in batch.items() if name in self.inputs}
        ahead = _padded(batch["future"], block) if "future" in batch else None
        first = batch if ahead is None else {**batch, "future": ahead[:, :block]}
        output = self._output(self._model.run(first))
        output = np.repeat(output[:, None], paths, axis=1)  # (B, S, block, P)
        yield output
        rolled = {name: np.repeat(values, paths, axis=0) for name, values in batch.items()}
        for begin in range(block, self.spec.horizon, block):
            values = self._next(output, draws, begin - block).reshape(-1, block)
            known = None if ahead is None else np.repeat(ahead[:, begin - block : begin], paths, axis=0)
            rolled["past"] = np.concatenate([rolled["past"], self._rows(values, known)], axis=1)[:, block:]
            if ahead is not None:
                rolled["future"] = np.repeat(ahead[:, begin : begin + block], paths, axis=0)
            flat = self._output(self._model.run(rolled))
            output = flat.reshape(-1, paths, *flat.shape[1:])
            yield output

    def _rows(self, values: Array, known: Array | None) -> Array:
        """Context rows (B, steps, D) of values that were forecast; they count as read."""
        parts = [values[:, :, None]] if known is None else [values[:, :, None], known]
        if self.spec.features.mask:
            parts.append(np.ones((*values.shape, 1)))
        return np.concatenate(parts, axis=2, dtype=np.float32)

    def _unroll(self, step: Engine, batch: Batch, draws: Array | None) -> Iterator[Array]:
        """A network that goes step by step: its states, and the value of the step before, carry over."""
        paths = 1 if draws is None else len(draws)
        read = self._model.run(batch)
        carried = {name: np.repeat(values, paths, axis=0) for name, values in read.items() if name in step.inputs}
        previous = np.repeat(batch["past"][:, -1:, 0], paths, axis=0)  # (B * S, 1)
        for number in range(self.spec.horizon):
            inputs = {**carried, "previous": previous}
            if "future" in step.inputs:
                inputs["future"] = np.repeat(batch["future"][:, number : number + 1], paths, axis=0)
            outputs = step.run(inputs)
            carried |= {name: outputs[f"next_{name}"] for name in carried if f"next_{name}" in outputs}
            flat = self._output(outputs)  # (B * S, 1, P)
            output = flat.reshape(-1, paths, *flat.shape[1:])
            yield output
            previous = self._next(output, draws, number).reshape(-1, 1).astype(np.float32)


def _files(directory: Path) -> tuple[Path, Path | None]:
    step = directory / "step.onnx"
    return directory / "model.onnx", step if step.exists() else None


def _parts(batch: Batch, size: int) -> Iterator[Batch]:
    """A batch in pieces of at most `size` windows."""
    for begin in range(0, len(batch["past"]), size):
        yield {name: values[begin : begin + size] for name, values in batch.items()}


def _padded(ahead: Array, block: int) -> Array:
    """(B, H, F) with its last step repeated up to a whole number of blocks."""
    lacking = -ahead.shape[1] % block
    return np.concatenate([ahead, np.repeat(ahead[:, -1:], lacking, axis=1)], axis=1)


def _draws(paths: int, horizon: int, seed: int = _SEED) -> Array:
    """Draws (S, H) from the unit interval, one in each S-th part of it at every step, in an order of its own."""
    order = np.random.default_rng(seed).permuted(np.tile(np.arange(paths), (horizon, 1)), axis=1)
    draws: Array = (order.T + 0.5) / paths
    return draws
