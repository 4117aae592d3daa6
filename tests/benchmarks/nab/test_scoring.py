"""The rules of the Numenta Anomaly Benchmark, by hand, and from the published files of its own detectors."""

from math import exp

import numpy as np
import pytest

from benchmarks.nab.__main__ import PUBLISHED
from benchmarks.nab.scoring import normalized, probation, score
from benchmarks.nab.streams import events_at

ROWS = 1000  # of which the first 150 are probation
WINDOW = (500, 599)


def sigmoid(position: float) -> float:
    """Equation 2 of Lavin and Ahmad (2015), without the weight."""
    return 2 / (1 + exp(5 * position)) - 1


def at(*rows: int) -> np.ndarray:
    """Detections in these rows."""
    found = np.zeros(ROWS, dtype=bool)
    found[[*rows]] = True
    return found


def test_probation_is_15_percent_of_at_most_5000_rows() -> None:
    """As many rows as the published counts of the four files leave out."""
    assert [probation(rows) for rows in (1000, 4032, 10320, 22695)] == [150, 604, 750, 750]


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ((), -1.0),
        ((500,), 1.0),
        ((500, 510, 599), 1.0),
        ((549,), sigmoid(-51 / 100) / sigmoid(-1)),
        ((599,), sigmoid(-1 / 100) / sigmoid(-1)),
        ((10, 149), -1.0),
        ((150,), -1.0 - 0.11),
        ((600,), -1.0 + 0.11 * sigmoid(1 / 99)),
        ((500, 800), 1.0 + 0.11 * sigmoid(201 / 99)),
        ((500, 999), 1.0 - 0.11),
    ],
    ids=["nothing", "left edge", "first counts", "middle", "right edge", "probation", "before", "after", "far", "3"],
)
def test_one_window_by_hand(rows: tuple[int, ...], expected: float) -> None:
    """Early is worth more than late, just behind a window costs little, and far behind it 0.11."""
    assert score(at(*rows), [WINDOW]).score == pytest.approx(expected)


def test_false_alarms_count_from_the_last_window() -> None:
    """Between two windows the first one counts; what lies in a window is no false alarm."""
    found = score(at(300, 310, 450, 950), [(300, 319), (900, 919)])
    outside = 0.11 * (sigmoid(131 / 19) if 131 / 19 < 3 else -1) + 0.11 * sigmoid(31 / 19)
    assert found.score == pytest.approx(1.0 - 1.0 + outside)
    assert (found.found, found.windows, found.false_alarms) == (1, 2, 2)


def test_window_within_the_probation_does_not_count() -> None:
    """It can neither be found nor missed."""
    assert score(at(120), [(100, 140)])._asdict() == {"score": 0.0, "found": 0, "windows": 0, "false_alarms": 0}


def test_normalization_is_that_of_the_published_detectors() -> None:
    """Nothing is 0, perfect is 100; the published null detector misses every window."""
    windows = (5, 2, 4, 1)
    assert normalized(list(zip(PUBLISHED["null"], windows, strict=True))) == 0
    assert normalized([(count, count) for count in windows]) == 100
    assert normalized(list(zip(PUBLISHED["numenta"], windows, strict=True))) == pytest.approx(74.94, abs=0.01)


def test_a_false_alarm_costs_what_it_cost_the_published_gaussian() -> None:
    """One false alarm before the only window of the file, which is missed: -1.11, as published for that detector."""
    windows, rows = [(16500, 17998)], 18050
    found = np.zeros(rows, dtype=bool)
    found[5000] = True
    assert score(found, windows).score == pytest.approx(PUBLISHED["windowedGaussian"][3])


def test_alarms_of_one_event_are_its_first() -> None:
    """Those no further apart than the gap."""
    outside = np.zeros(20, dtype=bool)
    outside[[2, 3, 6, 11]] = True
    assert np.flatnonzero(events_at(outside, 4)).tolist() == [2, 11]
