"""How long a fit may take: steps by the size of the data, or the epochs that were given."""

import pytest

from forecasting.config.job import parse_job
from forecasting.config.training import Train
from forecasting.errors import ConfigError
from forecasting.training.plan import plan


@pytest.mark.parametrize(
    ("examples", "size", "steps"),
    [(500, 64, 1500), (7_999, 64, 1500), (12_800, 256, 1500), (100_000, 256, 3930), (10**7, 256, 6000)],
)
def test_steps_follow_the_number_of_windows(examples: int, size: int, steps: int) -> None:
    """Ten passes, but neither so few that nothing is learned, nor without end; rounds are rounded up."""
    planned = plan(Train(), examples)
    assert (planned.batch_size, planned.steps, planned.rounds) == (size, steps, 30)


def test_given_steps_are_taken() -> None:
    """Also where they are fewer than the usual number of rounds."""
    assert plan(Train(steps=7), 1000).steps == 7
    assert plan(Train(steps=7), 1000).rounds == 7


def test_epochs_are_passes_with_their_last_batch_smaller() -> None:
    """130 windows in batches of 64 are three steps; fewer may be drawn for each epoch."""
    planned = plan(Train(epochs=4, batch_size=64), 130)
    assert (planned.length, planned.rounds, planned.passes) == (3, 4, True)
    drawn = plan(Train(epochs=4, batch_size=64, windows_per_epoch=100), 130)
    assert (drawn.length, drawn.most, drawn.watched) == (2, 100, 100)


def test_sequences_in_order_are_read_in_epochs() -> None:
    """Ten by default."""
    assert plan(Train(batch_size=8), 80, in_order=True)[:3] == (8, 10, 10)


def test_two_measures_are_refused() -> None:
    """Steps and epochs say the same; a share of an epoch needs epochs."""
    job = {
        "name": "a",
        "source": {"kind": "synthetic"},
        "series": {"freq": "h"},
        "window": {"context": 6, "horizon": 3},
    }
    with pytest.raises(ConfigError, match="steps \\(5\\) and epochs \\(2\\) are two measures of one"):
        parse_job(job | {"train": {"steps": 5, "epochs": 2}})
    with pytest.raises(ConfigError, match="windows_per_epoch: is for training by epochs"):
        parse_job(job | {"train": {"windows_per_epoch": 5}})
