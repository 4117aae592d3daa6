"""The graphs of a bundle as forecasts: quantiles and sample paths, at once or step by step."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from copy import copy

import numpy as np

from forecasting.bundle.distributions import Distribution, distribution
from forecasting.bundle.engine import Engine, Graphs, pieces
from forecasting.bundle.spec import Spec
from forecasting.errors import ConfigError
from forecasting.runtime.processes import cores
from forecasting.series.frame_windows import place_windows
from forecasting.series.windows import Batch, Windows

__all__ = ["Predictor", "path_draws"]

_SEED = 20_260_101
_PLACES = 65_536  # places of frames in one call of the engine
_MOST = 8192  # windows times paths in one call of the engine, as long as what they carry
_BYTES = 2**27  # stays below this
_CODES = ("negative_binomial", "categorical")  # heads whose quantiles are whole numbers

Array = np.ndarray


class Predictor:
    """A model that forecasts windows in the scaled space.

    A direct network gives `block` steps at once. Where the horizon is longer, and for networks that go step by step,
    sample paths are drawn and fed back: the first block is then what the network says of it, later quantiles are those
    of the paths. The draws of a step are the same for every window: a forecast does not depend on what else is in its
    batch, nor, as far as both go, on its horizon.
    """

    def __init__(self, spec: Spec, graphs: Graphs, *, threads: int = 0) -> None:
        """Open the graphs; raises ArtifactError if one cannot be opened.

        `threads` read pieces of a batch side by side, or share one call; 0 means one per core.
        """
        self.spec = spec
        self._threads = threads or cores()
        together = self._threads if spec.layout is not None or spec.symbols is not None else 1
        self._model = Engine(graphs.model, threads=together)
        self._step = None if graphs.step is None else Engine(graphs.step, threads=together)
        self._distribution: Distribution = distribution(spec.head, spec.quantiles)

    @property
    def engine(self) -> Engine:
        """The graph that reads a context."""
        return self._model

    @property
    def inputs(self) -> tuple[str, ...]:
        """The arrays of a batch that the graphs read."""
        ahead = ("future",) if self._step is not None and "future" in self._step.inputs else ()
        return (*self._model.inputs, *ahead)

    @property
    def feeds_back(self) -> bool:
        """Whether later steps use forecast values as inputs."""
        return self._step is not None or (self.spec.block or self.spec.horizon) < self.spec.horizon

    def reaching(self, horizon: int) -> Predictor:
        """The same graphs with a longer horizon; raises ConfigError if they cannot."""
        if self._step is None and self.spec.features.past:
            raise ConfigError(
                f"{self.spec.model} cannot forecast beyond its {self.spec.block or self.spec.horizon} steps: it reads"
                f" {', '.join(self.spec.features.past)}, known only up to the cutoff; train it for {horizon} steps"
            )
        if self.spec.layout is not None:
            raise ConfigError(
                f"{self.spec.model} forecasts {self.spec.horizon} frames at once; train it for {horizon} steps"
            )
        longer = copy(self)
        block = None if self._step is not None else self.spec.block or self.spec.horizon
        longer.spec = self.spec.model_copy(update={"horizon": horizon, "block": block})
        return longer

    def batch(self, windows: Windows, indices: Array) -> Batch:
        """The graphs' inputs for windows of a panel: the windows, or the frames that contain them."""
        if self.spec.layout is None:
            return windows.batch(indices)
        frames = place_windows(windows, indices, self.spec.layout).frames
        return frames.batch(np.arange(len(frames)))

    def windows(self, windows: Windows, indices: Array) -> Array:
        """The quantiles (B, H, Q) of windows of a panel; each frame is read once."""
        layout = self.spec.layout
        if layout is None:
            return self.quantiles(windows.batch(indices))
        frames, frame, place = place_windows(windows, indices, layout)
        found = np.empty((len(indices), self.spec.horizon, len(self.spec.quantiles)), dtype=np.float32)
        size = max(1, _PLACES // layout.places)
        for begin in range(0, len(frames), size):
            some = np.arange(begin, min(begin + size, len(frames)))
            mine, apart = np.isin(frame, some), self.apart(self.quantiles(frames.batch(some)))
            found[mine] = apart[(frame[mine] - begin) * layout.places + place[mine]]
        return found

    def pick(self, quantiles: Array, windows: Windows, indices: Array) -> Array:
        """The quantiles (B, H, Q) of windows out of those of the `batch` of the same windows."""
        if self.spec.layout is None:
            return quantiles
        _, frame, place = place_windows(windows, indices, self.spec.layout)
        mine: Array = self.apart(quantiles)[frame * self.spec.layout.places + place]
        return mine

    def apart(self, quantiles: Array) -> Array:
        """The quantiles (B, M, Q) of frames as those of series (B * places, H, Q); others as they are."""
        if self.spec.layout is None:
            return quantiles
        steps = quantiles.reshape(-1, self.spec.horizon, self.spec.layout.places, quantiles.shape[-1])
        return steps.swapaxes(1, 2).reshape(-1, self.spec.horizon, quantiles.shape[-1])

    def quantiles(self, batch: Batch) -> Array:
        """The quantiles (B, H, Q) of a batch, at the levels of the spec; (B, M, Q) of frames."""
        levels = np.asarray(self.spec.quantiles)
        if not self.feeds_back:
            parts = [batch] if self.spec.layout else pieces(batch)
            output = np.concatenate(self._each(lambda part: self._output(self._model.run(part)), parts))
            return self._distribution.quantile(output, levels)
        certain = self.spec.head == "quantile" and len(levels) == 1  # all paths would be the same
        draws = path_draws(1 if certain else self.spec.paths, self.spec.horizon)
        parts = self._parts(batch, len(draws))
        return np.concatenate(self._each(lambda part: self._of_paths(part, draws, levels), parts))

    def replay(self, batch: Batch) -> Array:
        """A forecast (B, H, Q) that is smooth in the weights: fed-back values follow the path of the mean.

        It must be the same on every machine, and whole numbers may jump in the last bit: for a distribution of whole
        numbers, the sum of its parameters stands in for the quantiles.
        """
        output = self._of_mean(batch)
        if self.spec.head in _CODES:
            smooth: Array = np.repeat(output.sum(axis=-1, keepdims=True), max(1, len(self.spec.quantiles)), axis=-1)
            return smooth
        return self._distribution.quantile(output, np.asarray(self.spec.quantiles))

    def center(self, batch: Batch) -> Array:
        """The middle (B, H) of every forecast: smooth in the inputs, scaled, before calibration.

        It is the median, of counts the mean. Fed-back values follow the path of the mean; frames give (B * places, H).
        """
        output = np.concatenate(self._each(self._of_mean, pieces(batch)))
        if self.spec.head == "quantile":
            return self._distribution.quantile(output, np.array([0.5]))[..., 0]
        return self._distribution.mean(output)

    def _of_mean(self, batch: Batch) -> Array:
        """Outputs (B, H, P) where fed-back values follow the path of the mean; (B * places, H, P) of frames."""
        if not self.feeds_back:
            return self.apart(self._output(self._model.run(batch)))
        found = np.concatenate([output[:, 0] for output, _ in self.follow(batch, None)], axis=1)
        return found[:, : self.spec.horizon]

    def _each(self, forecast: Callable[[Batch], Array], parts: Iterable[Batch]) -> list[Array]:
        """The forecasts of all parts, in order; as many at a time as there are threads."""
        waiting = list(parts)
        if min(self._threads, len(waiting)) == 1:
            return [forecast(part) for part in waiting]
        with ThreadPoolExecutor(self._threads) as pool:
            return list(pool.map(forecast, waiting))

    def _output(self, outputs: Batch) -> Array:
        return outputs["quantiles" if self.spec.head == "quantile" else "parameters"]

    def _of_paths(self, batch: Batch, draws: Array, levels: Array) -> Array:
        """The quantiles (B, H, Q) of paths with these draws (G, H)."""
        found: list[Array] = []
        for output, values in self.follow(batch, draws):
            later = np.moveaxis(np.quantile(values, levels, axis=1), 0, -1) if found else None  # (B, steps, Q)
            found.append(self._distribution.quantile(output[:, 0], levels) if later is None else later)
        return np.concatenate(found, axis=1, dtype=np.float32)[:, : self.spec.horizon]

    def _parts(self, batch: Batch, paths: int) -> Iterator[Batch]:
        """A batch in pieces of whole windows, whose paths fit into one call of the engine and into memory."""
        carried = self._model.outputs if self._step is not None else self._model.inputs
        width = sum(math.prod(size for size in shape if isinstance(size, int)) for shape in carried.values())
        rows = min(_MOST, _BYTES // (4 * width))
        return pieces(batch, max(1, rows // paths))

    def follow(self, batch: Batch, draws: Array | None) -> Iterator[tuple[Array, Array]]:
        """Outputs (B, G, steps, P) and values (B, G, steps) of G paths, block by block; without draws of the mean."""
        return self._roll(batch, draws) if self._step is None else self._unroll(self._step, batch, draws)

    def _values(self, output: Array, draws: Array | None, begin: int) -> Array:
        """The values of the paths (B, G, steps) from step `begin` on; nothing is drawn beyond the last draw."""
        if draws is None:
            return self._distribution.mean(output)
        drawn = draws[:, begin : begin + output.shape[2]]  # (G, steps)
        return self._distribution.at(output[:, :, : drawn.shape[1]], drawn)

    def _roll(self, batch: Batch, draws: Array | None) -> Iterator[tuple[Array, Array]]:
        """A direct network, applied again to a context that its own values have moved into."""
        paths, block = 1 if draws is None else len(draws), self.spec.block or self.spec.horizon
        batch = {name: values for name, values in batch.items() if name in self.inputs}
        ahead = _padded(batch["future"], block) if "future" in batch else None
        first = batch if ahead is None else {**batch, "future": ahead[:, :block]}
        output = np.repeat(self._output(self._model.run(first))[:, None], paths, axis=1)  # (B, G, block, P)
        values = self._values(output, draws, 0)
        yield output, values
        rolled = {name: np.repeat(part, paths, axis=0) for name, part in batch.items()}
        for begin in range(block, self.spec.horizon, block):
            known = None if ahead is None else np.repeat(ahead[:, begin - block : begin], paths, axis=0)
            rows = self._rows(values.reshape(-1, block), known)
            rolled["past"] = np.concatenate([rolled["past"], rows], axis=1)[:, block:]
            if ahead is not None:
                rolled["future"] = np.repeat(ahead[:, begin : begin + block], paths, axis=0)
            flat = self._output(self._model.run(rolled))
            output = flat.reshape(-1, paths, *flat.shape[1:])
            values = self._values(output, draws, begin)
            yield output, values

    def _rows(self, values: Array, known: Array | None) -> Array:
        """Context rows (B, steps, D) of forecast values; they count as read."""
        parts = [values[:, :, None]] if known is None else [values[:, :, None], known]
        if self.spec.features.mask:
            parts.append(np.ones((*values.shape, 1)))
        return np.concatenate(parts, axis=2, dtype=np.float32)

    def _unroll(self, step: Engine, batch: Batch, draws: Array | None) -> Iterator[tuple[Array, Array]]:
        """A network that goes step by step: its states, and the value of the step before, carry over."""
        paths = 1 if draws is None else len(draws)
        read = self._model.run(batch)
        carried = {name: np.repeat(values, paths, axis=0) for name, values in read.items() if name in step.inputs}
        previous = np.repeat(batch["past"][:, -1:, 0], paths, axis=0)  # (B * G, 1)
        for number in range(self.spec.horizon):
            inputs = {**carried, "previous": previous}
            if "future" in step.inputs:
                inputs["future"] = np.repeat(batch["future"][:, number : number + 1], paths, axis=0)
            outputs = step.run(inputs)
            carried |= {name: outputs[f"next_{name}"] for name in carried if f"next_{name}" in outputs}
            flat = self._output(outputs)  # (B * G, 1, P)
            output = flat.reshape(-1, paths, *flat.shape[1:])
            values = self._values(output, draws, number)
            yield output, values
            previous = values.reshape(-1, 1).astype(np.float32)


def _padded(ahead: Array, block: int) -> Array:
    """(B, H, F) with its last step repeated up to a whole number of blocks."""
    lacking = -ahead.shape[1] % block
    return np.concatenate([ahead, np.repeat(ahead[:, -1:], lacking, axis=1)], axis=1)


def path_draws(paths: int, horizon: int) -> Array:
    """Draws (G, H) from the unit interval, one in each of G equal parts at every step, in random order."""
    order = np.random.default_rng(_SEED).permuted(np.tile(np.arange(paths), (horizon, 1)), axis=1)
    draws: Array = (order.T + 0.5) / paths
    return draws
