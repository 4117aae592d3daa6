"""Forecasts that go on from their own values: linear graphs written by hand, against NumPy and closed forms."""

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import stats

from forecasting.bundle import predictor as module
from forecasting.bundle.engine import Engine, Graphs
from forecasting.bundle.predictor import Predictor, path_draws
from forecasting.bundle.spec import Spec, TableSpec
from forecasting.errors import ConfigError
from forecasting.nn.exporters.graph import Graph
from forecasting.series.features import Features
from forecasting.series.scaling import Scaler

Make = Callable[..., Predictor]
Array = np.ndarray
PHI, SIGMA = 0.8, 0.5
LEVELS = (0.1, 0.5, 0.9)


@pytest.fixture
def make_spec(make_job: Callable[..., Any]) -> Callable[..., Spec]:
    """The spec of a hand-made model; only what the predictor reads of it matters."""

    def make(horizon: int, **changed: Any) -> Spec:
        wanted = {"head": "normal", "context": 3, "block": None, "paths": 200, **changed}
        features = wanted.pop("features", Features(freq="h"))
        series = make_job().series
        return Spec(
            job="job",
            model="hand",
            table=TableSpec.of(series),
            features=features,
            scaler=Scaler(),
            horizon=horizon,
            quantiles=LEVELS,
            wanted=LEVELS,
            **wanted,
        )

    return make


@pytest.fixture
def stepping(make_spec: Callable[..., Spec]) -> Make:
    """y_h = 0.8 y_{h-1} + f_h + s_h + m + 0.5 e_h; the state s is the second reading and halves, m the first one."""

    def make(horizon: int, threads: int = 0, **changed: Any) -> Predictor:
        graphs = Graphs(_reader(), _step(changed.get("head", "normal")))
        return Predictor(make_spec(horizon, **changed), graphs, threads=threads)

    return make


@pytest.fixture
def direct(make_spec: Callable[..., Spec]) -> Make:
    """Two steps at once, location = context · WEIGHTS + f_h + f and mask of the last row, scale 0.5 and 0.7."""

    def make(horizon: int, threads: int = 0, **changed: Any) -> Predictor:
        features = Features(freq="h", future=("f",), mask=True)
        spec = make_spec(horizon, block=2, features=features, **changed)
        return Predictor(spec, Graphs(_direct()), threads=threads)

    return make


def _reader() -> bytes:
    graph = Graph()
    past = graph.input("past", (None, 3, 1), "float32")
    for row, name in enumerate(("memory_0", "state_0")):
        column = graph.add("Squeeze", graph.slice(past, 1, row, row + 1), graph.constant([2]))
        graph.output(name, column, (None, 1))
    return bytes(graph.model().SerializeToString())


def _step(head: str) -> bytes:
    graph = Graph()
    names = ("previous", "state_0", "memory_0")
    previous, state, memory = (graph.input(name, (None, 1), "float32") for name in names)
    future = graph.input("future", (None, 1, 1), "float32")
    mean = graph.add("Add", graph.add("Mul", previous, graph.constant(PHI)), graph.add("Add", state, memory))
    mean = graph.add("Add", graph.add("Unsqueeze", mean, graph.constant([2])), future)  # (B, 1, 1)
    if head == "negative_binomial":
        mean = graph.add("Abs", mean)
    spread = graph.add("Add", graph.add("Mul", mean, graph.constant(0.0)), graph.constant(SIGMA))
    graph.output("parameters", graph.add("Concat", mean, spread, axis=2), (None, 1, 2))
    graph.output("next_state_0", graph.add("Mul", state, graph.constant(0.5)), (None, 1))
    return bytes(graph.model().SerializeToString())


WEIGHTS = np.array([[0.1, 0.3], [-0.2, 0.1], [0.6, 0.4]])  # (T, block)
SCALES = np.array([0.5, 0.7])


def _direct() -> bytes:
    graph = Graph()
    past = graph.input("past", (None, 3, 3), "float32")  # target, known ahead, mask
    future = graph.input("future", (None, 2, 1), "float32")
    target = graph.add("Squeeze", graph.slice(past, 2, 0, 1), graph.constant([2]))  # (B, T)
    mask = graph.add("Squeeze", graph.slice(graph.slice(past, 1, 2, 3), 2, 2, 3), graph.constant([2]))  # (B, 1)
    known = graph.add("Squeeze", graph.slice(graph.slice(past, 1, 2, 3), 2, 1, 2), graph.constant([2]))  # (B, 1)
    mean = graph.add("Add", graph.add("MatMul", target, graph.constant(WEIGHTS)), graph.add("Add", mask, known))
    mean = graph.add("Add", graph.add("Unsqueeze", mean, graph.constant([2])), future)  # (B, block, 1)
    nothing = graph.add("Mul", mean, graph.constant(0.0))
    spread = graph.add("Add", nothing, graph.constant(SCALES[None, :, None]))
    graph.output("parameters", graph.add("Concat", mean, spread, axis=2), (None, 2, 2))
    return bytes(graph.model().SerializeToString())


def windows(size: int, horizon: int, *, wide: bool = False) -> dict[str, Array]:
    """Random contexts, and what is known ahead."""
    draw = np.random.default_rng(3)
    past = draw.normal(size=(size, 3, 3 if wide else 1))
    if wide:
        past[:, :, 2] = 1.0
    batch = {"past": past, "future": draw.normal(size=(size, horizon, 1))}
    return {name: values.astype("float32") for name, values in batch.items()}


def paths_of(predictor: Predictor, batch: dict[str, Array], count: int) -> Array:
    """The sample paths (B, S, H) that quantiles are taken from."""
    horizon = predictor.spec.horizon
    values = [values for _, values in predictor.follow(batch, path_draws(count, horizon))]
    return np.concatenate(values, axis=2)[:, :, :horizon]


def strata(count: int) -> Array:
    """Standard normal values, one in each part of equal probability."""
    values: Array = stats.norm.ppf((np.arange(count) + 0.5) / count)
    return values


def test_paths_step_by_step_follow_the_recursion(stepping: Make) -> None:
    """Given its own values, each step of each path deviates from a NumPy recursion by its draw, the same everywhere."""
    batch, paths = windows(4, 5), paths_of(stepping(5), windows(4, 5), 50)  # (B, S, H)
    previous = np.repeat(batch["past"][:, -1:, 0], 50, axis=1)
    for step in range(5):
        state, memory = batch["past"][:, 1] * 0.5**step, batch["past"][:, 0]
        draws = (paths[:, :, step] - (PHI * previous + batch["future"][:, step] + state + memory)) / SIGMA
        np.testing.assert_allclose(np.sort(draws, axis=1), np.tile(strata(50), (4, 1)), atol=1e-4)
        np.testing.assert_allclose(draws, np.tile(draws[:1], (4, 1)), atol=1e-4)
        previous = paths[:, :, step]


def test_quantiles_of_paths_are_those_of_the_autoregression(stepping: Make) -> None:
    """The variance after h steps of an AR(1) is s² (1 - phi^2h) / (1 - phi²); the first step is exact."""
    batch = windows(2, 6)
    batch["past"][:, :2], batch["future"][:] = 0.0, 0.0
    quantiles = stepping(6, paths=4000).quantiles(batch)
    steps = np.arange(1, 7)
    spread = SIGMA * np.sqrt((1 - PHI ** (2 * steps)) / (1 - PHI**2))
    mean = batch["past"][:, 2] * PHI**steps  # (B, H)
    expected = mean[:, :, None] + spread[:, None] * stats.norm.ppf(LEVELS)
    np.testing.assert_allclose(quantiles, expected, atol=0.05)
    np.testing.assert_allclose(quantiles[:, 0], expected[:, 0], atol=1e-6)


def test_paths_of_a_rolled_network_follow_a_loop_over_its_blocks(direct: Make) -> None:
    """Its own values, with what is known ahead and a mask of 1, are the end of the context that it reads next."""
    batch, paths = windows(3, 5, wide=True), paths_of(direct(5), windows(3, 5, wide=True), 40)
    assert paths.shape == (3, 40, 5)
    for window in range(3):
        for path in range(40):
            target, known = batch["past"][window, :, 0], batch["past"][window, 2, 1]
            for begin in (0, 2, 4):
                values = paths[window, path, begin : begin + 2]
                ahead = batch["future"][window, begin : begin + len(values), 0]
                mean = (target @ WEIGHTS + 1.0 + known)[: len(values)] + ahead
                drawn = (values - mean) / SCALES[: len(values)]
                nearest = np.abs(drawn[:, None] - strata(40)).min(axis=1)
                np.testing.assert_allclose(nearest, 0.0, atol=1e-4)
                target = np.concatenate([target, values])[-3:]
                known = batch["future"][window, min(begin + 1, 4), 0]


@pytest.mark.parametrize("kind", ["stepping", "direct"])
def test_a_forecast_does_not_depend_on_its_batch(kind: str, request: pytest.FixtureRequest) -> None:
    """Alone, among others, or cut into other parts by the bound on memory: the same quantiles and paths."""
    predictor, batch = request.getfixturevalue(kind)(5), windows(7, 5, wide=kind == "direct")
    alone = {name: values[3:4] for name, values in batch.items()}
    np.testing.assert_allclose(predictor.quantiles(batch)[3], predictor.quantiles(alone)[0], atol=1e-5)
    np.testing.assert_allclose(paths_of(predictor, batch, 30)[3], paths_of(predictor, alone, 30)[0], atol=1e-5)


@pytest.mark.parametrize("kind", ["stepping", "direct"])
def test_parts_change_nothing(kind: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """However few windows go through the engine at once, and no call is larger than the bound."""
    predictor, batch = request.getfixturevalue(kind)(5), windows(7, 5, wide=kind == "direct")
    expected, paths = predictor.quantiles(batch), paths_of(predictor, batch, 30)
    rows, run = [], Engine.run

    def counted(self: Engine, given: dict[str, Array]) -> dict[str, Array]:
        rows.append(max(len(values) for values in given.values()))
        return run(self, given)

    monkeypatch.setattr(Engine, "run", counted)
    monkeypatch.setattr(module, "_BYTES", 1000)
    np.testing.assert_allclose(predictor.quantiles(batch), expected, atol=1e-5)
    assert max(rows) == 200  # one window, all its paths
    np.testing.assert_allclose(paths_of(predictor, batch, 30), paths, atol=1e-5)


@pytest.mark.parametrize(("kind", "horizon"), [("direct", 2), ("direct", 5), ("stepping", 5)])
def test_threads_change_nothing(
    kind: str, horizon: int, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Parts are read side by side, and stay in their order even where a later one is ready first: the same bytes."""
    make, batch = request.getfixturevalue(kind), windows(200, horizon, wide=kind == "direct")
    expected = make(horizon, threads=1).quantiles(batch)
    predictor = make(horizon, threads=2)
    first, another, run = threading.Lock(), threading.Event(), Engine.run

    def slow_at_first(self: Engine, given: dict[str, Array]) -> dict[str, Array]:
        if first.acquire(blocking=False):
            assert another.wait(60), "no other part was read meanwhile"
            return run(self, given)
        found = run(self, given)
        another.set()
        return found

    monkeypatch.setattr(Engine, "run", slow_at_first)
    assert np.array_equal(predictor.quantiles(batch), expected)


def test_paths_are_the_same_every_time(stepping: Make) -> None:
    """Their draws have a fixed seed, and come in another order at every step."""
    predictor, batch = stepping(4), windows(2, 4)
    np.testing.assert_array_equal(paths_of(predictor, batch, 20), paths_of(predictor, batch, 20))
    draws = path_draws(20, 4)
    assert (np.sort(draws, axis=0) == np.sort(draws, axis=0)[:, :1]).all()
    assert not np.array_equal(draws[:, 0], draws[:, 1])


@pytest.mark.parametrize("kind", ["stepping", "direct"])
def test_a_longer_horizon_begins_like_the_shorter_one(kind: str, request: pytest.FixtureRequest) -> None:
    """Paths and quantiles agree as far as both go."""
    make, batch = request.getfixturevalue(kind), windows(3, 9, wide=kind == "direct")
    short, long = make(4), make(4).reaching(9)
    first = {**batch, "future": batch["future"][:, :4]}
    assert long.quantiles(batch).shape == (3, 9, 3)
    np.testing.assert_allclose(paths_of(long, batch, 30)[:, :, :4], paths_of(short, first, 30), atol=1e-5)
    np.testing.assert_allclose(long.quantiles(batch)[:, :4], short.quantiles(first), atol=1e-5)


def test_a_direct_network_asked_for_more_says_the_same_of_its_own_steps(make_spec: Callable[..., Spec]) -> None:
    """Its whole horizon becomes one block, whose quantiles stay exact; a step farther they are wider."""
    features = Features(freq="h", future=("f",), mask=True)
    predictor, batch = Predictor(make_spec(2, features=features), Graphs(_direct())), windows(3, 4, wide=True)
    exact = predictor.quantiles({**batch, "future": batch["future"][:, :2]})
    assert not predictor.feeds_back
    longer = predictor.reaching(4)
    assert longer.feeds_back
    assert predictor.spec.horizon == 2
    np.testing.assert_allclose(longer.quantiles(batch)[:, :2], exact, atol=1e-6)
    width = np.ptp(longer.quantiles(batch), axis=2)
    assert (width[:, 2] > width[:, 0]).all()


def test_a_network_of_past_covariates_cannot_go_on(make_spec: Callable[..., Spec]) -> None:
    """What they will be is not known: the error names them and what would help."""
    features = Features(freq="h", past=("wind",), future=("f",), mask=True)
    predictor = Predictor(make_spec(2, features=features), Graphs(_direct()))
    with pytest.raises(
        ConfigError, match=r"beyond its 2 steps: it reads wind, known only up to the cutoff; train it for 7"
    ):
        predictor.reaching(7)


def test_replay_follows_the_mean(stepping: Make) -> None:
    """One path, that of the means: the quantiles around it are those of one step."""
    batch = windows(3, 4)
    previous = batch["past"][:, -1]
    replay = stepping(4).replay(batch)
    for step in range(4):
        mean = PHI * previous + batch["future"][:, step] + batch["past"][:, 1] * 0.5**step + batch["past"][:, 0]
        np.testing.assert_allclose(replay[:, step], mean + SIGMA * stats.norm.ppf(LEVELS), atol=1e-5)
        previous = mean


def test_replay_of_counts_is_smooth(stepping: Make) -> None:
    """Counts jump by one where a reading moves by next to nothing; what is replayed moves by next to nothing."""
    predictor = stepping(6, head="negative_binomial")
    batch = windows(500, 6)
    moved = {**batch, "past": batch["past"] + np.float32(1e-4)}
    assert np.abs(predictor.quantiles(moved) - predictor.quantiles(batch)).max() > 0.5
    assert np.abs(predictor.replay(moved) - predictor.replay(batch)).max() < 1e-2
    assert np.abs(predictor.replay(moved) - predictor.replay(batch)).max() > 0.0
