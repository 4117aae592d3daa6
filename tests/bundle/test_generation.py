"""Drawing and scoring symbols, held against plain arithmetic on a table whose probabilities are known."""

import numpy as np
import pytest

from forecasting.bundle.engine import Engine
from forecasting.bundle.generation import Generator, Sampling
from forecasting.errors import GatecastError
from forecasting.evaluation.ngrams import NgramTable, table_to_onnx
from forecasting.series.vocabulary import UNKNOWN, Vocabulary

# after nothing or the unknown: a; after a: b with 3/4, c with 1/4; after b: c; after c: a or b evenly
CHANCES = np.array([[0.1, 0.9, 0.0, 0.0], [0.2, 0.0, 0.6, 0.2], [0.2, 0.0, 0.0, 0.8], [0.2, 0.4, 0.4, 0.0]])


@pytest.fixture(scope="module")
def chain() -> Generator:
    """A Markov chain over a, b and c; the unknown has a chance that must never be drawn."""
    rows = np.log(np.maximum(CHANCES, 1e-30)).astype(np.float32)
    return Generator(Vocabulary(symbols=("a", "b", "c")), Engine(table_to_onnx(NgramTable(rows, np.arange(4), 1))))


def test_temperature_zero_takes_the_most_probable(chain: Generator) -> None:
    """From nothing on: a, b, c, then a again (a and b are even: the first)."""
    found = chain.extend([], 6, Sampling(temperature=0))
    assert "".join(found.symbols) == "abcabc"
    np.testing.assert_allclose(found.probability, [1, 0.75, 1, 0.5, 0.75, 1], atol=1e-6)


@pytest.mark.parametrize(("temperature", "share"), [(1.0, 0.75), (0.5, 0.9), (2.0, 3**0.5 / (1 + 3**0.5))])
def test_draws_have_the_frequencies_of_their_temperature(chain: Generator, temperature: float, share: float) -> None:
    """After a, b comes as often as p_b^(1/t) / (p_b^(1/t) + p_c^(1/t)) says, to four standard errors."""
    found = chain.sample(["a"], 1, 20_000, Sampling(temperature, seed=5)).symbols[:, 0]
    assert abs((found == "b").mean() - share) < 4 * (share * (1 - share) / 20_000) ** 0.5
    assert set(found) == {"b", "c"}


def test_top_leaves_only_the_most_probable(chain: Generator) -> None:
    """With one symbol to choose from, drawing is taking."""
    assert set(chain.sample(["a"], 1, 500, Sampling(1.0, top=1)).symbols[:, 0]) == {"b"}


def test_the_same_seed_tells_the_same_and_another_one_not(chain: Generator) -> None:
    """A continuation depends on its seed alone."""
    one, same, other = ("".join(chain.extend(["c"], 60, Sampling(1.0, seed)).symbols) for seed in (1, 1, 2))
    assert one == same != other


def test_the_unknown_is_read_but_never_told(chain: Generator) -> None:
    """A tenth to a fifth of the probability is that of the unknown; in 3,000 symbols it does not come."""
    found = chain.sample(["?"], 30, 100, Sampling(1.0))
    assert UNKNOWN not in set(found.symbols.ravel())
    assert (found.symbols[:, 0] == "a").all()


def test_scores_are_those_of_the_chain(chain: Generator) -> None:
    """The log-probability of each symbol after the one before it, the unknown with its own."""
    expected = np.log([0.9, 0.6, 0.8, 0.4, 0.2, 0.9])
    np.testing.assert_allclose(chain.log_probability(list("abcb?a")), expected, rtol=1e-5)


def test_scoring_in_two_parts_is_scoring_the_whole(chain: Generator) -> None:
    """States go on: what is read after a first part has the logits of the whole."""
    codes = np.array([[1, 2, 3, 2, 0, 1]])
    first, states = chain.read(codes[:, :2])
    second, _ = chain.read(codes[:, 2:], states)
    np.testing.assert_array_equal(np.concatenate([first, second], axis=1), chain.read(codes)[0])


@pytest.mark.parametrize(("length", "sampling"), [(0, Sampling()), (1, Sampling(-1.0)), (1, Sampling(1.0, top=0))])
def test_impossible_requests_are_refused(chain: Generator, length: int, sampling: Sampling) -> None:
    """No symbols, a negative temperature, and nothing to choose from."""
    with pytest.raises(GatecastError, match="must be 1 or more"):
        chain.extend(["a"], length, sampling)
