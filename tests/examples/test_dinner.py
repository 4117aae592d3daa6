"""Dinner: today's follows from any evening that somebody remembers."""

import keras
import numpy as np
import pytest

from examples import dinner


@pytest.fixture(scope="module")
def network() -> keras.Model:
    """The network of the example, as it is."""
    return dinner.fit(dinner.TRAIN)


@pytest.mark.parametrize(
    ("what", "cases"), [(name, len(p)) for name, p in dinner.questions().items() if name != "nothing"]
)
def test_dinner_is_known_in_every_case(network: keras.Model, what: str, cases: int) -> None:
    """Yesterday known, only the day before, one evening or any number of them: no case of the 49,149 is wrong."""
    right = dinner.answers(network, dinner.fortnights(dinner.questions()[what]))
    assert len(right) == 3 * cases
    assert right.sum() == 3 * cases


def test_dinner_is_a_guess_where_nothing_is_remembered(network: keras.Model) -> None:
    """The same empty fortnight cannot lead to three different dinners: one of three is right."""
    cases = dinner.fortnights(dinner.questions()["nothing"])
    assert not cases.inputs["past"].any()
    assert dinner.answers(network, cases).tolist().count(True) == 1


def test_fortnights_follow_the_menu() -> None:
    """Written out by hand: with sushi yesterday there are waffles today; what is not remembered is zeros."""
    yesterday = np.arange(dinner.DAYS) == dinner.DAYS - 1
    cases = dinner.fortnights(yesterday[None])
    menu = {1: 2, 2: 0, 0: 1}  # sushi → waffles → pizza → sushi
    assert sorted(menu) == sorted(cases.inputs["past"][:, -1].argmax(axis=-1))
    assert [menu[int(day)] for day in cases.inputs["past"][:, -1].argmax(axis=-1)] == cases.wanted[:, 0].tolist()
    assert not cases.inputs["past"][:, :-1].any()
